"""A case that is a half-cell taken through a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from femssb.description import description, field
from femssb.environment.ranks import communicator
from femssb.errors import FemssbError
from femssb.inputs.boundary import Fixed, Free, Support
from femssb.inputs.cycle import Course, steps_of
from femssb.inputs.geometry import HalfCell
from femssb.inputs.materials import Materials
from femssb.inputs.protocol import Charge, Discharge
from femssb.meshing.resolved_cell import ResolvedCell
from femssb.results.solution import Solution
from femssb.run.stepping import Stepping
from femssb.studies.case import Case
from femssb.units import um

if TYPE_CHECKING:
    from mpi4py import MPI

    from femssb.cell.coupling import Tolerances
    from femssb.cell.model import Couplings
else:
    Couplings = Tolerances = Any  # their modules load DOLFINx

CYCLE = (Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3.0))


@description
class HalfCellRun(Case[Solution]):
    """A half-cell taken through a protocol; a run that was stopped resumes from its checkpoint."""

    name: str = field("name of the case in its study")
    materials: Materials = field("parameter set")
    protocol: tuple[Any, ...] = field(
        "steps in their order, as `Simulation` takes them", default=CYCLE
    )
    cell: HalfCell | ResolvedCell = field("shape of the half-cell", default=HalfCell())
    size: float = field("element size in the particles", unit="m", above=0, default=0.8 * um)
    collector: Support = field("how the collector face is held", default=Fixed())
    anode: Support = field("how the anode face is held", default=Free())
    couplings: Couplings | None = field("which couplings act; None for all", default=None)
    tolerances: Tolerances | None = field(
        "when a time step counts as solved; None for the defaults", default=None
    )
    stepping: Stepping = field("how time steps are chosen", default=Stepping())

    def __post_init__(self) -> None:
        """Keep the steps with their words read and their cycles taken apart."""
        object.__setattr__(self, "protocol", steps_of("HalfCellRun.protocol", self.protocol))

    def run(self, folder: Path, *, comm: MPI.Intracomm | None, progress: bool) -> None:
        """Mesh the cell and run the protocol, or what is left of it; collective."""
        from femssb.cell.coupling import Tolerances
        from femssb.cell.model import Couplings, Model
        from femssb.meshing.half_cell import mesh
        from femssb.run.simulation import Simulation

        comm = communicator(comm)
        model = Model(
            mesh(self.cell, size=self.size, comm=comm),
            self.materials,
            collector=self.collector,
            anode=self.anode,
            couplings=self.couplings or Couplings(),
        )
        simulation = Simulation(
            model, self.protocol, tolerances=self.tolerances or Tolerances(), stepping=self.stepping
        )
        simulation.run(folder, progress=progress, resume="auto")

    def load(self, folder: Path) -> Solution | None:
        """Return the run, None if it has not gone through all steps of the protocol."""
        try:
            found = Solution.load(folder)
        except FemssbError:
            return None

        def row(number: int) -> dict[str, float]:
            return {name: float(values[number]) for name, values in found.series.items()}

        return found if Course(self.protocol).follow(found.steps, row).over else None

    def numbers(self, result: Solution) -> dict[str, Any]:
        """Return the summary of the run, its warnings as one text."""
        return result.summary | {"warnings": " ".join(result.warnings)}
