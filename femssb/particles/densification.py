"""Densification of dried electrodes by contacts that yield, and pores of the binder that collapse.

A dried packing of the wet route goes to `press` as it is: the solids of its phases bring elasticity
and yield pressures, and `Compaction` opens its sides across z. Two things keep a calendered
electrode from springing back: dents at contacts, which are the law's, and the pores inside the
carbon-binder domain, which are the stage's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.packing.stress import particle_stress
from femssb.particles.servo import Servo
from femssb.particles.stages import Uniaxial, Work, opened
from femssb.units import MPa, um

if TYPE_CHECKING:
    from femssb.particles.lammps.engine import Engine

STIFF = 20.0  # relative change of the wanted pressure over that of the thickness
FASTEST = 0.3  # largest relative change of it
CLOSED = 1e-4  # relative change of a diameter that no longer counts


@description
class Porous:
    """A phase whose spheres hold pores, which collapse under pressure."""

    phase: str = field("whose spheres are porous")
    porosity: float = field("share of pores in a sphere, before", above=0, below=1)
    strength: float = field(
        "mean pressure in a sphere at which these pores begin to collapse",
        unit="Pa",
        lower=1e4,
        upper=1e11,
    )


@checked
def collapsed(porosity: float, strength: float, pressure: Array) -> Array:
    """Return the porosity that a pressure leaves in a porous solid which yields.

    The pressure that a hollow sphere of ideally plastic solid can carry goes with the logarithm of
    its porosity e: p(e) = (2/3) Y ln(1/e), A. L. Gurson, J. Eng. Mater. Technol. 99, 2 (1977), doi
    10.1115/1.3443401. With the strength p_0 at the porosity e_0 it follows that e = e_0^(p/p_0).

    Args:
        porosity: Before, e_0.
        strength: At which the collapse begins, p_0 [Pa].
        pressure: Mean one in the solid, pores included, any shape [Pa].

    Raises:
        InputError: If porosity or strength is out of its bounds.
    """
    check_number("collapsed", "porosity", porosity, above=0, below=1)
    check_number("collapsed", "strength", strength, lower=1e4, upper=1e11, unit="Pa")
    return np.asarray(porosity ** np.maximum(1.0, np.asarray(pressure) / strength))


@description
class Compaction(Uniaxial):
    """Press a dried electrode to a pressure, or with that pressure at least to a thickness.

    Sides across z that are periodic are opened where the outermost spheres end. The thickness is
    the distance of the planes. Under the mean pressure in the spheres of `porous`, all of them
    shrink alike as their pores collapse; unloaded, the pores stay collapsed. The contacts of a
    sphere do not become harder as it becomes denser.
    """

    thickness: float | None = field(
        "of the electrode under load; None: that at the pressure",
        unit="m",
        lower=0.01 * um,
        upper=1.0,
        default=None,
    )
    porous: Porous | None = field("phase whose pores collapse", default=None)

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        if self.thickness is not None:
            return f"{type(self).__name__} to {self.thickness / um:.4g} um"
        return f"{type(self).__name__} {self.pressure / MPa:.3g} MPa"

    def prepared(self, packing: Packing) -> Packing:
        """Return the packing with which the stage starts."""
        return opened(packing, 1.0)

    def expected(self, packing: Packing) -> Packing:
        """Return the packing with the sides and radii that it will have after the stage.

        Raises:
            InputError: If it lacks the porous phase.
        """
        if self.porous is not None and self.porous.phase not in packing.phase_names:
            raise InputError(
                f"press: Compaction.porous.phase = {self.porous.phase!r}, but the packing has "
                f"{packing.phase_names!r}"
            )
        return self.prepared(packing)

    def wanted(self, engine: Engine, pressures: Array) -> float:
        """Return the pressure that the planes across z follow now [Pa]."""
        if self.thickness is None:
            return self.pressure
        excess = float(engine.planes[2, 1] - engine.planes[2, 0]) / self.thickness - 1
        found = max(self.pressure, float(pressures.reshape(3, 2)[2].mean()))
        return found * (1 + float(np.clip(STIFF * excess, -FASTEST, FASTEST)))

    def work(self, engine: Engine, servo: Servo) -> Work:
        """Return the collapse of pores, if there are any."""
        return Work() if self.porous is None else Collapse(engine, self.porous, servo)


class Collapse(Work):
    """Pores that collapse in small parts, each of which waits for the planes."""

    def __init__(self, engine: Engine, porous: Porous, servo: Servo) -> None:
        """Take the phase."""
        self._engine, self._porous, self._servo = engine, porous, servo
        self._turn, self._porosity, self.done = 0, porous.porosity, False

    def advance(self, error: float) -> None:
        """Shrink the spheres by one part, if it is their turn and the planes keep up."""
        due = self._turn % self._servo.growth_interval == 0
        self._turn += 1
        if not due or error >= self._servo.growth_error:
            return
        porous, now = self._porous, self._porosity
        left = float(collapsed(porous.porosity, porous.strength, np.array(self._pressure())))
        whole = np.log((1 - now) / (1 - min(now, left))) / 3  # of the diameter
        self.done = bool(abs(whole) < CLOSED)
        if self.done:
            return
        part = max(float(whole), -self._servo.growth)
        self._porosity = 1 - (1 - now) * np.exp(-3 * part)
        names = self._engine.phase_names
        self._engine.scale_radii(np.where([n == porous.phase for n in names], np.exp(part), 1.0))
        self.progress = f"pores of {porous.phase} {self._porosity:.3f}"

    def _pressure(self) -> float:
        """Return the mean pressure in the spheres of the phase [Pa]."""
        packing = self._engine.packing(self._engine.contacts(), {})
        chosen = packing.of_phase(self._porous.phase)
        stress = particle_stress(packing)[chosen]
        pressures = -np.trace(stress, axis1=1, axis2=2) / 3
        return float(np.average(pressures, weights=packing.volumes[chosen]))
