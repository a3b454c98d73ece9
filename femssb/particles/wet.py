"""Stages of a wet route: a slurry, how it flows, how it dries, and what follows.

`process` does them one after the other and knows nothing of their kinds: a new kind is a class
derived from `WetStage`, which says with which forces it works, with which packing it starts and
what is done with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description
from femssb.description import field as described
from femssb.environment.interruption import stop_if_asked
from femssb.errors import FemssbError, InputError, Interrupted, NotConverged, check_number
from femssb.inputs.beads import BeadForces, ForceField
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.beads import Kinds
from femssb.particles.plateau import FEWEST, Plateau, plateau

if TYPE_CHECKING:
    from mpi4py import MPI

    from femssb.particles.lammps.beads import BeadEngine

NARROWEST = 1.98  # distance of periodic sides over the largest diameter at which beads touch
WEIGHED = 1e-9  # relative difference of masses that counts as the same
LOOKS = 2  # in a row at which a plateau must be seen: one may be an accident
Show = Callable[[str], None]  # takes a line of progress


@dataclass(kw_only=True, slots=True)
class Course:
    """How a stage went.

    Attributes:
        packing: Where it ended.
        report: Plain data on it: plateaus with their errors, settings that followed.
        outcome: None if the stage came to its end; else the signal that stopped it, or its failure.
    """

    packing: Packing
    report: dict[str, Any] = field(default_factory=dict)
    outcome: FemssbError | Interrupted | None = None


@description
class WetStage:
    """A stage of a wet route: base of all."""

    time_step: float | None = described(
        "of the motion; None: a share of the longest stable one, which is estimated",
        unit="s",
        above=0,
        upper=1e-3,
        default=None,
    )
    most_steps: int = described(
        "after which the stage fails", lower=1, upper=2_000_000_000, default=400_000
    )

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        return type(self).__name__

    @property
    def wet(self) -> bool:
        """Whether the stage starts with solvent in the beads."""
        return True

    def forces(self, field: ForceField) -> BeadForces:
        """Return the forces between the beads in this stage."""
        return field.slurry if self.wet else field.dried

    def moving(self, field: ForceField, kinds: Kinds) -> BeadForces:
        """Return the forces with which the beads are moved; they rest as with those of `forces`."""
        return self.forces(field)

    def prepared(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return the packing with which the stage starts."""
        return packing

    def expected(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return a packing with the sides, radii and masses that there will be after the stage."""
        return self.prepared(packing, formulation)

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If the stage does not suit the packing.
        """
        if type(self).carry_out is WetStage.carry_out:
            raise InputError(f"process: {type(self).__name__} does nothing: take a stage of a kind")
        is_wet = has_solvent(packing, formulation)
        if is_wet != self.wet:
            raise InputError(
                f"process: {type(self).__name__} is for "
                f"{'slurries' if self.wet else 'dried electrodes'}, but the beads of "
                f"{formulation.binder!r} {'hold their' if is_wet else 'have lost their'} solvent"
            )
        forces = self.forces(field)
        for phase in packing.phase_names:
            forces.bead(phase)
        if self.time_step is not None:
            kinds = Kinds.of(self.expected(packing, formulation))
            limit = kinds.longest_step(self.moving(field, kinds))
            name = type(self).__name__
            check_number(name, "time_step", self.time_step, above=0, upper=limit, unit="s")

    def check_periodic(self, packing: Packing) -> None:
        """Raise InputError if a side of the packing is a plane."""
        if not all(packing.periodic):
            name = type(self).__name__
            raise InputError(f"process: {name} needs a packing with periodic sides only")

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage, from the packing after the one before.

        Raises:
            FemssbError: If it fails where nothing can be kept.
        """
        raise NotImplementedError


@checked
def summary(packing: Packing) -> str:
    """Return the stages that a packing went through: masses, densities, warnings, as text.

    Raises:
        InputError: If it went through no stage of a wet route.
    """
    made = [stage for stage in packing.origin.get("stages", []) if "masses [kg]" in stage]
    if not made:
        raise InputError("summary: the packing went through no stage of a wet route")
    names = list(made[0]["masses [kg]"])
    lines = [
        f"{'stage':<12}"
        + "".join(f"{f'{name} [kg]':>16}" for name in names)
        + f"{'evaporated [kg]':>17}{'kg/m3':>8}{'porosity':>10}"
    ]
    lines += [
        f"{stage['stage']:<12}"
        + "".join(f"{stage['masses [kg]'][name]:16.8e}" for name in names)
        + f"{stage['evaporated [kg]']:17.8e}{stage['density [kg/m3]']:8.1f}"
        + f"{stage['porosity']:10.4f}"
        for stage in made
    ]
    for stage in made:
        lines += [
            f"{stage['stage']}: {name} {seen['mean']:.5g} +- {seen['error']:.2g}"
            for name, seen in stage.get("plateaus", {}).items()
        ]
        lines += [f"{stage['stage']}: warning: {said}" for said in stage.get("warnings", [])]
    return "\n".join(lines)


@checked
def ledger(packing: Packing, formulation: Formulation) -> dict[str, float]:
    """Return the mass of every component, without solvent, and of the solvent in a packing [kg].

    The dry mass of the binder is that of the formulation: what its beads weigh more is solvent.
    """
    if packing.masses is None:
        raise InputError("process: the packing has no masses; `disperse` gives them")
    known = formulation.ledger()
    found = {
        name: float(packing.masses[packing.of_phase(name)].sum()) for name in formulation.names
    }
    solvent = found[formulation.binder] - known[formulation.binder]
    # What weighing leaves of a solvent that is gone is no solvent.
    found[formulation.solvent.name] = solvent if solvent > WEIGHED * sum(known.values()) else 0.0
    found[formulation.binder] -= found[formulation.solvent.name]
    return found


def narrow_sides(packing: Packing, forces: BeadForces) -> list[str]:
    """Return a warning if two beads may touch twice, across different sides; else nothing."""
    phases = tuple(packing.phase_names[row] for row in packing.phases)
    largest = 2 * float(forces.contact_radii(phases, 2 * packing.radii).max())
    side = float(np.min(packing.lengths[np.array(packing.periodic)], initial=np.inf))
    if side >= NARROWEST * largest:
        return []
    return [
        f"the box is narrow: periodic sides are {side:.4g} m apart, but beads touch up to a "
        f"diameter of {largest:.4g} m: two may touch twice; take more beads"
    ]


def has_solvent(packing: Packing, formulation: Formulation) -> bool:
    """Return whether there is solvent in the beads of a packing."""
    return ledger(packing, formulation)[formulation.solvent.name] > 0


def check_ledger(
    before: Mapping[str, float], after: Mapping[str, float], solvent: str, stage: str
) -> None:
    """Raise NotConverged unless no mass but solvent has gone."""
    whole = sum(before.values())
    for name, mass in before.items():
        gained = after[name] - mass
        if abs(gained) > WEIGHED * whole and not (name == solvent and gained < 0):
            raise NotConverged(f"{stage}: {name} went from {mass:.6e} to {after[name]:.6e} kg")


@dataclass(kw_only=True, slots=True)
class Watched:
    """What was seen of a run until its plateau.

    Attributes:
        times: Of the samples, shape (n,) [s].
        series: Samples of every quantity, by name, shapes (n,).
        plateaus: Of every quantity, in its window at the end.
        reached: Whether all came to their plateau.
        stopped: A signal that came before.
    """

    times: Array
    series: dict[str, Array]
    plateaus: dict[str, Plateau]
    reached: bool
    stopped: Interrupted | None = None

    def report(self) -> dict[str, Any]:
        """Return the plateaus as plain data."""
        return {
            name: {"mean": p.mean, "error": p.error, "drift": p.drift, "samples": p.number}
            for name, p in self.plateaus.items()
        }

    def outcome(
        self,
        stage: WetStage,
        tolerances: Mapping[str, float],
        unrest: Mapping[str, float] = MappingProxyType({}),
    ) -> Interrupted | NotConverged | None:
        """Return None for a plateau, else what stopped the stage.

        Args:
            stage: That was to reach it.
            tolerances: Relative error that every plateau may have, by name.
            unrest: What else must be at most 1 at rest, by name.
        """
        if self.reached or self.stopped:
            return None if self.reached else self.stopped
        errors = {
            f"error of {name} over allowed": self.plateaus[name].relative_error / tolerance
            if name in self.plateaus
            else float("inf")
            for name, tolerance in tolerances.items()
        }
        return NotConverged(
            f"{type(stage).__name__}: no plateau within most_steps = {stage.most_steps}",
            time=float(self.times[-1]) if len(self.times) else 0.0,
            step=stage.most_steps,
            residuals=errors | dict(unrest),
        )


def until_plateau(
    engine: BeadEngine,
    quantities: Mapping[str, Callable[[], float]],
    tolerances: Mapping[str, float],
    *,
    window: float,
    most_steps: int,
    show: Show,
    ready: Callable[[], bool] = lambda: True,
    samples: int = 4 * FEWEST,
) -> Watched:
    """Run an engine until some quantities are at their plateaus.

    A plateau is judged from the samples within a window at the end, whose error has what a slow
    drift still leaves to come as a part.

    Args:
        engine: To run.
        quantities: What to watch, by name; the same on all ranks.
        tolerances: Relative error that every plateau may have, by name: of those that decide.
        window: Length of the window [s].
        most_steps: After which the run ends without plateau.
        show: Takes lines of progress.
        ready: Whether a plateau may be one yet.
        samples: In a window.
    """
    every = max(1, round(window / engine.time_step / samples))
    times: list[float] = []
    series: dict[str, list[float]] = {name: [] for name in quantities}
    found: dict[str, Plateau] = {}
    first, looks, stopped = engine.steps, 0, None
    while engine.steps - first < most_steps and looks < LOOKS:
        engine.run(every)
        times.append(engine.time)
        for name, measure in quantities.items():
            series[name].append(measure())
        try:
            stop_if_asked(engine.comm)
        except Interrupted as signal:
            stopped = signal
            break
        if len(times) % (samples // 4) or len(times) < samples:
            continue
        found = {
            name: plateau(np.array(values[-samples:]), discard=0.0)
            for name, values in series.items()
        }
        rests = ready() and all(found[name].reached(t) for name, t in tolerances.items())
        looks = looks + 1 if rests else 0
        show(
            f"step {engine.steps:7d}  "
            + "  ".join(f"{name} {p.mean:.4g} +- {p.error:.1e}" for name, p in found.items())
        )
    return Watched(
        times=np.array(times),
        series={name: np.array(values) for name, values in series.items()},
        plateaus=found,
        reached=looks == LOOKS,
        stopped=stopped,
    )
