"""Half-cells whose particles are resolved one by one: what they are, and how a packing becomes one.

Nothing here needs Gmsh. The particles are spheres that may overlap: they are cut where their powers
are equal (`femssb.meshing.cut_balls`). What the mesh cannot have, gaps, necks and strips that are
too small, is mended by moving centres a little (`femssb.meshing.healing`), and reported.

The electrolyte is all that is between the particles, or spheres of its own: these are balls, too,
and meet particles and each other in discs. Electrolyte is soft and particles are not: where both
overlap the particle keeps its volume, by a larger radius.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, check_number
from femssb.inputs.geometry import EXTENTS, LENGTHS, Polycrystal, Vector
from femssb.meshing.cut_balls import COLLECTOR, SEPARATOR, Balls, caps, cut_volumes, near
from femssb.meshing.healing import features, heal
from femssb.packing.network import contact_network
from femssb.packing.packing import Packing
from femssb.packing.recipe import check_seed
from femssb.packing.structure import porosity
from femssb.units import um

DEEPEST = 0.3  # overlap of two particles, or of one and a plane, in units of the smaller radius
DEEPEST_OTHERS = 1.0  # of spheres of electrolyte and planes: what is soft is pressed flat
SMALLEST = 0.04  # smallest feature, in units of the median radius
PLACES = 200  # of the sides of the box that are compared, along x and along y
ELECTRONS = ("matrix", "particles", "both")
VOIDS = ("matrix", "empty")
GROWTHS = 12  # of radii, until particles have their volumes
GROWN = 1e-6  # relative error of these that is left

Contact = tuple[int, int]


@description
class Healing:
    """How a packing was changed to become a cell that can be meshed, and what is in it.

    Particles count from 0, in the order of the cell, and after them the spheres of electrolyte
    where these are resolved; -1 is the collector, -2 the separator.
    """

    spheres: tuple[int, ...] = field(
        "number in the packing (`Packing.ids`) of each particle, and of each sphere of electrolyte"
    )
    shift: tuple[float, float] = field("of the periodic box, along x and y", unit="m")
    moves: tuple[Vector, ...] = field("of the centre of each of them", unit="m")
    opened: tuple[Contact, ...] = field("contacts that were lost", default=())
    closed: tuple[Contact, ...] = field("contacts that are new", default=())
    nominal_volume: float = field("of the spheres of active material, each whole", unit="m3")
    volume: float = field("of the active material in the packing, overlaps once", unit="m3")
    healed_volume: float = field("the same after the moves, which the mesh makes up", unit="m3")
    electrolyte: float = field("share of the electrolyte in the cathode layer of the packing")
    voids: float = field("share of the pores in the cathode layer")
    resolved: bool = field("whether spheres of electrolyte are, and pores empty", default=False)
    growth: float = field(
        "largest of the radii of particles, which keeps what resolved electrolyte overlaps",
        default=0.0,
    )
    left_out: tuple[int, ...] = field(
        "number in the packing of spheres of electrolyte that lead nowhere: void in the cell",
        default=(),
    )
    without_electrons: tuple[int, ...] = field(
        "particles that no chain of contacts joins to the collector", default=()
    )
    without_ions: tuple[int, ...] = field(
        "particles that touch no electrolyte that leads to the separator", default=()
    )

    def report(self) -> str:
        """Return all this in a few lines of text."""
        length = 1e6 * np.linalg.norm(np.array(self.moves).reshape(-1, 3), axis=1)

        def named(contacts: tuple[Contact, ...]) -> str:
            words = {COLLECTOR: "collector", SEPARATOR: "separator"}
            pairs = (" and ".join(words.get(end, str(end)) for end in pair) for pair in contacts)
            return "; ".join(pairs) or "none"

        lines = [
            f"{len(self.moves)} spheres, centres moved by {length.mean():.3g} um on average, "
            f"{length.max():.3g} um at most, box by ({1e6 * self.shift[0]:.3g}, "
            f"{1e6 * self.shift[1]:.3g}) um",
            f"contacts opened: {named(self.opened)}; closed: {named(self.closed)}",
            f"active material: {1e18 * self.volume:.6g} um3, overlaps of "
            f"{100 * (1 - self.volume / self.nominal_volume):.3g} % of the spheres counted once; "
            f"moves changed it by {100 * (self.healed_volume / self.volume - 1):.2g} %, which the "
            "radii in the mesh make up",
            f"electrolyte {100 * self.electrolyte:.3g} % of the layer, and pores "
            f"{100 * self.voids:.3g} %, which "
            + ("are empty" if self.resolved else "count as electrolyte")
            + " in the cell",
        ]
        if self.resolved:
            left = ", ".join(map(str, self.left_out)) or "none"
            lines.append(
                f"radii of particles grown by {100 * self.growth:.2g} % at most; spheres of "
                f"electrolyte that lead nowhere, left out: {left}"
            )
        for what, inert in (("electrons", self.without_electrons), ("ions", self.without_ions)):
            shown = ", ".join(map(str, inert)) or "none"
            lines.append(f"particles that no path of {what} reaches: {shown}")
        return "\n".join(lines)


@description
class Sphere:
    """A sphere of solid electrolyte in the cathode layer."""

    radius: float = field("radius", unit="m", lower=LENGTHS[0], upper=LENGTHS[1])
    centre: Vector = field("centre", unit="m")


@description
class ResolvedCell:
    """A box from the collector (z = 0) to the anode, with many particles that may touch.

    The box is centred on x = y = 0 and periodic across x and y: particles may cross its sides.
    Particles that overlap meet in a disc; they may be cut by the collector and by the separator.
    All else in the cathode layer is matrix. Where spheres of electrolyte are given the matrix
    (`ecbd`) is these, which are one body; all that is in no sphere is empty: nothing is inserted,
    conducts or bears there.

    Raises:
        InputError: If the cell is too small or too large, spheres overlap too deeply, reach out of
            the layer or to their own image, or anything between them is too small to be meshed.
    """

    width: float = field("of the box along x", unit="m", lower=LENGTHS[0], upper=LENGTHS[1])
    depth: float = field("of the box along y", unit="m", lower=LENGTHS[0], upper=LENGTHS[1])
    cathode: float = field(
        "thickness of the composite cathode layer", unit="m", lower=LENGTHS[0], upper=LENGTHS[1]
    )
    separator: float = field(
        "thickness of the electrolyte layer",
        unit="m",
        lower=LENGTHS[0],
        upper=LENGTHS[1],
        default=10 * um,
    )
    particles: tuple[Polycrystal, ...] = field("particles, each with its centre")
    electrolyte: tuple[Sphere, ...] = field(
        "spheres of the matrix; none: it is all between the particles", default=()
    )
    smallest: float = field(
        "length below which gaps and strips between spheres cannot be meshed", unit="m", above=0
    )
    volume: float | None = field(
        "of the active material in the mesh; None: of the particles as they are cut",
        unit="m3",
        above=0,
        default=None,
    )
    electrolyte_volume: float | None = field(
        "of the spheres of electrolyte in the mesh; None: of them as they are cut",
        unit="m3",
        above=0,
        default=None,
    )
    electrons: Literal["matrix", "particles", "both"] = field(
        "what carries electrons to the particles", default="matrix"
    )
    healing: Healing | None = field("how it was made from a packing", default=None)

    def __post_init__(self) -> None:
        """Check the size of the cell, and that the particles can be meshed."""
        extent = max(self.width, self.depth, self.cathode + self.separator)
        if not EXTENTS[0] <= extent <= EXTENTS[1]:
            raise InputError(
                f"ResolvedCell: the cell is {extent:.3g} m long, outside [{EXTENTS[0]:g}, "
                f"{EXTENTS[1]:g}] m: in which unit are its lengths?"
            )
        for index, particle in enumerate(self.particles):
            if particle.centre is None:
                raise InputError(f"ResolvedCell.particles[{index}].centre is missing")
        balls = balls_of(self)
        names = [f"ResolvedCell.particles[{index}]" for index in range(len(self.particles))]
        names += [f"ResolvedCell.electrolyte[{index}]" for index in range(len(self.electrolyte))]
        _check_places(balls, names, self.smallest / um, len(self.particles))
        found = [feature.what for feature in features(balls, self.smallest / um)]
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise InputError(
                f"ResolvedCell: its spheres leave features below smallest = {self.smallest:g} m, "
                f"which cannot be meshed: {'; '.join(found[:3])}{more}; "
                "ResolvedCell.from_packing moves centres until there are none"
            )

    @classmethod
    def from_packing(
        cls,
        packing: Packing,
        *,
        active: str | Sequence[str] = "AM",
        electrolyte: str = "SE",
        voids: Literal["matrix", "empty"] = "matrix",
        separator: float = 10 * um,
        grains: int = 1,
        size_spread: float = 0.2,
        seed: int = 1,
        electrons: Literal["matrix", "particles", "both"] = "matrix",
        smallest: float | None = None,
    ) -> Self:
        """Make a cell from a packing: its spheres of active material, and what is around them.

        By default pores count as electrolyte: the matrix is homogeneous, with the effective
        properties that the electrolyte of the packing has, pores included. With ``"empty"`` the
        spheres of electrolyte are resolved, too, with the properties of the electrolyte itself;
        what overlaps them keeps its volume, and they lose it. `Healing` says what was changed.

        Args:
            packing: Periodic across x and y; its planes across z are collector and separator.
            active: Name of the phase of the particles, or of several: those of the first are of
                `Materials.active`, others of the one in `Materials.others` with that name.
            electrolyte: Name of the phase that carries ions.
            voids: What pores are: part of the matrix, or empty.
            separator: Thickness of the electrolyte layer [m].
            grains: Number of grains in each particle; 1 for single crystals.
            size_spread: Of the grains; see `Polycrystal`.
            seed: Of grains and orientations.
            electrons: What carries them: the matrix, the particles by their contacts, or both.
            smallest: Gaps, necks and strips below it are mended by moving centres [m]; by default
                `SMALLEST` times the median radius.

        Raises:
            InputError: If an argument is of the wrong kind or out of its bounds; if one of the two
                phases is missing, spheres overlap too deeply or reach beyond closed sides, no
                particle touches a collector from which electrons must come, the electrolyte does
                not lead through the packing, particles touch no resolved electrolyte, nor others
                that do, or centres cannot be moved as is needed.
        """
        phases = (active,) if isinstance(active, str) else active
        _check_arguments(packing, phases, electrolyte, voids, separator, seed, electrons, smallest)
        ids = np.asarray(packing.ids)
        owner = "ResolvedCell.from_packing"
        rows = np.flatnonzero(_of_phases(packing, phases))
        materials = [None if phase == phases[0] else phase for phase in _named(packing, phases)]
        count, resolved = len(rows), voids == "empty"
        if resolved:
            rows = np.append(rows, np.flatnonzero(packing.of_phase(electrolyte)))
        names = [f"{owner}: sphere {ids[row]}" for row in rows.tolist()]
        radii = packing.radii[rows] / um
        median = np.median(radii) if resolved else np.median(radii[:count])
        least = SMALLEST * float(median) if smallest is None else smallest / um
        lengths, height = packing.lengths[:2] / um, float(packing.lengths[2]) / um
        given = Balls(
            centres=(packing.positions[rows] - packing.lower) / um,
            radii=radii,
            lower=np.zeros(2),
            lengths=lengths,
            height=height,
        )
        given = _inside(given, np.zeros(2), np.zeros(2))
        _check_places(given, names, least, count)
        before = _touching(given)
        if electrons == "particles" and not any(
            first < count and second == COLLECTOR for first, second in before
        ):
            raise InputError(
                f"{owner}: no sphere of {' or '.join(map(repr, phases))} touches the collector, at"
                f" z = {packing.lower[2]:g} m, from which electrons = 'particles' must come"
            )
        without_ions = _without_ions(packing, rows[:count], electrolyte)
        own = _chosen(given, np.arange(count))
        volumes = cut_volumes(own, caps(own))
        grown = _grown(given, volumes, names) if resolved else given
        shift = _quiet_sides(grown)
        held = {pair for pair in before if max(pair) < count}
        held |= {pair for pair in _touching(grown) if max(pair) >= count}
        healed = heal(_inside(grown, shift, -0.5 * lengths), least, held)
        if healed.left:
            raise InputError(
                f"{owner}: {len(healed.left)} features stay below smallest = {least * um:g} m "
                f"however centres are moved: {'; '.join(healed.left[:3])}"
            )
        after = _touching(healed.balls)
        cut = cut_volumes(healed.balls, caps(healed.balls))
        kept = np.ones(len(rows), dtype=bool)
        if resolved:
            kept = _leading(len(rows), count, after, electrons)
            without_ions = _unserved(names[:count], kept, after, electrons)
        cut_off = () if electrons != "particles" else _cut_off(count, after)
        renumbered = np.append(np.cumsum(kept) - 1, [SEPARATOR, COLLECTOR])  # -2 and -1 as they are

        def changed(pairs: set[Contact]) -> tuple[Contact, ...]:
            there = [pair for pair in pairs if kept[pair[0]] and (pair[1] < 0 or kept[pair[1]])]
            return tuple(sorted((int(renumbered[i]), int(renumbered[j])) for i, j in there))

        balls, volume = _chosen(healed.balls, np.flatnonzero(kept)), float(volumes.sum())
        box, pores = float(np.prod(lengths) * height), porosity(packing).union
        share = max(0.0, 1 - volume / box - pores)
        random = np.random.default_rng([seed, 0])
        seeds = random.integers(2**62, size=int(ids.max()) + 1)[ids[rows[:count]]]
        places = [(float(x), float(y), float(z)) for x, y, z in balls.centres * um]
        sizes = (balls.radii * um).tolist()
        return cls(
            width=float(packing.lengths[0]),
            depth=float(packing.lengths[1]),
            cathode=float(packing.lengths[2]),
            separator=separator,
            particles=tuple(
                Polycrystal(
                    radius=radius,
                    grains=grains,
                    seed=int(one),
                    centre=at,
                    size_spread=size_spread,
                    material=material,
                )
                for radius, one, at, material in zip(
                    sizes[:count], seeds, places[:count], materials, strict=True
                )
            ),
            electrolyte=tuple(
                Sphere(radius=radius, centre=at)
                for radius, at in zip(sizes[count:], places[count:], strict=True)
            ),
            smallest=least * um,
            volume=volume * um**3,
            electrolyte_volume=(share * box - cut[~kept].sum()) * um**3 if resolved else None,
            electrons=electrons,
            healing=Healing(
                spheres=tuple(ids[rows[kept]].tolist()),
                shift=(float(shift[0]) * um, float(shift[1]) * um),
                moves=tuple(map(tuple, (healed.moves[kept] * um).tolist())),
                opened=changed(before - after),
                closed=changed(after - before),
                nominal_volume=float(packing.volumes[rows[:count]].sum()),
                volume=volume * um**3,
                healed_volume=float(cut[:count].sum()) * um**3,
                electrolyte=share,
                voids=max(0.0, pores),
                resolved=resolved,
                growth=float((grown.radii / given.radii).max() - 1),
                left_out=tuple(ids[rows[~kept]].tolist()),
                without_electrons=cut_off,
                without_ions=without_ions,
            ),
        )

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Return what touches what: -1 is the collector, -2 the separator.

        Particles count from 0, and after them spheres of electrolyte.
        """
        return tuple(sorted(_touching(balls_of(self))))


def has_voids(cell: object) -> bool:
    """Return whether a mesh of this has holes."""
    return isinstance(cell, ResolvedCell) and bool(cell.electrolyte)


def balls_of(cell: ResolvedCell) -> Balls:
    """Return particles, all of which have centres, and electrolyte as balls; lengths in um."""
    spheres: list[Polycrystal | Sphere] = [*cell.particles, *cell.electrolyte]
    centres = np.array([sphere.centre for sphere in spheres]) / um
    lengths = np.array([cell.width, cell.depth]) / um
    balls = Balls(
        centres=centres,
        radii=np.array([sphere.radius for sphere in spheres]) / um,
        lower=-0.5 * lengths,
        lengths=lengths,
        height=cell.cathode / um,
    )
    return _inside(balls, -0.5 * lengths, -0.5 * lengths)


def _inside(balls: Balls, origin: Array, lower: Array) -> Balls:
    """Return balls in a box whose lower corner was at an origin, and is now elsewhere."""
    centres = balls.centres.copy()
    centres[:, :2] = lower + (centres[:, :2] - origin) % balls.lengths
    return replace(balls, centres=centres, lower=np.asarray(lower, dtype=np.float64))


def _chosen(balls: Balls, rows: NDArray[np.int64]) -> Balls:
    """Return some of the balls."""
    return replace(balls, centres=balls.centres[rows], radii=balls.radii[rows])


def _grown(balls: Balls, wanted: Array, names: list[str]) -> Balls:
    """Return balls of which the first have volumes, cut by all the others, by larger radii."""
    count = len(wanted)
    for _ in range(GROWTHS):
        found = cut_volumes(balls, caps(balls))[:count]
        if np.abs(found / wanted - 1).max() < GROWN:
            return balls
        radii = balls.radii.copy()
        radii[:count] *= np.cbrt(wanted / np.maximum(found, 0.5 * wanted))
        balls = replace(balls, radii=radii)
    worst = int(np.argmax(np.abs(found / wanted - 1)))
    raise InputError(f"{names[worst]} lies too deep in spheres of electrolyte to keep its volume")


def _touching(balls: Balls) -> set[Contact]:
    found = set()
    for ball, cut in enumerate(caps(balls)):
        for cap in cut:
            found.add((ball, cap.other) if cap.other < 0 else _pair(ball, cap.other))
    return found


def _pair(first: int, second: int) -> Contact:
    return min(first, second), max(first, second)


def _check_arguments(
    packing: Packing,
    active: Sequence[str],
    electrolyte: str,
    voids: str,
    separator: float,
    seed: int,
    electrons: str,
    smallest: float | None,
) -> None:
    """Check what can be checked of the arguments one by one, and the phases of the packing."""
    owner = "ResolvedCell.from_packing"
    if not isinstance(packing, Packing):
        raise InputError(f"{owner}.packing must be a Packing, got {type(packing).__name__}")
    check_number(owner, "separator", separator, lower=LENGTHS[0], upper=LENGTHS[1], unit="m")
    check_seed(owner, seed)
    if not isinstance(electrons, str) or electrons not in ELECTRONS:
        raise InputError(f"{owner}.electrons = {electrons!r} must be one of {ELECTRONS}")
    if not isinstance(voids, str) or voids not in VOIDS:
        raise InputError(f"{owner}.voids = {voids!r} must be one of {VOIDS}")
    words = isinstance(active, list | tuple) and all(isinstance(one, str) for one in active)
    if not words or not active or len(set(active)) < len(active):
        raise InputError(f"{owner}.active = {active!r} must be a phase, or several different ones")
    if electrolyte in active:
        raise InputError(f"{owner}: active and electrolyte are both {electrolyte!r}")
    for name in (*active, electrolyte):
        if not packing.of_phase(name).any():
            raise InputError(
                f"{owner}: the packing has no sphere of {name!r}; a cell needs both "
                f"{', '.join(map(repr, active))} and {electrolyte!r}"
            )
    hard = _of_phases(packing, active)
    median = float(np.median(packing.radii[hard]))
    if smallest is not None:
        bounds = {"lower": 1e-4 * median, "upper": 0.1 * median}
        check_number(owner, "smallest", smallest, unit="m", **bounds)
    x, y, z = packing.periodic
    if not (x and y) or z:
        raise InputError(
            f"{owner}: packing.periodic = {packing.periodic} must be (True, True, False): the "
            "sides of a cell across x and y are periodic, its planes across z are collector and "
            "separator"
        )
    for plane, beyond in (
        ("lower", packing.lower[2] - packing.positions[:, 2] + packing.radii),
        ("upper", packing.positions[:, 2] + packing.radii - packing.upper[2]),
    ):
        depth = beyond / packing.radii
        most = np.where(hard, DEEPEST, DEEPEST_OTHERS)
        if np.any(depth > most):
            worst = int(np.argmax(depth - most))
            raise InputError(
                f"{owner}: sphere {np.asarray(packing.ids)[worst]} reaches {beyond[worst]:.3g} m "
                f"beyond the closed side at the {plane} end of z, {depth[worst]:.2g} of its "
                f"radius; at most {most[worst]:g} is allowed"
            )


def _of_phases(packing: Packing, phases: Iterable[str]) -> NDArray[np.bool_]:
    """Return which spheres are of one of some phases."""
    return np.any([packing.of_phase(name) for name in phases], axis=0)


def _named(packing: Packing, phases: Iterable[str]) -> list[str]:
    """Return the phase of each sphere of some phases."""
    found = np.full(len(packing.radii), "", dtype=object)
    for name in phases:
        found[packing.of_phase(name)] = name
    return [name for name in found.tolist() if name]


def _check_places(balls: Balls, names: list[str], smallest: float, count: int) -> None:
    """Check that balls reach neither too deep into each other nor to their own images; in um.

    The first `count` are particles, the others electrolyte.
    """
    radii, shortest = balls.radii, float(balls.lengths.min())
    wide = np.flatnonzero(2 * radii + smallest > shortest)
    if len(wide):
        raise InputError(
            f"{names[wide[0]]} has the diameter {2 * radii[wide[0]] * um:g} m and touches its own "
            f"image: the box is only {shortest * um:g} m wide"
        )
    pairs = near(balls, 0.0)
    apart = np.linalg.norm(pairs.branches(balls), axis=1)
    depth = radii[pairs.first] + radii[pairs.second] - apart
    relative = depth / np.minimum(radii[pairs.first], radii[pairs.second])
    hard = (pairs.first < count) & (pairs.second < count)
    if (relative * hard).max(initial=0) > DEEPEST:
        worst = int(np.argmax(relative * hard))
        i, j = int(pairs.first[worst]), int(pairs.second[worst])
        raise InputError(
            f"{names[i]} and {names[j].rpartition(' ')[2]} overlap by {depth[worst] * um:.3g} m, "
            f"{relative[worst]:.2g} of the smaller radius; at most {DEEPEST:g} is allowed"
        )
    for ball, cut in enumerate(caps(balls)):
        for cap in cut:
            if cap.other >= 0 and cap.offset < 0:
                raise InputError(
                    f"{names[ball]} has its centre in {names[cap.other].rpartition(' ')[2]}: "
                    "beyond the plane in which both are cut"
                )
    z = balls.centres[:, 2]
    beyond = np.maximum(radii - z, z + radii - balls.height) / radii
    most = np.where(np.arange(len(radii)) < count, DEEPEST, DEEPEST_OTHERS)
    if (beyond - most).max() > 1e-9:
        worst = int(np.argmax(beyond - most))
        raise InputError(
            f"{names[worst]} reaches {beyond[worst]:.2g} of its radius out of the cathode layer; "
            f"at most {most[worst]:g} is allowed"
        )


def _without_ions(packing: Packing, rows: NDArray[np.int64], electrolyte: str) -> tuple[int, ...]:
    """Return the particles that touch no electrolyte that leads to the separator.

    Raises:
        InputError: If no electrolyte leads from the separator to the collector.
    """
    network = contact_network(packing)
    through = network.percolating(electrolyte)
    if not through.any():
        raise InputError(
            f"ResolvedCell.from_packing: the spheres of {electrolyte!r} do not lead from the "
            "separator to the collector: ions have no path through the packing"
        )
    cluster = network.clusters(electrolyte)
    top = packing.positions[:, 2] + packing.radii >= packing.upper[2]
    fed = np.isin(cluster, np.unique(cluster[top & (cluster >= 0)])) & (cluster >= 0)
    served = np.zeros(len(packing.radii), dtype=bool)
    served[network.first[fed[network.second]]] = True
    served[network.second[fed[network.first]]] = True
    return tuple(np.flatnonzero(~served[rows]).tolist())


def _leading(
    total: int, count: int, contacts: Iterable[Contact], electrons: str
) -> NDArray[np.bool_]:
    """Return which balls stay: particles, and electrolyte that leads where the matrix must.

    That is to the separator, and to the collector where electrons move in the matrix.
    """
    kept = np.ones(total, dtype=bool)
    for end in (SEPARATOR,) if electrons == "particles" else (SEPARATOR, COLLECTOR):
        pairs = [(i, j) for i, j in contacts if i >= count and (j >= count or j == end)]
        kept[_not_joined(total, pairs, end)] = False
    kept[:count] = True
    return kept


def _unserved(
    names: list[str], kept: NDArray[np.bool_], contacts: Iterable[Contact], electrons: str
) -> tuple[int, ...]:
    """Return the particles at which resolved electrolyte lets nothing be inserted.

    Raises:
        InputError: If one touches neither electrolyte nor a particle that does: it would float.
    """
    count = len(names)
    wet = [(i, -3) for i, j in contacts if i < count <= j and kept[j]]
    by_separator = [(i, -3) for i, j in contacts if i < count and j == SEPARATOR]
    between = [(i, j) for i, j in contacts if max(i, j) < count and j >= 0]
    floating = _not_joined(count, wet + between, -3)
    if len(floating):
        raise InputError(
            f"{names[floating[0]]} touches no electrolyte that leads to the separator, nor a "
            f"particle that does ({len(floating)} in all): it would float in the void"
        )
    served = wet if electrons == "matrix" else wet + by_separator
    return tuple(_not_joined(count, served, -3).tolist())


def _cut_off(count: int, contacts: Iterable[Contact]) -> tuple[int, ...]:
    """Return the particles that no chain of contacts joins to the collector."""
    pairs = [(i, j) for i, j in contacts if i < count and j < count and j != SEPARATOR]
    return tuple(_not_joined(count, pairs, COLLECTOR).tolist())


def _not_joined(count: int, pairs: Iterable[Contact], end: int) -> NDArray[np.int64]:
    """Return the balls that no chain of pairs joins to an end."""
    ends = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    ends = np.where(ends == end, count, ends)
    graph = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(count + 1, count + 1))
    _, label = connected_components(graph, directed=False)
    return np.flatnonzero(label[:count] != label[count])


def _quiet_sides(balls: Balls) -> Array:
    """Return where the sides of the box graze no ball, as far as possible, along x and y."""
    found = []
    for axis, length in enumerate(balls.lengths.tolist()):
        places = length * np.arange(PLACES) / PLACES
        apart = np.abs(places[:, None] - balls.centres[:, axis])
        apart = np.minimum(apart, length - apart)
        grazed = np.abs(balls.radii - apart).min(axis=1)
        found.append(places[int(np.argmax(grazed))])
    return np.array(found)
