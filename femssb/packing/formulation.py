"""Formulations of slurries: what is in them by mass, and the beads that stand for it.

Beads are the grains of the active material and of the electrolyte, and beads of carbon and binder
(the carbon-binder domain), which also hold the solvent: in a slurry they are swollen, dried they
are porous. All masses follow from the dry shares and the solid content, whatever the diameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb._version import __version__
from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, NotConverged, check_number
from femssb.inputs.case import describe
from femssb.packing.packing import Packing
from femssb.packing.recipe import MOST_SPHERES, Component, check_seed
from femssb.packing.sizes import ListedSizes

FILLED = 0.15  # share of beads in the box in which they are dispersed
APART = 1.2  # distance of dispersed beads over the sum of their radii, at least
TRIES = 100_000  # places tried for a bead
CLOSED = 0.01  # relative gap of a volume balance that counts as closed
HELD = 0.5  # share of the volume of a distribution that its classes must hold
FINEST = 100_000  # classes by which this is judged


@description
class Solvent:
    """Liquid of a slurry."""

    name: str = field("of the liquid")
    density: float = field("of the liquid", unit="kg/m3", lower=50, upper=3e4, default=None)
    viscosity: float | None = field(
        "of the liquid, where it is known", unit="Pa s", above=0, upper=1e3, default=None
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeBalance:
    """Volumes of a slurry, and whether they agree.

    Attributes:
        solids: Without the pores of the binder [m3].
        solvent: [m3].
        beads: Sum of the volumes of all beads, swollen by the solvent [m3].
        box: Volume that the slurry takes [m3]; that of solids and solvent if none was given.
        mass: Of the slurry [kg].
    """

    solids: float
    solvent: float
    beads: float
    box: float
    mass: float

    @property
    def density(self) -> float:
        """Mass over box [kg/m3]."""
        return self.mass / self.box

    @property
    def closed_density(self) -> float:
        """Density of a slurry that is solids and solvent and nothing else [kg/m3]."""
        return self.mass / (self.solids + self.solvent)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not close, one sentence each; none if all does."""
        said, density = [], ""
        if abs(self.density / self.closed_density - 1) > CLOSED:
            density = f", which means {self.density:.4g} kg/m3 instead of {self.closed_density:.4g}"
        for name, volume in (
            ("beads", self.beads),
            ("solids and solvent", self.solids + self.solvent),
        ):
            if abs(excess := volume / self.box - 1) > CLOSED:
                said.append(
                    f"the volume balance does not close: {name} have {abs(100 * excess):.3g} % "
                    f"{'more' if excess > 0 else 'less'} volume than the box{density}"
                )
        return tuple(said)

    def __str__(self) -> str:
        """Return the balance in lines."""
        parts = [
            f"{name:<8} {volume:.4e} m3, {100 * volume / self.box:6.2f} % of the box"
            for name, volume in (
                ("solids", self.solids),
                ("solvent", self.solvent),
                ("beads", self.beads),
                ("box", self.box),
            )
        ]
        return "\n".join([*parts, f"density  {self.density:.4g} kg/m3", *self.warnings])


@description
class Formulation:
    """A slurry: dry components by mass, solvent, and how much of it.

    Raises:
        InputError: If a field is out of its bounds, the shares do not sum to one, two components
            have the same name or that of the solvent, none is the binder, sizes are so wide that
            few large beads hold most of the volume, or not exactly one of `beads` and `dry_mass`
            is given.
    """

    components: tuple[Component, ...] = field(
        "with shares of the dry mass, dry sizes, and densities of dry beads, pores included"
    )
    binder: str = field("component that holds the solvent", default="CBD")
    binder_porosity: float = field(
        "pores in a dry bead of the binder", lower=0, below=1, default=0.5
    )
    solvent: Solvent = field("of the slurry")
    solid_content: float = field("dry mass over the mass of the slurry", above=0, below=1)
    beads: int | None = field("how many there are", lower=2, upper=MOST_SPHERES, default=None)
    dry_mass: float | None = field("of all components", unit="kg", above=0, upper=1e3, default=None)
    swelling: float | None = field(
        "diameter of a bead of binder in the slurry over the dry one; None: from the volumes",
        lower=0.5,
        upper=20,
        default=None,
    )

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) < len(names):
            raise InputError(f"Formulation.components: two have the same name: {list(names)}")
        if self.solvent.name in names:
            raise InputError(
                f"Formulation.solvent: its name {self.solvent.name!r} is that of a component"
            )
        for component in self.components:
            _check_width(component)
        total = sum(self.shares.tolist())
        if abs(total - 1) > 1e-6:
            raise InputError(f"Formulation.components: their shares sum to {total:g}, not to 1")
        if self.binder not in names or not self.components[self._binder].share:
            raise InputError(
                f"Formulation.binder = {self.binder!r} must name one of the components "
                f"{list(names)}, with a share above 0"
            )
        if (self.beads is None) == (self.dry_mass is None):
            raise InputError(
                f"Formulation: give either beads = {self.beads} or dry_mass = {self.dry_mass} kg"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components."""
        return tuple(component.name for component in self.components)

    @property
    def shares(self) -> Array:
        """Shares of the dry mass, shape (components,)."""
        return np.array([component.share for component in self.components])

    @property
    def _binder(self) -> int:
        return self.names.index(self.binder)

    @property
    def _densities(self) -> Array:
        return np.array([component.solid.density for component in self.components])

    def _bead_masses(self) -> Array:
        """Return the mean mass of a dry bead of every component, shape (components,) [kg]."""
        listed = [component.sizes.listed() for component in self.components]
        cubes = [np.average(np.array(s.diameters) ** 3, weights=s.numbers) for s in listed]
        return self._densities * np.pi / 6 * np.array(cubes)

    def ledger(self) -> dict[str, float]:
        """Return the mass of every component and of the solvent [kg]."""
        dry = self.dry_mass
        if dry is None:
            assert self.beads is not None  # one of the two is given
            dry = float(self.beads / np.sum(self.shares / self._bead_masses()))
        masses = dict(zip(self.names, (dry * self.shares).tolist(), strict=True))
        return {**masses, self.solvent.name: dry * (1 / self.solid_content - 1)}

    def counts(self) -> NDArray[np.int64]:
        """Return how many beads of every component there are, shape (components,).

        Raises:
            InputError: If there is less than one bead of a component, or too many of all.
        """
        masses = np.array([self.ledger()[name] for name in self.names])
        exact = masses / self._bead_masses()
        if exact.sum() > MOST_SPHERES:
            raise InputError(
                f"Formulation: {exact.sum():.3g} beads, at most {MOST_SPHERES} can be handled"
            )
        total = self.beads or round(float(exact.sum()))
        counts = _apportioned(exact, total)
        for component, count in zip(self.components, counts, strict=True):
            if component.share > 0 and count == 0:
                raise InputError(
                    f"Formulation: there is less of {component.name} than one bead; raise "
                    f"{'dry_mass' if self.beads is None else 'beads'}"
                )
        return counts

    def diameters(self) -> tuple[NDArray[np.int32], Array]:
        """Return the dry beads, each component in classes of equal diameters.

        A distribution stands for as many classes as `Sizes.listed` gives, or each of fewer beads
        for an equal share of it; a common factor for each component then sets its mass to the last
        bit.

        Returns:
            Index of the component of every bead, shape (n,), and its dry diameter, shape (n,) [m].

        Raises:
            InputError: As `counts` does.
        """
        kinds, sizes = [], []
        ledger = self.ledger()
        for kind, (component, count) in enumerate(
            zip(self.components, self.counts().tolist(), strict=True)
        ):
            if not count:
                continue
            listed: ListedSizes = component.sizes.listed()
            numbers = np.array(listed.numbers)
            if count < len(numbers):
                drawn = component.sizes.quantile((np.arange(count) + 0.5) / count)
            else:
                drawn = np.repeat(
                    listed.diameters, _apportioned(count * numbers / numbers.sum(), count)
                )
            volume = ledger[component.name] / component.solid.density
            sizes.append(drawn * np.cbrt(volume / (np.pi / 6 * np.sum(drawn**3))))
            kinds.append(np.full(count, kind, dtype=np.int32))
        return np.concatenate(kinds), np.concatenate(sizes)

    def swollen(self) -> float:
        """Return the diameter of a bead of binder in the slurry over that of a dry one.

        Unless `swelling` says it: solvent fills the pores of the dry bead, the rest swells it.
        """
        if self.swelling is not None:
            return self.swelling
        ledger = self.ledger()
        dry = ledger[self.binder] / self._densities[self._binder]
        solvent = ledger[self.solvent.name] / self.solvent.density
        return float(np.cbrt(max(1.0, (1 - self.binder_porosity) + solvent / dry)))

    def wet_share(self) -> float:
        """Return the mass of a bead of binder with its solvent over that of a dry one."""
        ledger = self.ledger()
        return 1 + ledger[self.solvent.name] / ledger[self.binder]

    @checked
    def balance(self, *, box: float | None = None, density: float | None = None) -> VolumeBalance:
        """Return the volume balance of the slurry.

        Args:
            box: Volume that it takes [m3]; if left out, that
            density: at which it has this density [kg/m3]; if left out too, that of solids and
                solvent.

        Raises:
            InputError: If both are given, or one is not above 0.
        """
        for name, value in (("box", box), ("density", density)):
            if value is not None and not 0 < value < np.inf:
                raise InputError(f"Formulation.balance.{name} = {value:g} must be above 0")
        if box is not None and density is not None:
            raise InputError("Formulation.balance: box and density exclude each other")
        ledger = self.ledger()
        dry = np.array([ledger[name] for name in self.names]) / self._densities
        swollen = dry.copy()
        swollen[self._binder] *= self.swollen() ** 3
        solids = dry.copy()
        solids[self._binder] *= 1 - self.binder_porosity
        solvent = ledger[self.solvent.name] / self.solvent.density
        mass = sum(ledger.values())
        if density is not None:
            box = mass / density
        return VolumeBalance(
            solids=float(solids.sum()),
            solvent=solvent,
            beads=float(swollen.sum()),
            box=float(solids.sum()) + solvent if box is None else box,
            mass=mass,
        )


@checked
def disperse(formulation: Formulation, *, seed: int, height: float = 1.0) -> Packing:
    """Place the beads of a slurry at random in a periodic box, apart from each other.

    Args:
        formulation: Names the beads to place.
        seed: Of the random numbers: the same seed gives the same packing.
        height: Of the box, along z, over its two other edges, which are equal. A film dries and is
            pressed along z: a high box leaves more grains across the thickness of few beads.

    Returns:
        The packing, with masses, solvent included; its `origin` holds formulation and seed.

    Raises:
        InputError: As `Formulation.counts` does, if the height is outside [0.1, 100], or if an edge
            is too small for the largest bead.
        NotConverged: If no place was found for a bead.
    """
    check_seed("disperse", seed)
    check_number("disperse", "height", height, lower=0.1, upper=100)
    kinds, diameters = formulation.diameters()
    masses = np.array([c.solid.density for c in formulation.components])[kinds]
    masses = masses * np.pi / 6 * diameters**3
    binder = kinds == formulation.names.index(formulation.binder)
    masses[binder] *= formulation.wet_share()
    diameters[binder] *= formulation.swollen()
    width = float(np.cbrt(np.sum(np.pi / 6 * diameters**3) / FILLED / height))
    edges = np.array([width, width, height * width])
    if 2 * (largest := float(diameters.max())) > edges.min():
        raise InputError(
            f"disperse: an edge of the box of these beads, {edges.min():g} m, is less than two of "
            f"the largest diameter, {largest:g} m: raise Formulation.beads or dry_mass, or bring "
            f"height = {height:g} nearer to 1"
        )
    return Packing(
        positions=_places(diameters, edges, np.random.default_rng(seed)),
        radii=diameters / 2,
        phases=kinds,
        phase_names=formulation.names,
        lower=np.zeros(3),
        upper=edges,
        periodic=(True, True, True),
        masses=masses,
        origin={"femssb": __version__, "seed": int(seed), "formulation": describe(formulation)},
    )


def _places(diameters: Array, edges: Array, random: np.random.Generator) -> Array:
    """Return places of beads in a periodic box, tried at random, largest first."""
    placed = np.zeros((len(diameters), 3))
    order = np.argsort(-diameters, kind="stable")
    for done, bead in enumerate(order):
        others = order[:done]
        reach = (APART / 2 * (diameters[bead] + diameters[others])) ** 2
        for _ in range(TRIES):
            place = random.random(3) * edges
            step = np.abs(placed[others] - place)
            step = np.minimum(step, edges - step)
            if not np.any(np.einsum("ij,ij->i", step, step) < reach):
                placed[bead] = place
                break
        else:
            raise NotConverged(f"disperse: no place for bead {bead}", step=TRIES)
    return placed


def _check_width(component: Component) -> None:
    """Raise InputError if the classes of a distribution leave out most of its volume."""
    listed = component.sizes.listed()
    if listed is component.sizes:
        return
    middles = (np.arange(FINEST) + 0.5) / FINEST
    whole = float(np.mean(component.sizes.quantile(middles) ** 3))
    held = float(np.average(np.array(listed.diameters) ** 3, weights=listed.numbers)) / whole
    if held < HELD:
        raise InputError(
            f"Formulation.components: sizes of {component.name!r} are so wide that their "
            f"{len(listed.diameters)} classes hold {100 * held:.2g} % of the volume: cut them at a "
            "largest diameter"
        )


def _apportioned(exact: Array, total: int) -> NDArray[np.int64]:
    """Return whole numbers that sum to a total and are nearest to numbers in this ratio."""
    exact = exact * (total / exact.sum())
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - int(counts.sum())]] += 1
    return counts
