"""`process`: slurries taken through the stages of a wet route, each kept in a folder as it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from femssb._version import __version__
from femssb.environment.ranks import communicator
from femssb.errors import InputError, shown
from femssb.inputs.beads import ForceField
from femssb.inputs.case import describe, fingerprint
from femssb.library.suspension import suspension
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.wet import Show, WetStage, check_ledger, ledger, narrow_sides
from femssb.particles.workflow import Record, check_options, last_stage, take_through

if TYPE_CHECKING:
    from mpi4py import MPI

logger = logging.getLogger(__name__)


def process(
    packing: Packing,
    stages: Sequence[WetStage] | WetStage,
    formulation: Formulation,
    forces: ForceField | None = None,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
    progress: bool = True,
    resume: bool | Literal["auto"] = "auto",
    overwrite: bool = False,
) -> list[Packing]:
    """Take a slurry through the stages of a wet route.

    Every stage ends by a plateau, whose error is in its report. With a folder, the packing after
    every stage is written there at once, and a second call resumes after the last stage that is
    there and was made from the same packing, formulation, forces and stages. SIGINT and SIGTERM end
    a stage where all ranks can do so together.

    Args:
        packing: Where to start: one of `disperse`, or the end of another process.
        stages: Done in this order.
        formulation: Of the slurry: its masses must be those of the packing.
        forces: Between the beads; those of `library.suspension` if left out.
        out: Folder for the packing after every stage, ``01_slurry.h5`` and so on.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.
        resume: Whether to go on from what is in the folder; "auto" does so where there is anything.
        overwrite: Whether to do all stages anew where the folder holds any.

    Returns:
        The packing after every stage, the same on every rank. The last of ``origin["stages"]``
        reports on it: plateaus with their errors, masses of all phases, density, porosity, what is
        to be warned of.

    Raises:
        InputError: Before any work, if an argument is of the wrong kind, a stage does not suit the
            packing, or the folder holds stages of another process, say with another force field.
        EngineError: If LAMMPS is missing or stops, or beads leave the box.
        NotConverged: If a stage finds no plateau; what it reached is in the folder, as
            ``..._unfinished.h5``, and so is what came before it.
        Interrupted: After a signal; the same is in the folder.
    """
    stages = [stages] if isinstance(stages, WetStage) else stages
    if not isinstance(formulation, Formulation):
        raise InputError(f"process: formulation must be a Formulation, got {shown(formulation)}")
    field = suspension(formulation) if forces is None else forces
    _check(packing, stages, formulation, field)
    check_options("process", out, progress, resume, overwrite)
    comm = communicator(comm)

    def work(
        start: Packing, stage: WetStage, record: Record, state: Path | None, show: Show
    ) -> Packing:
        return _done(start, stage, formulation, field, record, comm, show)

    return take_through(
        "process",
        packing,
        stages,
        key=lambda start, stage: _key(start, stage, formulation, field),
        work=work,
        out=out,
        comm=comm,
        progress=progress,
        resume=resume,
        overwrite=overwrite,
    )


def _done(
    start: Packing,
    stage: WetStage,
    formulation: Formulation,
    field: ForceField,
    record: Record,
    comm: MPI.Intracomm,
    show: Show,
) -> Packing:
    """Do a stage, and record its end, or where it got stuck or was stopped."""
    started = time.process_time()
    course = stage.carry_out(start, formulation, field, comm, show)
    used = comm.allreduce(time.process_time() - started)
    masses = ledger(course.packing, formulation)
    before = ledger(start, formulation)
    check_ledger(before, masses, formulation.solvent.name, type(stage).__name__)
    report = {
        "stage": type(stage).__name__,
        **{name: value for name, value in describe(stage).items() if name != "class"},
        **course.report,
        "masses [kg]": masses,
        "evaporated [kg]": before[formulation.solvent.name] - masses[formulation.solvent.name],
        "density [kg/m3]": density(course.packing),
        "porosity": porosity(course.packing, formulation),
        "cpu_time": used,
        "key": record.key,
    }
    report["warnings"] = [
        *course.report.get("warnings", []),
        *_overfilled(report["porosity"], masses[formulation.solvent.name]),
        *narrow_sides(course.packing, stage.forces(field)),
    ]
    made = [*start.origin.get("stages", []), report]
    origin = {**start.origin, "femssb": __version__, "stages": made}
    reached = replace(course.packing, origin=origin)
    for warning in report["warnings"]:
        show(f"warning: {warning}")
        logger.warning("%s: %s", stage.label, warning)
    record.keep(comm, reached, course.outcome)
    return reached


def density(packing: Packing) -> float:
    """Return the mass of all beads over the volume of the box [kg/m3]."""
    if packing.masses is None:
        raise InputError("density: the packing has no masses; `disperse` gives them")
    return float(packing.masses.sum() / np.prod(packing.lengths))


def porosity(packing: Packing, formulation: Formulation) -> float:
    """Return the share of the box that neither solids nor solvent take.

    Pores of the binder count where they are dry. Volumes are those of the masses: overlaps of
    beads do not count.
    """
    masses = ledger(packing, formulation)
    solid = 0.0
    for component in formulation.components:
        dense = 1 - formulation.binder_porosity if component.name == formulation.binder else 1.0
        solid += masses[component.name] / component.solid.density * dense
    solvent = formulation.solvent
    return 1 - float((solid + masses[solvent.name] / solvent.density) / np.prod(packing.lengths))


def _evaporated(packing: Packing) -> float:
    """Return the mass of solvent that has gone in the stages behind a packing [kg]."""
    made = packing.origin.get("stages")
    stages = made if isinstance(made, list) else []
    return float(sum(s.get("evaporated [kg]", 0.0) for s in stages if isinstance(s, dict)))


def _overfilled(porosity: float, solvent: float) -> list[str]:
    """Return a warning if the solids of a dry electrode do not fit the box; else nothing.

    Of a slurry, with some solvent [kg], the volume balance warns.
    """
    if solvent or porosity >= 0:
        return []
    return [
        f"the porosity is {porosity:.3g}: solids have {-100 * porosity:.3g} % more volume than the "
        "box; beads overlap farther than the force field means anything"
    ]


def _check(
    packing: Packing, stages: Sequence[WetStage], formulation: Formulation, field: ForceField
) -> None:
    """Raise InputError for what would fail later."""
    for name, value, kind in (("packing", packing, Packing), ("forces", field, ForceField)):
        if not isinstance(value, kind):
            raise InputError(f"process: {name} must be a {kind.__name__}, got {shown(value)}")
    if not isinstance(stages, (list, tuple)):
        raise InputError(
            f"process: stages must be a list, in which they are done, got {shown(stages)}"
        )
    if not stages:
        raise InputError("process: there are no stages")
    if packing.phase_names != formulation.names:
        raise InputError(
            f"process: the packing has phases {packing.phase_names}, the formulation "
            f"{formulation.names}"
        )
    held, known = ledger(packing, formulation), formulation.ledger()
    solvent, allowed = formulation.solvent.name, 1e-6 * sum(known.values())
    known[solvent] = known[solvent] - _evaporated(packing) if held[solvent] else 0.0
    for name, mass in known.items():
        if abs(held[name] - mass) > allowed:
            raise InputError(
                f"process: the packing holds {held[name]:g} kg of {name}, the formulation {mass:g} "
                "kg: it is of another formulation"
            )
    for stage in stages:
        if not isinstance(stage, WetStage):
            raise InputError(f"process: {shown(stage)} is not a stage of a wet route")
        stage.check(packing, formulation, field)
        packing = stage.expected(packing, formulation)


def _key(packing: Packing, stage: WetStage, formulation: Formulation, field: ForceField) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    before = last_stage(packing).get("key")
    bare = replace(packing, origin={}, stress=None)
    # A stage that found its plateau did not need more steps, however many were allowed.
    stage = replace(stage, most_steps=1)
    return fingerprint(before, bare, stage, formulation, field)
