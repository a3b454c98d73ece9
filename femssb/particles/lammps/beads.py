"""LAMMPS as the engine of beads: Lennard-Jones pairs and granular contacts, in real time.

LAMMPS works in pg, um and us here: energies in 1e-15 J, forces in nN, pressures in kPa. All sides
of the box are periodic, or those across z are planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import EngineError, check_number
from femssb.inputs.beads import BeadForces
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.particles.beads import Kinds
from femssb.particles.lammps.engine import _engine_errors, _start

if TYPE_CHECKING:
    from mpi4py import MPI

LENGTH, TIME, MASS = 1e-6, 1e-6, 1e-15  # LAMMPS's micro units [m], [s], [kg]
ENERGY, FORCE, PRESSURE = 1e-15, 1e-9, 1e3  # [J], [N], [Pa]
SKIN = 1.5  # of neighbour lists over the median radius: with 0.3, slurries take 1.4 times as long
USUAL_STEP = 0.5  # time step over the longest stable one, if none is given: .3 and .6 agree

_AXES = "xyz"
_NEEDED = {
    ("pair", "lj/sf"): "EXTRA-PAIR",
    ("pair", "gran/hertz/history"): "GRANULAR",
}


class BeadEngine:
    """A running LAMMPS simulation of beads; use it in `with`.

    Attributes:
        comm: The ranks that share the work.
        time_step: [s].
        limit: Longest time step that is stable, as estimated [s].
        time: Since the start [s].
        steps: Since the start.
    """

    def __init__(
        self,
        packing: Packing,
        forces: BeadForces,
        comm: MPI.Intracomm | None = None,
        *,
        time_step: float | None = None,
        mass_scaling: float = 1.0,
        drag: float = 0.0,
        sheared: bool = False,
    ) -> None:
        """Start LAMMPS and put the packing in it, at rest.

        Args:
            packing: With the masses of its beads.
            forces: Between the beads.
            comm: The ranks that share the work; all of `MPI.COMM_WORLD` if left out.
            time_step: Of the motion [s]; a share of the longest stable one if left out.
            mass_scaling: Factor of all masses; dashpots keep their strength [-].
            drag: Share of its velocity that every bead loses in a longest stable time step.
            sheared: Whether the box may be tilted.

        Raises:
            EngineError: If LAMMPS is missing or lacks a package.
            InputError: If the packing has no masses, the forces lack a phase, or the time step is
                longer than the stable one.
        """
        self.kinds = Kinds.of(packing)
        self._start = packing
        self.phase_names = packing.phase_names
        self.mass_scaling, self.drag = mass_scaling, drag
        self.radii, self.masses = np.array(packing.radii), np.array(packing.masses)
        self.forces = forces
        self._sheared = sheared
        self.steps, self.time = 0, 0.0
        self.limit = self._limit()
        self.time_step = USUAL_STEP * self.limit if time_step is None else time_step
        check_number("beads", "time_step", self.time_step, above=0, upper=self.limit, unit="s")
        self._lammps, self.comm = _start(comm)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            with _engine_errors(self.comm):
                self._build(packing)
            on_failure.pop_all()

    def __enter__(self) -> BeadEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End LAMMPS."""
        self._lammps.close()

    def command(self, *lines: str) -> None:
        """Give LAMMPS commands in its own words and units.

        Raises:
            EngineError: If LAMMPS does not like one.
        """
        with _engine_errors(self.comm):
            for line in lines:
                self._lammps.command(line)

    def longest_step(self, mass_scaling: float) -> float:
        """Return the longest time step that is stable with a factor of the masses [s]."""
        return self.kinds.longest_step(self.forces, mass_scaling)

    def _limit(self) -> float:
        """Return the longest time step that is stable [s]."""
        return self.longest_step(self.mass_scaling)

    def set_time_step(self, time_step: float) -> None:
        """Set the time step of the motion [s].

        Raises:
            InputError: If it is longer than the stable one.
        """
        check_number("beads", "time_step", time_step, above=0, upper=self.limit, unit="s")
        self.time_step = time_step
        self.command(f"timestep {time_step / TIME:.17g}")

    def _build(self, packing: Packing) -> None:
        for (kind, style), package in _NEEDED.items():
            if not self._lammps.has_style(kind, style):
                raise EngineError(f"this LAMMPS lacks the package {package} ({kind} {style})")
        run = self._lammps.command
        edges = " ".join("p" if side else "f" for side in packing.periodic)
        run("units micro")
        run("atom_style sphere")
        run("atom_modify map array")
        run(f"boundary {edges}")
        run("newton on")  # pairs across sides once: 1.1 times as fast
        run("comm_modify vel yes")
        low, high = packing.lower / LENGTH, packing.upper / LENGTH
        ends = " ".join(f"{a:.17g} {b:.17g}" for a, b in zip(low, high, strict=True))
        if self._sheared:
            run(f"region box prism {ends} 0 0 0 units box")
        else:
            run(f"region box block {ends} units box")
        run(f"create_box {len(self.kinds.diameters)} box")
        n = len(packing.radii)
        inside = wrapped(packing.positions, packing.period, packing.lower)
        centres = (inside / LENGTH).ravel().tolist()
        kinds = (self.kinds.of_bead + 1).tolist()
        self._lammps.create_atoms(n, list(range(1, n + 1)), kinds, centres, shrinkexceed=False)
        if self._lammps.get_natoms() != n:
            raise EngineError(f"LAMMPS took {self._lammps.get_natoms()} of {n} beads")
        rows = self._owned()
        touching = self.forces.contact_radii(self.kinds.phases, self.kinds.diameters)
        self._local("radius")[:] = touching[self.kinds.of_bead[rows]] / LENGTH
        self._local("rmass")[:] = self.masses[rows] * self.mass_scaling / MASS
        self._start_forces()
        run(f"timestep {self.time_step / TIME:.17g}")
        run("fix motion all nve/sphere")
        if self.drag:
            # Forces of friction on each bead: LAMMPS's heat bath, cold.
            damp = self.limit / (self.drag * TIME)
            run(f"fix drag all langevin 0.0 0.0 {damp:.17g} 1 omega yes")
        run("compute pressing all pressure NULL virial")
        run(
            "thermo_style custom step c_pressing[1] c_pressing[2] c_pressing[3] "
            "c_pressing[4] c_pressing[5] c_pressing[6] vol ke"
        )
        run("thermo 1000000000")
        run("thermo_modify lost ignore norm no")
        run("run 0 post no")

    def _start_forces(self) -> None:
        """Define the forces between beads."""
        run, forces = self._lammps.command, self.forces
        # Dashpots of LAMMPS go with the mass: scaled masses must not change them.
        stiffness = forces.stiffness / PRESSURE
        damping = forces.damping * LENGTH * TIME / self.mass_scaling
        epsilon, sigma, cutoff = forces.pairs(self.kinds.phases, self.kinds.diameters)
        run(
            f"pair_style hybrid/overlay lj/sf {cutoff.max() / LENGTH:.17g} gran/hertz/history "
            f"{stiffness:.17g} {stiffness * forces.tangential_stiffness:.17g} {damping:.17g} "
            f"{damping * forces.tangential_damping:.17g} {forces.friction:.17g} 1"
        )
        for i in range(len(epsilon)):
            for j in range(i, len(epsilon)):
                run(
                    f"pair_coeff {i + 1} {j + 1} lj/sf {epsilon[i, j] / ENERGY:.17g} "
                    f"{sigma[i, j] / LENGTH:.17g} {cutoff[i, j] / LENGTH:.17g}"
                )
        run("pair_coeff * * gran/hertz/history")
        run(f"neighbor {SKIN * float(np.median(self.radii)) / LENGTH:.6g} multi")
        run("neigh_modify every 1 delay 0 check yes one 20000 page 2000000")
        # Images of a bead only as far as its own kind reaches: a third of them, 1.3 times as fast.
        run("comm_modify mode multi")

    def _local(self, name: str) -> NDArray[Any]:
        """Return an array of the beads that this rank owns: a view of LAMMPS's memory."""
        return self._lammps.numpy.extract_atom(name)[: self._lammps.extract_setting("nlocal")]

    def _owned(self) -> NDArray[np.int64]:
        """Return the rows of the beads that this rank owns."""
        return self._local("id").astype(np.int64) - 1

    def _gathered(self, name: str) -> Array:
        """Return a quantity of every bead in LAMMPS's units, the same on all ranks."""
        local = np.array(self._local(name))
        values = np.full((len(self.radii), *local.shape[1:]), np.nan)
        for rows, part in self.comm.allgather((self._owned(), local)):
            values[rows] = part
        return values

    def run(self, steps: int) -> None:
        """Take some steps.

        Raises:
            EngineError: If LAMMPS stops, or beads left the box: the first one is named.
        """
        with _engine_errors(self.comm):
            self._lammps.command(f"run {steps} post no")
        self.steps += steps
        self.time += steps * self.time_step
        self._check_beads()

    def _check_beads(self) -> None:
        """Raise EngineError if beads are lost, or have no finite velocity any more."""
        left = int(self._lammps.get_natoms())
        if left < len(self.radii):
            gone = np.flatnonzero(np.isnan(self._gathered("rmass")))
            many = f", and {len(gone) - 1} more" if len(gone) > 1 else ""
            long = f"the time step, {self.time_step:.4g} s, is too long"
            closed = not all(self._start.periodic)
            raise EngineError(
                f"{self._named(gone[0])}{many} left the box{' through a plane' * closed}, by "
                f"{self.time:.4g} s (step {self.steps}): "
                f"{'the plane is too soft or too fast, or ' * closed}{long}"
            )
        if not np.isfinite(self.kinetic_energy()):
            wild = np.flatnonzero(~np.isfinite(self._gathered("v")).all(axis=1))
            raise EngineError(
                f"{self._named(wild[0])} has no finite velocity any more, by {self.time:.4g} s "
                f"(step {self.steps}): the time step, {self.time_step:.4g} s, is too long"
            )

    def _named(self, bead: int) -> str:
        """Return how a bead is called in messages."""
        return f"bead {bead} ({self.phase_names[self._start.phases[bead]]})"

    def run_limited(self, steps: int, distance: float) -> None:
        """Take some steps in none of which a bead moves farther than a distance [m]."""
        self.command("unfix motion", f"fix motion all nve/limit {distance / LENGTH:.17g}")
        self.run(steps)
        self.command("unfix motion", "fix motion all nve/sphere")
        self.stop()

    def stop(self) -> None:
        """Take all velocities from the beads."""
        self._local("v")[:] = 0.0
        self._local("omega")[:] = 0.0

    def set_velocities(self, velocities: Array, spins: Array | float = 0.0) -> None:
        """Give the beads velocities [m/s] and angular velocities [1/s], shape (n, 3) each."""
        rows = self._owned()
        self._local("v")[:] = velocities[rows] * (TIME / LENGTH)
        self._local("omega")[:] = np.broadcast_to(spins, velocities.shape)[rows] * TIME

    def scale_masses(self, factor: float, share: float) -> None:
        """Set the factor of all masses, and the time step to a share of the longest stable one.

        Dashpots keep their strength; tangential springs start anew.
        """
        self._local("rmass")[:] *= factor / self.mass_scaling
        self.mass_scaling = factor
        self.limit = self._limit()
        with _engine_errors(self.comm):
            self._start_forces()
        self.set_time_step(share * self.limit)

    def fix_values(self, name: str, count: int) -> Array:
        """Return the vector that a fix of LAMMPS holds, in its units, shape (count,)."""
        with _engine_errors(self.comm):
            return np.array([self._lammps.extract_fix(name, 0, 1, i) for i in range(count)])

    def follow_pressure(
        self, pressure: float, *, axes: str = "xyz", modulus: float, period: float
    ) -> None:
        """Let the box follow a pressure from now on.

        Args:
            pressure: Positive compresses [Pa].
            axes: "xyz", all alike, or "z".
            modulus: Of the beads, as they are expected to resist [Pa].
            period: In which the difference of pressure goes [s].
        """
        value, time = f"{pressure / PRESSURE:.17g}", f"{period / TIME:.17g}"
        how = (
            f"iso {value} {value} {time}"
            if axes == "xyz"
            else " ".join(f"{axis} {value} {value} {time}" for axis in axes)
        )
        self.hold_box()
        self.command(
            f"fix box all press/berendsen {how} modulus {modulus / PRESSURE:.17g}",
            "fix_modify box press pressing",
        )
        self._box_fix = True

    _box_fix = False

    def resize(self, lengths: Sequence[float], steps: int) -> None:
        """Change the edges of the box to some lengths [m], within a number of steps, taken here."""
        lower, upper = self.box()
        middle = (lower + upper) / 2
        parts = " ".join(
            f"{axis} final {(m - length / 2) / LENGTH:.17g} {(m + length / 2) / LENGTH:.17g}"
            for axis, m, length in zip(_AXES, middle, lengths, strict=True)
        )
        self.hold_box()
        self.command(f"fix box all deform 1 {parts} remap x units box")
        self._box_fix = True
        self.run(steps)
        self.hold_box()

    def straighten(self) -> None:
        """Take away what tilt is left of a box that was sheared, together with the beads."""
        self.hold_box()
        self.command("change_box all xy final 0.0 remap units box")

    def shear(self, rate: float) -> None:
        """Shear the box from now on: velocity along x, gradient along y [1/s]."""
        self.hold_box()
        self.command(f"fix box all deform 1 xy erate {rate * TIME:.17g} remap v flip yes units box")
        self._box_fix = True

    def hold_box(self) -> None:
        """Keep the box as it is from now on."""
        if self._box_fix:
            self.command("unfix box")
            self._box_fix = False

    def box(self) -> tuple[Array, Array]:
        """Return both corners of the box, shapes (3,) [m]; its tilt is not in them."""
        low, high = self._lammps.extract_box()[:2]
        return np.array(low) * LENGTH, np.array(high) * LENGTH

    def tilt(self) -> float:
        """Return how far the upper side of the box lies ahead of the lower one along x [m]."""
        return float(self._lammps.extract_box()[2]) * LENGTH

    def volume(self) -> float:
        """Return the volume of the box [m3]."""
        lower, upper = self.box()
        return float(np.prod(upper - lower))

    def pressure_tensor(self) -> Array:
        """Return the mean pressure of the pair forces, positive compresses, shape (3, 3) [Pa].

        Valid after a run, for its last step.
        """
        xx, yy, zz, xy, xz, yz = self._lammps.numpy.extract_compute("pressing", 0, 1)[:6]
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) * PRESSURE

    def pressure(self) -> float:
        """Return the mean bead pressure [Pa]."""
        return float(np.trace(self.pressure_tensor()) / 3)

    def positions(self) -> Array:
        """Return the centres, shape (n, 3) [m]."""
        return self._gathered("x") * LENGTH

    def velocities(self) -> Array:
        """Return the velocities, shape (n, 3) [m/s]."""
        return self._gathered("v") * (LENGTH / TIME)

    def net_forces(self) -> Array:
        """Return the net force on every bead, shape (n, 3) [N]."""
        return self._gathered("f") * FORCE

    def kinetic_energy(self) -> float:
        """Return the energy of all motion along lines [J]."""
        speeds = np.einsum("ij,ij->i", self._local("v"), self._local("v"))
        own = float(np.sum(self._local("rmass") * speeds) / 2)
        return float(self.comm.allreduce(own)) * ENERGY

    def report(self) -> dict[str, Any]:
        """Return what is kept of how the beads were moved, as plain data."""
        return {
            "time_step": self.time_step,
            "stable_time_step": self.limit,
            "steps": self.steps,
            "time": self.time,
            "mass_scaling": self.mass_scaling,
        }

    def packing(self, origin: dict[str, Any] | None = None) -> Packing:
        """Return the present state, without contacts."""
        lower, upper = self.box()
        return replace(
            self._start,
            positions=self.positions(),
            radii=self.radii,
            masses=self.masses,
            lower=lower,
            upper=upper,
            origin=self._start.origin if origin is None else origin,
            stress=None,
            contacts=None,
        )
