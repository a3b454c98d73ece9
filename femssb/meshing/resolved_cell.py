"""Half-cells whose particles are resolved one by one: what they are, and how a packing becomes one.

Nothing here needs Gmsh. The particles are spheres that may overlap: they are cut where their powers
are equal (`femssb.meshing.cut_balls`). What the mesh cannot have, gaps, necks and strips that are
too small, is mended by moving centres a little (`femssb.meshing.healing`), and reported.
"""

from collections.abc import Iterable
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
DEEPEST_OTHERS = 1.0  # of spheres that become matrix: what is soft is pressed flat on planes
SMALLEST = 0.04  # smallest feature, in units of the median radius
PLACES = 200  # of the sides of the box that are compared, along x and along y
ELECTRONS = ("matrix", "particles", "both")

Contact = tuple[int, int]


@description
class Healing:
    """How a packing was changed to become a cell that can be meshed, and what is in it.

    Particles count from 0, in the order of the cell; -1 is the collector, -2 the separator.
    """

    spheres: tuple[int, ...] = field("number in the packing of each particle (`Packing.ids`)")
    shift: tuple[float, float] = field("of the periodic box, along x and y", unit="m")
    moves: tuple[Vector, ...] = field("of the centre of each particle", unit="m")
    opened: tuple[Contact, ...] = field("contacts that were lost", default=())
    closed: tuple[Contact, ...] = field("contacts that are new", default=())
    nominal_volume: float = field("of the spheres of active material, each whole", unit="m3")
    volume: float = field("of the active material in the packing, overlaps once", unit="m3")
    healed_volume: float = field("the same after the moves, which the mesh makes up", unit="m3")
    electrolyte: float = field("share of the electrolyte in the cathode layer of the packing")
    voids: float = field("share of the pores in the cathode layer: matrix in the cell")
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
            f"{len(self.moves)} particles, centres moved by {length.mean():.3g} um on average, "
            f"{length.max():.3g} um at most, box by ({1e6 * self.shift[0]:.3g}, "
            f"{1e6 * self.shift[1]:.3g}) um",
            f"contacts opened: {named(self.opened)}; closed: {named(self.closed)}",
            f"active material: {1e18 * self.volume:.6g} um3, overlaps of "
            f"{100 * (1 - self.volume / self.nominal_volume):.3g} % of the spheres counted once; "
            f"moves changed it by {100 * (self.healed_volume / self.volume - 1):.2g} %, which the "
            "radii in the mesh make up",
            f"matrix: electrolyte {100 * self.electrolyte:.3g} % of the layer, and pores "
            f"{100 * self.voids:.3g} %, which count as electrolyte in the cell",
        ]
        for what, inert in (("electrons", self.without_electrons), ("ions", self.without_ions)):
            shown = ", ".join(map(str, inert)) or "none"
            lines.append(f"particles that no path of {what} reaches: {shown}")
        return "\n".join(lines)


@description
class ResolvedCell:
    """A box from the collector (z = 0) to the anode, with many particles that may touch.

    The box is centred on x = y = 0 and periodic across x and y: particles may cross its sides.
    Particles that overlap meet in a disc; they may be cut by the collector and by the separator.
    All else in the cathode layer is matrix.

    Raises:
        InputError: If the cell is too small or too large, particles overlap too deeply, reach out
            of the layer or to their own image, or anything between them is too small to be meshed.
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
    smallest: float = field(
        "length below which gaps and strips between particles cannot be meshed", unit="m", above=0
    )
    volume: float | None = field(
        "of the active material in the mesh; None: of the particles as they are cut",
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
        _check_places(balls, names, self.smallest / um)
        found = [feature.what for feature in features(balls, self.smallest / um)]
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise InputError(
                f"ResolvedCell.particles leave features below smallest = {self.smallest:g} m, "
                f"which cannot be meshed: {'; '.join(found[:3])}{more}; "
                "ResolvedCell.from_packing moves centres until there are none"
            )

    @classmethod
    def from_packing(
        cls,
        packing: Packing,
        *,
        active: str = "AM",
        electrolyte: str = "SE",
        separator: float = 10 * um,
        grains: int = 1,
        size_spread: float = 0.2,
        seed: int = 1,
        electrons: Literal["matrix", "particles", "both"] = "matrix",
        smallest: float | None = None,
    ) -> Self:
        """Make a cell from a packing: its spheres of active material, in a matrix of all the rest.

        Pores count as electrolyte: the matrix is homogeneous, with the effective properties that
        the electrolyte of the packing has, pores included. `Healing` says how much of them there
        is, and what was changed.

        Args:
            packing: Periodic across x and y; its planes across z are collector and separator.
            active: Name of the phase of the particles.
            electrolyte: Name of the phase that carries ions.
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
                not lead through the packing, or centres cannot be moved as is needed.
        """
        _check_arguments(packing, active, electrolyte, separator, seed, electrons, smallest)
        rows, ids = np.flatnonzero(packing.of_phase(active)), np.asarray(packing.ids)
        owner = "ResolvedCell.from_packing"
        names = [f"{owner}: sphere {ids[row]}" for row in rows.tolist()]
        radii = packing.radii[rows] / um
        least = SMALLEST * float(np.median(radii)) if smallest is None else smallest / um
        lengths, height = packing.lengths[:2] / um, float(packing.lengths[2]) / um
        given = Balls(
            centres=(packing.positions[rows] - packing.lower) / um,
            radii=radii,
            lower=np.zeros(2),
            lengths=lengths,
            height=height,
        )
        given = _inside(given, np.zeros(2), np.zeros(2))
        _check_places(given, names, least)
        before = _touching(given)
        if electrons == "particles" and not any(pair[1] == COLLECTOR for pair in before):
            raise InputError(
                f"{owner}: no sphere of {active!r} touches the collector, at z = "
                f"{packing.lower[2]:g} m, from which electrons = 'particles' must come"
            )
        without_ions = _without_ions(packing, rows, electrolyte)
        shift = _quiet_sides(given)
        placed = _inside(given, shift, -0.5 * lengths)
        healed = heal(placed, least)
        if healed.left:
            raise InputError(
                f"{owner}: {len(healed.left)} features stay below smallest = {least * um:g} m "
                f"however centres are moved: {'; '.join(healed.left[:3])}"
            )
        after = _touching(healed.balls)
        volume = float(cut_volumes(given, caps(given)).sum())
        share = volume / float(np.prod(lengths) * height)
        voids = porosity(packing).union
        cut_off = () if electrons != "particles" else _cut_off(len(rows), after)
        random = np.random.default_rng([seed, 0])
        seeds = random.integers(2**62, size=int(ids.max()) + 1)[ids[rows]]
        return cls(
            width=float(packing.lengths[0]),
            depth=float(packing.lengths[1]),
            cathode=float(packing.lengths[2]),
            separator=separator,
            particles=tuple(
                Polycrystal(
                    radius=float(packing.radii[row]),
                    grains=grains,
                    seed=int(own),
                    centre=(float(x), float(y), float(z)),
                    size_spread=size_spread,
                )
                for row, own, (x, y, z) in zip(
                    rows.tolist(), seeds, healed.balls.centres * um, strict=True
                )
            ),
            smallest=least * um,
            volume=volume * um**3,
            electrons=electrons,
            healing=Healing(
                spheres=tuple(ids[rows].tolist()),
                shift=(float(shift[0]) * um, float(shift[1]) * um),
                moves=tuple(map(tuple, (healed.moves * um).tolist())),
                opened=tuple(sorted(before - after)),
                closed=tuple(sorted(after - before)),
                nominal_volume=float(packing.volumes[rows].sum()),
                volume=volume * um**3,
                healed_volume=float(cut_volumes(healed.balls, caps(healed.balls)).sum()) * um**3,
                electrolyte=max(0.0, 1 - share - voids),
                voids=max(0.0, voids),
                without_electrons=cut_off,
                without_ions=without_ions,
            ),
        )

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Return what touches what: particles by number, -1 the collector, -2 the separator."""
        return tuple(sorted(_touching(balls_of(self))))


def balls_of(cell: ResolvedCell) -> Balls:
    """Return the particles of a cell, all of which have centres, as balls; lengths in um."""
    centres = np.array([particle.centre for particle in cell.particles]) / um
    lengths = np.array([cell.width, cell.depth]) / um
    balls = Balls(
        centres=centres,
        radii=np.array([particle.radius for particle in cell.particles]) / um,
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
    active: str,
    electrolyte: str,
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
    if electrons not in ELECTRONS:
        raise InputError(f"{owner}.electrons = {electrons!r} must be one of {ELECTRONS}")
    if active == electrolyte:
        raise InputError(f"{owner}: active and electrolyte are both {active!r}")
    for name in (active, electrolyte):
        if not packing.of_phase(name).any():
            raise InputError(
                f"{owner}: the packing has no sphere of {name!r}; a cell needs both "
                f"{active!r} and {electrolyte!r}"
            )
    median = float(np.median(packing.radii[packing.of_phase(active)]))
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
        most = np.where(packing.of_phase(active), DEEPEST, DEEPEST_OTHERS)
        if np.any(depth > most):
            worst = int(np.argmax(depth - most))
            raise InputError(
                f"{owner}: sphere {np.asarray(packing.ids)[worst]} reaches {beyond[worst]:.3g} m "
                f"beyond the closed side at the {plane} end of z, {depth[worst]:.2g} of its "
                f"radius; at most {most[worst]:g} is allowed"
            )


def _check_places(balls: Balls, names: list[str], smallest: float) -> None:
    """Check that balls reach neither too deep into each other nor to their own images; in um."""
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
    if relative.max(initial=0) > DEEPEST:
        worst = int(np.argmax(relative))
        i, j = int(pairs.first[worst]), int(pairs.second[worst])
        raise InputError(
            f"{names[i]} and {names[j].rpartition(' ')[2]} overlap by {depth[worst] * um:.3g} m, "
            f"{relative[worst]:.2g} of the smaller radius; at most {DEEPEST:g} is allowed"
        )
    z = balls.centres[:, 2]
    beyond = np.maximum(radii - z, z + radii - balls.height) / radii
    if beyond.max() > DEEPEST + 1e-9:
        worst = int(np.argmax(beyond))
        raise InputError(
            f"{names[worst]} reaches {beyond[worst]:.2g} of its radius out of the cathode layer; "
            f"at most {DEEPEST:g} is allowed"
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


def _cut_off(count: int, contacts: Iterable[Contact]) -> tuple[int, ...]:
    """Return the particles that no chain of contacts joins to the collector."""
    pairs = np.array([pair for pair in contacts if pair[1] != SEPARATOR]).reshape(-1, 2)
    pairs = np.where(pairs == COLLECTOR, count, pairs)
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(count + 1, count + 1))
    _, label = connected_components(graph, directed=False)
    return tuple(np.flatnonzero(label[:count] != label[count]).tolist())


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
