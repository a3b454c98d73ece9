"""The surfaces of a half-cell: a table of where bodies, or particles, meet or end, and what acts.

One sign convention holds for all of them. The normal points out of the minus side into the plus
side, or out of the cell where there is none; of two particles the one with the lower number is
minus. The jump is the displacement of the plus side minus that of the minus side, in the local
frame (normal, then two tangents): its first component, the gap, is positive where the surface is
open. Tension is positive. A current is positive when anodic: lithium leaves the particle or the
metal. What passes between two particles, or to the collector, is positive out of the minus side.

A law of a current lists what it sees: fields, the side on which it sees them, and their factor in
each quantity of the law. Its response to these (n, k) and to the gap (n,) is the flux (n, k) [A/m2]
and the derivative of that (n, k, k). The electronic potential is counted from the collector, so
that an absolute one is it plus the cell voltage. Several laws may act at one surface.

=====================  ======================  ===================================================
surface                currents                traction
=====================  ======================  ===================================================
interface              insertion; electrons    cohesive
                       from carbon, where both
                       sides conduct them
particle_separator     insertion, where        cohesive, as the interface
                       particles conduct
                       electrons
contact                electrons, where        bonded, or cohesive with a law of its own
                       particles conduct them;
                       lithium, or nothing
grain_boundary         lithium; electrons,     bonded, or cohesive with a law of its own
                       where it resists them;
                       insertion at both faces
                       where it is wetted
particle_collector     electrons, where        bonded: held or pressed as the collector
                       particles conduct them
collector              prescribed, where the   held or pressed
                       matrix conducts
                       electrons
anode                  metal                   held or pressed
others, by name        none                    held, pressed, pulled, on springs ...
=====================  ======================  ===================================================

Where grain boundaries neither break nor resist they have no row: all is continuous across them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from femssb.arrays import Array, Indices
from femssb.cell.kinetics import (
    InsertionCurrent,
    contact_resistance,
    insertion_current,
    metal_current,
)
from femssb.cell.limiter import limited, reach_of_drift
from femssb.cell.regions import ELECTRONIC, IONIC, LITHIUM, MATRIX, PARTICLE, VOLTAGE, Region
from femssb.inputs.boundary import Support
from femssb.inputs.grain_values import GrainValues
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    InsertionKinetics,
    MetalKinetics,
)
from femssb.inputs.materials import ActiveMaterial, Materials
from femssb.units import FARADAY

Side = Literal["minus", "plus"]
# Or, of a crack, the nearest place of the surface of the particle, on its plus side.
MOUTH: Literal["mouth"] = "mouth"
Seen = tuple[tuple[str, Side | Literal["mouth"], tuple[float, ...]], ...]
# What a layer adds to the stoichiometry behind a current (n,) at some points, and its derivative.
Layer = Callable[[Array, Indices | slice], tuple[Array, Array]]
Pieces = Literal["", "particle", "grain"]  # between which a field may jump within a body

INTERFACE, SEPARATOR = "interface", "particle_separator"  # between particles and the matrix
CONTACT = "contact"  # between particles
GRAIN_BOUNDARY = "grain_boundary"  # between grains of one particle
LEAD = "particle_collector"  # from particles to the collector
_SIDES: tuple[Side, Side] = ("minus", "plus")
NO_DISTANCE = 1e-9  # of the crystal: what a boundary resists that is said to resist nothing [m]


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """Lithium passes between the grains (minus) and the ions (plus) and electrons.

    The law takes the stoichiometry and phi_s - phi_l.
    """

    active: ActiveMaterial
    kinetics: InsertionKinetics
    resistance: ContactResistance
    temperature: float  # [K]
    electrons: Side = "plus"  # where they come from
    tags: tuple[int, ...] | None = None  # of the grains that it is of; None: of all

    @property
    def sees(self) -> Seen:
        """What the law sees."""
        return (
            (LITHIUM, "minus", (1.0, 0.0)),
            (IONIC, "plus", (0.0, -1.0)),
            (ELECTRONIC, self.electrons, (0.0, 1.0)),
            (VOLTAGE, self.electrons, (0.0, 1.0)),
        )

    @property
    def decay_length(self) -> float:
        """Gap over which the current falls [m]."""
        return self.resistance.decay_length

    def current(
        self, values: Array, gap: Array, layer: Layer | None = None, guess: Array | None = None
    ) -> InsertionCurrent:
        """Return the kinetics behind the response; with a layer it is sought from a guess (n,)."""
        full = self.active.maximum_concentration

        def surface(current: Array, points: Indices | slice) -> tuple[Array, Array]:
            assert layer is not None
            beyond, slope = layer(current, points)
            return full * (values[points, 0] + beyond), full * slope

        return insertion_current(
            self.kinetics,
            self.active,
            self.temperature,
            concentration=values[:, 0] * full,
            potential_difference=values[:, 1],
            resistance=contact_resistance(self.resistance, gap),
            surface=surface if layer is not None else None,
            guess=guess,
        )

    def response(
        self, values: Array, gap: Array, layer: Layer | None = None, guess: Array | None = None
    ) -> tuple[Array, Array]:
        """Return flux and derivative: what leaves the grains enters electrons and ions."""
        found = self.current(values, gap, layer, guess)
        slope = found.d_concentration * self.active.maximum_concentration
        row = np.column_stack([slope, found.d_potential])
        flux = np.repeat(found.current[:, None], 2, axis=1)
        return flux, np.repeat(row[:, None, :], 2, axis=1)


@dataclass(frozen=True, kw_only=True)
class Wetted(Insertion):
    """Lithium passes between a face of a crack and the electrolyte in it.

    That has the potential of the matrix at the mouth, and so have electrons where particles do not
    conduct them. It covers nothing of the face up to the opening, all of it from twice that on, and
    a share that grows evenly between. The resistance is that of a closed interface.
    """

    side: Side
    opening: float  # [m]

    @property
    def sees(self) -> Seen:
        """What the law sees."""
        electrons = self.side if self.electrons == "minus" else MOUTH
        return (
            (LITHIUM, self.side, (1.0, 0.0)),
            (IONIC, MOUTH, (0.0, -1.0)),
            (ELECTRONIC, electrons, (0.0, 1.0)),
            (VOLTAGE, MOUTH, (0.0, 1.0)),
        )

    @property
    def decay_length(self) -> float:
        """Opening over which the current changes [m]."""
        return self.opening

    def covered(self, gap: Array) -> Array:
        """Return the share of a face that electrolyte covers, (n,)."""
        return np.clip(gap / self.opening - 1.0, 0.0, 1.0)

    def current(
        self, values: Array, gap: Array, layer: Layer | None = None, guess: Array | None = None
    ) -> InsertionCurrent:
        """Return the kinetics behind the response; a face has no boundary layer."""
        found = super().current(values, np.zeros_like(gap))
        share = self.covered(gap)
        return replace(
            found,
            current=share * found.current,
            d_concentration=share * found.d_concentration,
            d_potential=share * found.d_potential,
        )


@dataclass(frozen=True, kw_only=True)
class Metal:
    """Lithium metal outside, at zero potential, dissolves into the ions; the law takes -phi_l."""

    kinetics: MetalKinetics
    temperature: float  # [K]

    sees: ClassVar[Seen] = ((IONIC, "minus", (-1.0,)),)
    decay_length: ClassVar[float] = inf
    tags: ClassVar[None] = None

    def response(self, values: Array, gap: Array) -> tuple[Array, Array]:
        """Return flux and derivative, at any gap."""
        current, slope = metal_current(self.kinetics, self.temperature, values[:, 0])
        return current[:, None], slope[:, None, None]


@dataclass(frozen=True, kw_only=True)
class Ohmic:
    """Electrons pass a resistance, i R(gap) = phi_s (minus) - phi_s (plus, or the collector)."""

    resistance: ContactResistance
    collector: bool = False  # whether they pass to the collector, which has no field

    tags: ClassVar[None] = None

    @property
    def sees(self) -> Seen:
        """What the law sees: the drop of the potential."""
        other: Seen = () if self.collector else ((ELECTRONIC, "plus", (-1.0,)),)
        return ((ELECTRONIC, "minus", (1.0,)), *other)

    @property
    def decay_length(self) -> float:
        """Gap over which the current falls [m]."""
        return self.resistance.decay_length

    def response(self, values: Array, gap: Array) -> tuple[Array, Array]:
        """Return flux and derivative."""
        return _proportional(values, 1.0 / contact_resistance(self.resistance, gap))


@dataclass(frozen=True, kw_only=True)
class Permeation:
    """Lithium passes between grains or particles, with its electron: no potential drives it.

    i = F P(gap) (c exp(-t) - c' exp(t)), P = P0 exp(-gap/l), with c on the minus side, c' on the
    plus side, and 2 t what the stress releases with lithium on the minus side less that on the plus
    side, over R T: nothing passes where R T ln c less what is released is the same on both. What
    the stress drives is limited close to empty and full as drift is. The law takes both
    stoichiometries.
    """

    permeability: float  # P0 [m/s]
    maximum_concentration: float  # [mol/m3]
    decay_length: float  # l [m]
    tags: tuple[int, ...] | None = None  # of the grains on both sides; None: all
    pull: Array | None = None  # (n, 2) what the stress releases on both sides, over R T

    sees: ClassVar[Seen] = ((LITHIUM, "minus", (1.0, 0.0)), (LITHIUM, "plus", (0.0, 1.0)))

    def response(self, values: Array, gap: Array) -> tuple[Array, Array]:
        """Return flux and derivative: what leaves one side enters the other."""
        pull = np.zeros_like(values) if self.pull is None else self.pull
        half = 0.5 * (pull[:, 0] - pull[:, 1])
        driven = np.column_stack([np.expm1(-half), np.expm1(half)])
        flux, slope = limited(values, -driven, reach_of_drift(pull), np.zeros_like(values))
        passing = (1.0 + driven) * [1.0, -1.0]
        flux += np.einsum("nk,nk->n", passing, values)[:, None] * [1.0, -1.0]
        slope += np.stack([passing, -passing], axis=1)
        closed = FARADAY * self.maximum_concentration * self.permeability
        conductance = closed * np.exp(-np.maximum(gap, 0.0) / self.decay_length)
        return conductance[:, None] * flux, conductance[:, None, None] * slope


@dataclass(frozen=True, kw_only=True)
class Prescribed:
    """The electronic potential is the same all over: the cell voltage, or what a current needs."""


Law = Insertion | Metal | Ohmic | Permeation


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A surface where two bodies meet, two pieces of one body, or where one ends."""

    name: str
    minus: str  # body
    plus: str = ""  # body; the same where its pieces meet, none at an end of the cell
    currents: tuple[Law | Prescribed, ...] = ()  # laws of the currents through it
    # Law of the traction across it, or how an end is held; None: bonded
    traction: CohesiveLaw | Support | None
    strength: GrainValues | None = None  # what differs between grains in that law
    named: str = ""  # its facets in the mesh, of which it has those of its body

    @property
    def facets(self) -> str:
        """Name of its facets in the mesh."""
        return self.named or self.name

    @property
    def ends(self) -> bool:
        """Whether its body ends there."""
        return not self.plus

    @property
    def within(self) -> bool:
        """Whether it lies between pieces of one body, whose lithium and electrons may jump."""
        return self.minus == self.plus

    @property
    def pieces(self) -> Pieces:
        """What it parts, where it lies within a body."""
        return ("grain" if self.name == GRAIN_BOUNDARY else "particle") if self.within else ""

    @property
    def decay_length(self) -> float:
        """Gap over which the currents fall, the shortest [m]; infinite where they do not."""
        laws = [law for law in self.currents if not isinstance(law, Prescribed)]
        return min((law.decay_length for law in laws), default=inf)


def surfaces(
    materials: Materials,
    rows: Sequence[Region],
    named: Collection[str],
    *,
    collector: Support,
    anode: Support,
    others: Mapping[tuple[str, str], Support] = MappingProxyType({}),
) -> tuple[Surface, ...]:
    """Return the rows of the table for a mesh.

    Args:
        materials: The parameter set.
        rows: The regions of the mesh.
        named: Names of its facets.
        collector: How it is held.
        anode: Likewise.
        others: The same of further outer facets, by their name and the body that they end.
    """
    contacts, boundaries = materials.contacts, materials.grain_boundaries
    in_particles = materials.active.electronic_conductivity > 0
    in_matrix = materials.ecbd.electronic_conductivity > 0
    insertion = tuple(
        Insertion(
            active=active,
            kinetics=kinetics,
            resistance=materials.resistance,
            temperature=materials.temperature,
            electrons="minus" if in_particles else "plus",
            tags=tags,
        )
        for active, kinetics, tags in _phases(rows)
    )
    at_interface: tuple[Law, ...] = insertion
    between: tuple[Law, ...] = ()
    to_collector: tuple[Law, ...] = ()
    if contacts is not None and contacts.permeability > 0:
        between += tuple(
            Permeation(
                permeability=contacts.permeability,
                maximum_concentration=active.maximum_concentration,
                decay_length=contacts.resistance.decay_length,
                tags=tags,
            )
            for active, _, tags in _phases(rows)
        )
    if contacts is not None and in_particles:
        between += (Ohmic(resistance=contacts.resistance),)
        lead = ContactResistance(closed=contacts.collector, decay_length=inf)
        to_collector = (Ohmic(resistance=lead, collector=True),)
        if in_matrix and contacts.carbon is not None:
            at_interface += (Ohmic(resistance=contacts.carbon),)
    between_grains, held = _of_grain_boundaries(materials, rows, insertion)
    bonded = contacts.cohesive if contacts is not None else None
    if held is not None and bonded is None:  # where grains come apart, particles would, too
        bonded = held.unbreakable
    metal = Metal(kinetics=materials.anode, temperature=materials.temperature)
    table = (
        Surface(
            name=INTERFACE,
            minus=PARTICLE,
            plus=MATRIX,
            currents=at_interface,
            traction=materials.cohesive,
        ),
        Surface(name="anode", minus=MATRIX, currents=(metal,), traction=anode),
        Surface(
            name="collector",
            minus=MATRIX,
            currents=(Prescribed(),) if in_matrix else (),
            traction=collector,
        ),
        Surface(
            name=SEPARATOR,
            minus=PARTICLE,
            plus=MATRIX,
            currents=insertion if in_particles else (),
            traction=materials.cohesive,
        ),
        Surface(
            name=CONTACT,
            minus=PARTICLE,
            plus=PARTICLE,
            currents=between,
            traction=bonded,
        ),
        Surface(
            name=GRAIN_BOUNDARY,
            minus=PARTICLE,
            plus=PARTICLE,
            currents=between_grains,
            traction=held,
            strength=boundaries.strength_of_grains if boundaries and held else None,
        ),
        Surface(name=LEAD, minus=PARTICLE, currents=to_collector, traction=collector),
    )
    needed = {INTERFACE, "anode"} if LEAD in named else {INTERFACE, "anode", "collector"}
    if not between_grains:
        named = set(named) - {GRAIN_BOUNDARY}
    held_too = [
        Surface(name=f"{name} of {body}", named=name, minus=body, traction=support)
        for (name, body), support in others.items()
    ]
    return (*(row for row in table if row.name in needed or row.name in named), *held_too)


def _of_grain_boundaries(
    materials: Materials, rows: Sequence[Region], insertion: Sequence[Insertion]
) -> tuple[tuple[Law, ...], CohesiveLaw | None]:
    """Return the laws of grain boundaries; none where they are bonded and resist nothing."""
    given = materials.grain_boundaries
    if given is None:
        return (), None
    held = given.cohesive if given.cohesive is not None and given.cohesive.breakable else None
    electrons = given.resistance if materials.active.electronic_conductivity > 0 else None
    if held is None and electrons is None and given.permeability == inf:
        return (), None
    laws: tuple[Law, ...] = tuple(
        Permeation(
            permeability=min(given.permeability, _fastest(rows, law.active) / NO_DISTANCE),
            maximum_concentration=law.active.maximum_concentration,
            decay_length=given.decay_length if held is not None else inf,
            tags=law.tags,
        )
        for law in insertion
    )
    if electrons is not None:
        laws += (Ohmic(resistance=electrons),)
    if given.wetting_opening is not None:
        laws += tuple(
            Wetted(
                active=law.active,
                kinetics=law.kinetics,
                resistance=law.resistance,
                temperature=law.temperature,
                electrons=law.electrons,
                tags=law.tags,
                side=side,
                opening=given.wetting_opening,
            )
            for law in insertion
            for side in _SIDES
        )
    return laws, held


def _phases(
    rows: Sequence[Region],
) -> list[tuple[ActiveMaterial, InsertionKinetics, tuple[int, ...] | None]]:
    """Return each active material with its reaction and the tags of its grains; None: all."""
    found = [(r.material, r.kinetics, r.tags) for r in rows]
    phases = [(m, k, tags) for m, k, tags in found if isinstance(m, ActiveMaterial) and k]
    return [(m, k, tags if len(phases) > 1 else None) for m, k, tags in phases]


def _fastest(rows: Sequence[Region], active: ActiveMaterial) -> float:
    """Return the largest diffusivity in any grain along any axis at any concentration [m2/s]."""
    fastest = max(row.fastest for row in rows if row.material is active)
    return fastest * active.largest_diffusivity_factor


def _proportional(values: Array, conductance: Array) -> tuple[Array, Array]:
    """Return flux and derivative of a current in proportion to what drives it."""
    return conductance[:, None] * values, conductance[:, None, None]


def joined[Answer](answers: Sequence[Answer]) -> Answer:
    """Return the answers of laws at several surfaces as one, its arrays one after the other."""
    names = [field.name for field in fields(answers[0])]  # type: ignore[arg-type]
    return type(answers[0])(
        **{name: np.concatenate([getattr(answer, name) for answer in answers]) for name in names}
    )
