"""Steady shear of a slurry: its viscosity at one rate.

The box is deformed, velocity along x and gradient along y, and the beads follow their forces alone:
no thermostat takes part, as it would resist the flow. The stress is that of pair forces, contacts
included, and of the motion beside the mean flow.

Beads in a slurry hardly have inertia, so their masses may be multiplied: dashpots and potentials
stay as they are, the time step grows with the root of the masses, and a strain costs the same at
any rate. How far, the inertia number says,

    I = rate sqrt(sum(m d^2) / (V p)),

the root of the stress that momentum would carry over p, the larger of bead pressure and shear
stress. It is bounded: a point with more is refused. Viscosities of 300 beads with the forces of
`library.suspension`, strain 6:

    inertia number      .25           .17           .09           .08           .03
    1000 /s, Pa s                     .297 +- .005  .294 +- .004                .303 +- .006
    100 /s, Pa s        .418 +- .008                              .413 +- .007

The error of a point is that of one run of one arrangement. Where beads hold together others differ
by more: by Table S1 as printed two runs of the same 1000 beads gave 24 and 45 Pa s at 100 /s, with
5 % each.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.environment.interruption import stop_if_asked
from femssb.errors import FemssbError, InputError, Interrupted, NotConverged
from femssb.inputs.beads import BeadForces, ForceField
from femssb.inputs.case import fingerprint
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.beads import Kinds
from femssb.particles.flow_curve import LARGEST_ERROR, LEAST_STRAIN, FlowPoint
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.lammps.flow import Flow, Stress
from femssb.particles.plateau import block_error, plateau
from femssb.particles.wet import Course, Show, WetStage

if TYPE_CHECKING:
    from mpi4py import MPI

SHARE = 0.5  # time step over the longest stable one
BLOCK = 0.025  # strain of one value of the stress
TRIAL = 0.1  # strain after which the masses are set again
TRIALS = 20  # at most
AIM = 0.8  # inertia number over its bound, at which the masses aim
CLOSE = 1.3  # factor of the masses that is not worth another trial
FAR = 2.0  # factor of the masses that is worth another start
STARTS = 3  # at most
LATE = 2.0  # strain of the start over that asked for, beyond which a point is doubtful
COARSEST = 2e-4  # strain of a time step
MORE = 0.5  # strain by which a point goes on whose error is too large
NARROWEST = 1.98  # side of the box over the largest diameter at which beads touch


@description
class Shear(WetStage):
    """Shear the slurry at one rate until its viscosity is known.

    The stage ends once the strain that counts is long enough, the error by blocks is within the
    tolerance and both halves agree within two standard errors. Until then it shears on,
    and leaves out the earliest strain until the rest is steady, at most half. Take several rates
    one after the other, best from the fastest to the slowest, and read them with `flow_curve`.
    """

    rate: float = field("of the shear", unit="1/s", above=0, upper=1e9)
    strain: float = field(
        "over which is averaged, at least", lower=LEAST_STRAIN, upper=1e4, default=LEAST_STRAIN
    )
    start: float = field("strain before that does not count", lower=1, upper=1e4, default=1.0)
    tolerance: float = field(
        "relative standard error of the viscosity", above=0, upper=LARGEST_ERROR, default=0.05
    )
    inertia: float = field(
        "bound of the inertia number, if masses are scaled", above=0, upper=0.3, default=0.1
    )
    mass_scaling: float | None = field(
        "factor of all masses; None: as large as the inertia number allows, at least `lightest`",
        above=0,
        upper=1e18,
        default=None,
    )
    lightest: float = field(
        "factor of all masses that is always allowed; below 1 to see the flow without the inertia "
        "that the beads truly have",
        above=0,
        upper=1,
        default=1.0,
    )

    most_steps: int = field(
        "after which the stage fails", lower=1, upper=2_000_000_000, default=4_000_000
    )

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        return f"Shear {self.rate:.3g} /s"

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If a side of the packing is a plane, the strain at this rate takes more
                steps than are allowed, or as `WetStage.check` does.
        """
        WetStage.check(self, packing, formulation, field)
        self.check_periodic(packing)
        step = COARSEST / self.rate
        if self.time_step is not None:
            step = min(step, self.time_step)
        elif self.mass_scaling is not None:
            step = SHARE * Kinds.of(packing).longest_step(self.forces(field), self.mass_scaling)
        self._check_steps(step, 0)

    def _check_steps(self, step: float, done: int) -> None:
        """Raise InputError if the strain cannot be reached in the steps that are left."""
        needed = (self.start + self.strain) / (self.rate * step)
        if done + needed > self.most_steps:
            raise InputError(
                f"Shear.rate = {self.rate:g} 1/s cannot be reached: a strain of "
                f"{self.start + self.strain:g} takes {needed:.3g} steps of {step:.3g} s"
                f"{f' after {done} for the masses' if done else ''}, and most_steps = "
                f"{self.most_steps}; allow more, scale the masses or shear faster"
            )

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage."""
        forces = self.forces(field)
        _check_sides(packing, forces)
        begun = time.process_time()
        scaling = 1.0 if self.mass_scaling is None else self.mass_scaling
        longest = Kinds.of(packing).longest_step(forces, scaling)
        with BeadEngine(
            packing, forces, comm, time_step=SHARE * longest, mass_scaling=scaling, sheared=True
        ) as engine:
            weight = float(np.sum(engine.masses * (2 * engine.radii) ** 2)) / engine.volume()
            run = _Run(self, engine, weight)
            outcome: FemssbError | Interrupted | None = None
            try:
                run.set_masses(show)
                self._check_steps(engine.time_step, engine.steps)
                outcome = run.until_known(show)
            except Interrupted as signal:
                outcome = signal
            used = comm.allreduce(time.process_time() - begun)
            report = {**run.report(), **engine.report()}
            if outcome is None:
                found = run.point(used)
                report["flow"] = asdict(found)
                report["forces"] = fingerprint(forces)
                report["warnings"] = run.warnings(found)
            run.close()
            reached = engine.packing()
        return Course(packing=reached, report=report, outcome=outcome)


class _Run:
    """One shear, from the choice of the masses to the point."""

    def __init__(self, stage: Shear, engine: BeadEngine, weight: float) -> None:
        """Start the flow; `weight` is sum(m d^2)/V with true masses [kg/m]."""
        self._stage, self._engine, self._weight = stage, engine, weight
        self._pressure = max(engine.pressure(), 0.0)  # at rest
        self._start = 0.0
        self._blocks: list[Stress] = []
        self._flow = Flow(engine, stage.rate)

    def set_masses(self, show: Show) -> None:
        """Set the masses as the stage wants them, by shearing a little and looking, if need be."""
        stage, engine = self._stage, self._engine
        if stage.mass_scaling is not None:
            self._scale(stage.mass_scaling)
            return
        self._scale(self._largest(self._pressure))
        for _ in range(TRIALS):
            seen = self._flow.run(TRIAL)
            stop_if_asked(engine.comm)
            wanted = self._largest(max(seen.pressure, seen.shear))
            now = engine.mass_scaling
            show(
                f"step {engine.steps:7d}  masses x {now:.3g}  stress {seen.shear:.4g} Pa  "
                f"bead pressure {seen.pressure:.4g} Pa"
            )
            if now / CLOSE <= wanted <= now * CLOSE:
                return
            self._scale(wanted)
        raise NotConverged(f"{stage.label}: no factor of the masses suits", step=engine.steps)

    def _largest(self, stress: float) -> float:
        """Return the largest factor of the masses at a stress that carries the beads [Pa]."""
        stage, engine = self._stage, self._engine
        factor = (AIM * stage.inertia / stage.rate) ** 2 * max(stress, 0.0) / self._weight
        if not factor:
            factor = 1e18
        factor = max(factor, stage.lightest)
        step = COARSEST / stage.rate
        while factor > stage.lightest and SHARE * engine.longest_step(factor) > step:
            excess = SHARE * engine.longest_step(factor) / step
            factor = max(factor / min(max(excess, 1.01), 100.0), stage.lightest)
        return factor

    def _scale(self, factor: float) -> None:
        engine, asked = self._engine, self._stage.time_step
        self._flow.scale_masses(factor, SHARE)
        if asked is not None:
            engine.set_time_step(asked)

    def until_known(self, show: Show) -> FemssbError | Interrupted | None:
        """Shear until the stress is known well enough; return why it is not, else None."""
        stage, engine = self._stage, self._engine
        self._begin()
        wanted = self._start + stage.strain
        while True:
            while self._start + self.strain < wanted:
                self._blocks.append(self._advance())
            self._start_later()
            seen = plateau(self._stresses(), discard=0.0)
            show(
                f"step {engine.steps:7d}  strain {self.strain:.3g}  viscosity "
                f"{seen.mean / stage.rate:.4g} +- {seen.error / stage.rate:.1g} Pa s"
            )
            known = seen.mean > 0 and seen.relative_error <= stage.tolerance
            if known and abs(seen.drift) <= 2 * seen.drift_error:
                break
            wanted += MORE
            if engine.steps + self._flow.steps(MORE) > stage.most_steps:
                return NotConverged(
                    f"{stage.label}: the viscosity is not known well enough within most_steps = "
                    f"{stage.most_steps}",
                    step=engine.steps,
                    residuals={
                        "error over allowed": seen.relative_error / stage.tolerance,
                        "difference of halves over allowed": abs(seen.drift)
                        / max(2 * seen.drift_error, 1e-300),
                    },
                )
        inertia = self.inertia()
        if inertia > stage.inertia and engine.mass_scaling > 1:
            return NotConverged(
                f"{stage.label}: masses times {engine.mass_scaling:.3g} make the inertia number "
                f"{inertia:.3g}, above {stage.inertia:g}",
                step=engine.steps,
                residuals={"inertia over allowed": inertia / stage.inertia},
            )
        return None

    def _begin(self) -> None:
        """Shear through the start, anew where its stress asks for quite other masses.

        Beads of several sizes in a small box stick and slip: a trial tells little of their stress.
        """
        for chances in reversed(range(STARTS)):
            seen: list[Stress] = []
            while sum(block.strain for block in seen) < self._stage.start:
                seen.append(self._advance())
            pressure, shear = (
                float(np.mean([getattr(block, name) for block in seen]))
                for name in ("pressure", "shear")
            )
            now, wanted = self._engine.mass_scaling, self._largest(max(pressure, shear))
            suit = now / FAR <= wanted <= now * FAR
            if suit or not chances or self._stage.mass_scaling is not None:
                break
            self._scale(wanted)
        self._start = sum(block.strain for block in seen)

    def _start_later(self) -> None:
        """Count strain to the start until what is left is steady, or is half of all strain.

        A flow may take longer than the start to become so. Strain that is steady is never left out:
        it is paid for, and to choose by the error would choose errors that are small by chance.
        """
        stresses = self._stresses()
        strains = np.cumsum([0.0] + [block.strain for block in self._blocks])
        left = strains[-1] - strains
        allowed = (left >= self._stage.strain) & (self._start + strains <= left)
        later = 0
        for first in range(0, len(stresses), max(1, round(MORE / strains[1]))):
            if first and not allowed[first]:
                break
            later = first
            if plateau(stresses[first:], discard=0.0).steady:
                break
        self._start += float(strains[later])
        del self._blocks[:later]

    def _advance(self) -> Stress:
        stress = self._flow.run(BLOCK)
        stop_if_asked(self._engine.comm)
        return stress

    @property
    def strain(self) -> float:
        """Strain that counts."""
        return sum(block.strain for block in self._blocks)

    def _stresses(self) -> Array:
        return np.array([block.shear for block in self._blocks])

    def _pressures(self) -> Array:
        return np.array([block.pressure for block in self._blocks])

    def inertia(self) -> float:
        """Return the inertia number of the strain that counts."""
        stress = max(float(self._pressures().mean()), float(self._stresses().mean()))
        weight = self._weight * self._engine.mass_scaling
        return float(self._stage.rate * np.sqrt(weight / stress))

    def report(self) -> dict[str, object]:
        """Return the series as plain data."""
        return {
            "stresses [Pa]": self._stresses().tolist(),
            "bead pressures [Pa]": self._pressures().tolist(),
            "strain of a block": self._blocks[0].strain if self._blocks else 0.0,
        }

    def point(self, cpu_time: float) -> FlowPoint:
        """Return the point."""
        seen, pressures = plateau(self._stresses(), discard=0.0), self._pressures()
        differences = np.mean([block.normal_differences for block in self._blocks], axis=0)
        moved = float(np.mean([block.motion[3] for block in self._blocks]))
        first, second = seen.mean - seen.drift / 2, seen.mean + seen.drift / 2
        return FlowPoint(
            rate=self._stage.rate,
            stress=seen.mean,
            error=seen.error,
            strain=self.strain,
            start=self._start,
            halves=(first, second),
            halves_error=seen.drift_error,
            pressure=float(pressures.mean()),
            pressure_error=block_error(pressures),
            normal_differences=(float(differences[0]), float(differences[1])),
            inertia=self.inertia(),
            mass_scaling=self._engine.mass_scaling,
            motion=moved / seen.mean,
            steps=self._engine.steps,
            time_step=self._engine.time_step,
            cpu_time=cpu_time,
        )

    def warnings(self, found: FlowPoint) -> list[str]:
        """Return what is to be warned of."""
        said = []
        if found.inertia > self._stage.inertia:
            said.append(
                f"at {found.rate:g} 1/s the inertia number is {found.inertia:.2g} with true "
                "masses: the beads themselves have inertia"
            )
        if found.start > LATE * self._stage.start:
            said.append(
                f"at {found.rate:g} 1/s the flow was not steady before a strain of "
                f"{found.start:.3g}: other arrangements may differ by more than the error of "
                f"{found.viscosity_error:.2g} Pa s"
            )
        return said

    def close(self) -> None:
        """Shear on until the lattice of the box is a straight one."""
        self._flow.straighten()


def _check_sides(packing: Packing, forces: BeadForces) -> None:
    """Raise InputError if two beads could touch twice, across different sides."""
    phases = tuple(packing.phase_names[row] for row in packing.phases)
    largest = 2 * float(forces.contact_radii(phases, 2 * packing.radii).max())
    side = float(packing.lengths.min())
    if side < NARROWEST * largest:
        raise InputError(
            f"Shear: a side of the box, {side:g} m, is less than two of the largest diameter at "
            f"which beads touch, {largest:g} m: two beads could touch twice; take more beads"
        )
