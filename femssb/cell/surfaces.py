"""The surfaces of a half-cell: a table of where bodies meet or end, and what acts there.

One sign convention holds for all of them. The normal points out of the minus body into the plus
body, or out of the cell where there is none. The jump is the displacement of the plus side minus
that of the minus side, in the local frame (normal, then two tangents): its first component, the
gap, is positive where the surface is open. Tension is positive. A current is positive when anodic:
lithium leaves the particle or the metal.

A law of the current lists what it sees: fields, the side on which it sees them, and their factor in
each quantity of the law. Its response to these (n, k) and to the gap (n,) is the flux (n, k) [A/m2]
and the derivative of that (n, k, k).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np

from femssb.arrays import Array
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

Side = Literal["minus", "plus"]
Seen = tuple[tuple[str, Side, tuple[float, ...]], ...]

INTERFACE = "interface"


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """Lithium passes between the grains (minus) and the ions and electrons around (plus).

    The law takes the stoichiometry and phi_s - phi_l.
    """

    active: ActiveMaterial
    kinetics: InsertionKinetics
    resistance: ContactResistance
    temperature: float  # [K]

    sees: ClassVar[Seen] = (
        (LITHIUM, "minus", (1.0, 0.0)),
        (IONIC, "plus", (0.0, -1.0)),
        (ELECTRONIC, "plus", (0.0, 1.0)),
    )

    def current(self, values: Array, gap: Array) -> InsertionCurrent:
        """Return the kinetics behind the response."""
        return insertion_current(
            self.kinetics,
            self.active,
            self.temperature,
            concentration=values[:, 0] * self.active.maximum_concentration,
            potential_difference=values[:, 1],
            resistance=contact_resistance(self.resistance, gap),
        )

    def response(self, values: Array, gap: Array) -> tuple[Array, Array]:
        """Return flux and derivative: what leaves the grains enters electrons and ions."""
        found = self.current(values, gap)
        slope = found.d_concentration * self.active.maximum_concentration
        row = np.column_stack([slope, found.d_potential])
        flux = np.repeat(found.current[:, None], 2, axis=1)
        return flux, np.repeat(row[:, None, :], 2, axis=1)


@dataclass(frozen=True, kw_only=True)
class Metal:
    """Lithium metal outside, at zero potential, dissolves into the ions; the law takes -phi_l."""

    kinetics: MetalKinetics
    temperature: float  # [K]

    sees: ClassVar[Seen] = ((IONIC, "minus", (-1.0,)),)

    def response(self, values: Array, gap: Array) -> tuple[Array, Array]:
        """Return flux and derivative, at any gap."""
        current, slope = metal_current(self.kinetics, self.temperature, values[:, 0])
        return current[:, None], slope[:, None, None]


@dataclass(frozen=True, kw_only=True)
class Prescribed:
    """The electronic potential is the same all over: the cell voltage, or what a current needs."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A surface where two bodies meet, or where one ends."""

    name: str  # of its facets in the mesh
    minus: str  # body
    plus: str = ""  # body; none at an end of the cell
    current: Insertion | Metal | Prescribed | None = None  # law of the current through it
    traction: CohesiveLaw | Support  # law of the traction across it, or how an end is held


def surfaces(materials: Materials, *, collector: Support, anode: Support) -> tuple[Surface, ...]:
    """Return the table."""
    insertion = Insertion(
        active=materials.active,
        kinetics=materials.kinetics,
        resistance=materials.resistance,
        temperature=materials.temperature,
    )
    metal = Metal(kinetics=materials.anode, temperature=materials.temperature)
    interface = Surface(
        name=INTERFACE, minus=PARTICLE, plus=MATRIX, current=insertion, traction=materials.cohesive
    )
    return (
        interface,
        Surface(name="anode", minus=MATRIX, current=metal, traction=anode),
        Surface(name="collector", minus=MATRIX, current=Prescribed(), traction=collector),
    )


def joined[Answer](answers: Sequence[Answer]) -> Answer:
    """Return the answers of laws at several surfaces as one, its arrays one after the other."""
    names = [field.name for field in fields(answers[0])]  # type: ignore[arg-type]
    return type(answers[0])(
        **{name: np.concatenate([getattr(answer, name) for answer in answers]) for name in names}
    )
