"""The surfaces of a half-cell: a table of where bodies meet or end, and what acts there.

One sign convention holds for all of them. The normal points out of the minus body into the plus
body, or out of the cell where there is none. The jump is the displacement of the plus side minus
that of the minus side, in the local frame (normal, then two tangents): its first component, the
gap, is positive where the surface is open. Tension is positive. A current is positive when anodic:
lithium leaves the particle or the metal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.cell.kinetics import (
    InsertionCurrent,
    contact_resistance,
    insertion_current,
    metal_current,
)
from femssb.cell.regions import ELECTRONIC, IONIC, LITHIUM, MATRIX, PARTICLE
from femssb.inputs.boundary import Support
from femssb.inputs.materials import (
    ActiveMaterial,
    CohesiveLaw,
    ContactResistance,
    InsertionKinetics,
    Materials,
    MetalKinetics,
)

Array = NDArray[np.float64]
Side = Literal["minus", "plus"]
# A field, the side on which it is seen, and its factor in each quantity of a law.
Seen = tuple[str, Side, tuple[float, ...]]
PointLaw = Callable[[Array], tuple[Array, Array]]

INTERFACE = "interface"  # where the particles meet the matrix


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """Lithium passes between the grains (minus) and the ions and electrons around (plus).

    The law takes the stoichiometry and phi_s - phi_l.
    """

    active: ActiveMaterial
    kinetics: InsertionKinetics
    resistance: ContactResistance
    temperature: float  # [K]

    sees: ClassVar[tuple[Seen, ...]] = (
        (LITHIUM, "minus", (1.0, 0.0)),
        (IONIC, "plus", (0.0, -1.0)),
        (ELECTRONIC, "plus", (0.0, 1.0)),
    )

    def current(self, values: Array, gap: Array) -> InsertionCurrent:
        """Return the kinetics at points, from the values (n, 2) and the gap (n,) [m]."""
        return self._current(values, contact_resistance(self.resistance, gap))

    def at_gap(self, gap: Array) -> PointLaw:
        """Return what gives the fluxes (n, 2) [A/m2] and their derivatives (n, 2, 2)."""
        resistance = contact_resistance(self.resistance, gap)

        def respond(values: Array) -> tuple[Array, Array]:
            found = self._current(values, resistance)
            slope = found.d_concentration * self.active.maximum_concentration
            row = np.column_stack([slope, found.d_potential])
            flux = np.repeat(found.current[:, None], 2, axis=1)
            return flux, np.repeat(row[:, None, :], 2, axis=1)

        return respond

    def _current(self, values: Array, resistance: Array) -> InsertionCurrent:
        return insertion_current(
            self.kinetics,
            self.active,
            self.temperature,
            concentration=values[:, 0] * self.active.maximum_concentration,
            potential_difference=values[:, 1],
            resistance=resistance,
        )


@dataclass(frozen=True, kw_only=True)
class Metal:
    """Lithium metal, at zero potential outside, dissolves into the ions of the minus side.

    The law takes -phi_l.
    """

    kinetics: MetalKinetics
    temperature: float  # [K]

    sees: ClassVar[tuple[Seen, ...]] = ((IONIC, "minus", (-1.0,)),)

    def at_gap(self, gap: Array) -> PointLaw:
        """Return what gives the flux (n, 1) [A/m2] and its derivative (n, 1, 1) at any gap."""

        def respond(values: Array) -> tuple[Array, Array]:
            current, slope = metal_current(self.kinetics, self.temperature, values[:, 0])
            return current[:, None], slope[:, None, None]

        return respond


@dataclass(frozen=True, kw_only=True)
class Prescribed:
    """The electronic potential is the same all over: the cell voltage, or what a current needs."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A surface where two bodies meet, or where one ends.

    Attributes:
        name: Of its facets in the mesh.
        minus: Body on the minus side.
        plus: Body on the plus side; none at an end of the cell.
        current: Law of the current through it; None where none passes.
        traction: Law of the traction between its sides, or how an end is held.
    """

    name: str
    minus: str
    plus: str = ""
    current: Insertion | Metal | Prescribed | None = None
    traction: CohesiveLaw | Support


def surfaces(materials: Materials, *, collector: Support, anode: Support) -> tuple[Surface, ...]:
    """Return the table."""
    return (
        Surface(
            name=INTERFACE,
            minus=PARTICLE,
            plus=MATRIX,
            current=Insertion(
                active=materials.active,
                kinetics=materials.kinetics,
                resistance=materials.resistance,
                temperature=materials.temperature,
            ),
            traction=materials.cohesive,
        ),
        Surface(
            name="anode",
            minus=MATRIX,
            current=Metal(kinetics=materials.anode, temperature=materials.temperature),
            traction=anode,
        ),
        Surface(name="collector", minus=MATRIX, current=Prescribed(), traction=collector),
    )


def joined[Answer](answers: Sequence[Answer]) -> Answer:
    """Return the answers of laws at several surfaces as one, its arrays one after the other."""
    names = [field.name for field in fields(answers[0])]  # type: ignore[arg-type]
    return type(answers[0])(
        **{name: np.concatenate([getattr(answer, name) for answer in answers]) for name in names}
    )
