"""Stages of a process: pressing, unloading, growing and shrinking of a phase.

`press` in `femssb.particles.pressing` does stages one after the other, and knows nothing of their
kinds: a new kind is a class derived from `Stage`, which overrides whatever differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, shown
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.particles.servo import Servo
from femssb.units import MPa

if TYPE_CHECKING:
    from femssb.particles.lammps.engine import Engine

MOST_CYCLES = 10_000
NARROWEST = 1.98  # distance of periodic sides over the largest diameter: two, but for the share by
# which a recipe scales its sizes to meet its volume


class Work:
    """Work of a stage between two corrections of the planes: none, if nothing is overridden."""

    done = True  # a packing may come to rest only then
    progress = ""  # part of the lines of progress

    def advance(self, error: float) -> None:
        """Do the next part; the error is the largest relative one of pressure on moving planes."""


@description
class Stage:
    """Planes follow one pressure until the packing between them is at rest: base of all stages."""

    pressure: float = field(
        "on the planes that move, positive compresses", unit="Pa", lower=1e3, upper=1e11
    )

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        return f"{type(self).__name__} {self.pressure / MPa:.3g} MPa"

    def prepared(self, packing: Packing) -> Packing:
        """Return the packing with which the stage starts."""
        return packing

    def expected(self, packing: Packing) -> Packing:
        """Return the packing with the sides and radii that it will have after the stage.

        Raises:
            InputError: If the stage does not suit the packing.
        """
        return self.prepared(packing)

    def check(self, packing: Packing) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If the stage does not suit the packing, there are no planes across z, or
                periodic sides are so near that two spheres could touch twice.
        """
        after = self.expected(packing)
        largest = 2 * after.radii.max()
        for axis, length, joined in zip("xyz", after.lengths, after.periodic, strict=True):
            if joined and length < NARROWEST * largest:
                raise InputError(
                    f"press: the sides across {axis} are periodic and {length:g} m apart, but the "
                    f"largest diameter is {largest:g} m: two spheres could touch twice"
                )
        if after.periodic[2]:
            raise InputError(f"press: {type(self).__name__} needs planes across z")

    def axes(self, periodic: tuple[bool, ...]) -> NDArray[np.bool_]:
        """Return across which axes planes move, shape (3,): all planes if not overridden."""
        return ~np.array(periodic)

    def wanted(self, engine: Engine, pressures: Array) -> float:
        """Return the pressure that the planes follow now, given that on every face, (6,) [Pa]."""
        return self.pressure

    def work(self, engine: Engine, servo: Servo) -> Work:
        """Return what is done between corrections of the planes."""
        return Work()


@description
class Uniaxial(Stage):
    """Press between two planes along z, or unload to a lower pressure; x and y stay as they are."""

    def axes(self, periodic: tuple[bool, ...]) -> NDArray[np.bool_]:
        """Return that planes across z move, shape (3,)."""
        return np.array([False, False, not periodic[2]])


@description
class Isostatic(Stage):
    """Press with one pressure on all six faces; sides that were periodic become planes."""

    def prepared(self, packing: Packing) -> Packing:
        """Return the packing between six planes."""
        return between_planes(packing)


@description
class Swell(Stage):
    """Change the size of the spheres of one phase, with one pressure on all planes.

    One half of a cycle: the growth of an active material on discharge, or its reverse on charge.
    """

    phase: str = field("that changes its size")
    growth: float = field("relative change, negative shrinks", lower=-0.5, upper=1.0)
    of: Literal["diameter", "volume"] = field("quantity that changes by it", default="diameter")

    def factor(self) -> float:
        """Return the new diameter over the old one."""
        return 1 + self.growth if self.of == "diameter" else float(np.cbrt(1 + self.growth))

    def expected(self, packing: Packing) -> Packing:
        """Return the packing with the radii that it will have after the stage.

        Raises:
            InputError: If it lacks the phase.
        """
        known = packing.phase_names
        if self.phase not in known:
            raise InputError(f"press: Swell.phase = {self.phase!r}, but the packing has {known!r}")
        factors = np.where(packing.of_phase(self.phase), self.factor(), 1.0)
        return replace(packing, radii=factors * packing.radii)

    def work(self, engine: Engine, servo: Servo) -> Work:
        """Return the growth, which is done in small parts."""
        return Growth(engine, {self.phase: self.factor()}, servo)


class Growth(Work):
    """Growth or shrinkage of phases in small parts, each of which waits for the planes."""

    def __init__(self, engine: Engine, factors: Mapping[str, float], servo: Servo) -> None:
        """Take the new diameter over the old one of each phase that changes."""
        self._engine, self._servo, self._turn = engine, servo, 0
        self._whole = np.log([factors.get(name, 1.0) for name in engine.phase_names])
        self._left = self._whole.copy()
        self._report()

    def advance(self, error: float) -> None:
        """Change the sizes by one part, if it is their turn and the planes keep up."""
        due = self._turn % self._servo.growth_interval == 0
        self._turn += 1
        if due and error < self._servo.growth_error and not self.done:
            part = np.clip(self._left, -self._servo.growth, self._servo.growth)
            self._left -= part
            self._engine.scale_radii(np.exp(part))
            self._report()

    def _report(self) -> None:
        largest = np.argmax(np.abs(self._whole))
        whole, left = self._whole[largest], self._left[largest]
        self.done = not self._left.any()
        self.progress = f"{whole - left:+.4f} of {whole:+.4f} grown"


def between_planes(packing: Packing) -> Packing:
    """Return a packing whose periodic sides, if any, became planes that just touch its spheres.

    Contacts across these sides are gone; the others keep what they remember.
    """
    if not any(packing.periodic):
        return packing
    positions = wrapped(packing.positions, packing.period, packing.lower)
    radii = packing.radii[:, None]
    contacts = packing.contacts
    if contacts is not None:
        straight = positions[contacts.second] - positions[contacts.first]
        away = np.linalg.norm(straight - contacts.branches, axis=1)
        kept = ~contacts.between_spheres | (away < packing.radii[contacts.first])
        contacts = contacts.part(kept)
    return replace(
        packing,
        positions=positions,
        lower=np.where(packing.periodic, np.min(positions - radii, axis=0), packing.lower),
        upper=np.where(packing.periodic, np.max(positions + radii, axis=0), packing.upper),
        periodic=(False, False, False),
        stress=None,
        contacts=contacts,
    )


def opened(packing: Packing, touching: float) -> Packing:
    """Return a packing whose sides across z, if they were periodic, just clear all beads.

    Args:
        packing: Any.
        touching: Largest radius at which a bead touches over its own.
    """
    if not packing.periodic[2]:
        return packing
    positions = wrapped(packing.positions, packing.period, packing.lower)
    lower, upper = packing.lower.copy(), packing.upper.copy()
    lower[2] = np.min(positions[:, 2] - touching * packing.radii)
    upper[2] = np.max(positions[:, 2] + touching * packing.radii)
    return replace(
        packing,
        positions=positions,
        lower=lower,
        upper=upper,
        periodic=(*packing.periodic[:2], False),
        contacts=None,
        stress=None,
    )


def cycles(
    phase: str,
    growth: float,
    *,
    pressure: float,
    count: int,
    of: Literal["diameter", "volume"] = "diameter",
) -> list[Swell]:
    """Return the stages of cycles in which one phase grows and shrinks back to its first size.

    Args:
        phase: The one that changes.
        growth: Relative change, positive: grows first, as a cathode does on discharge [-].
        pressure: On every plane, positive compresses [Pa].
        count: Number of cycles, at least 1.
        of: Quantity that changes by it.

    Raises:
        InputError: If an argument is out of its bounds.
    """
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or not 1 <= count <= MOST_CYCLES:
        must = f"must be a whole number from 1 to {MOST_CYCLES}"
        raise InputError(f"cycles: count = {shown(count)} {must}")
    grow = Swell(phase=phase, growth=growth, pressure=pressure, of=of)
    return [grow, replace(grow, growth=1 / (1 + growth) - 1)] * count
