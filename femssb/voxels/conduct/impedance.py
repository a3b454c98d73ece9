"""Tortuosity from the impedance of a blocking symmetric cell, solved on the voxels.

Two equal electrodes face each other across a separator and an electrolyte that reacts with neither:
ions only charge the double layer where a conducting phase meets the walls of its pores. Of one
electrode

    div(sigma grad phi) = 0,    sigma dphi/dn = i omega c (phi_wall - phi) at the walls,
    phi = 0 at the separator,   no current through the collector,

with the walls at the potential of the collector, 1 V. This is another problem than a flux from
plate to plate: the current thins out towards the collector, dead ends are charged as well, and
nothing need percolate. At low frequency

    Z -> R_ion / 3 + 1 / (i omega C)

as on a uniform transmission line, which is how R_ion is read off measured spectra, and

    tau^2 = R_ion sigma eps / L

Sources: Landesfeind et al., J. Electrochem. Soc. 163 (2016) A1373, doi:10.1149/2.1141607jes, for
the measurement; Nguyen et al., npj Comput. Mater. 6 (2020) 123, doi:10.1038/s41524-020-00386-4, for
how it differs from a flux.

The frequency enters the matrix, K + i omega D, which is complex and symmetric. It is solved by
generalised conjugate residuals, which allow a preconditioner that is not linear and, unlike the
solvers of SciPy, work on several ranks. The preconditioner is the real K + omega D, which bounds
the number of iterations at all frequencies, through `femssb.voxels.conduct.multigrid`.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.compiled import on_threads
from femssb.environment.ranks import communicator
from femssb.errors import InputError, NotConverged, check_number
from femssb.inputs.case import describe
from femssb.voxels.conduct import links
from femssb.voxels.conduct.conduction import Sides
from femssb.voxels.conduct.flux import cut
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.links import Single
from femssb.voxels.conduct.multigrid import Multigrid
from femssb.voxels.conduct.network import assemble
from femssb.voxels.image import AXES, Axis, VoxelImage, check_memory
from femssb.voxels.make.cut_voxels import CutVoxels

Complex = NDArray[np.complex128]

LOW = 0.1  # omega R_ion C, below which Z has reached its limit: the rest is 2/315 of its square
RESIDUAL = 1e-9  # of the solve, over its right side
MOST_STEPS, KEPT = 480, 10  # of the solver, and directions that it keeps a step orthogonal to
MEMORY = 900.0  # of a solve [bytes per conducting voxel]
VOXELS = 80.0  # and of its faces and walls [bytes per voxel]
OTHER, CONDUCTOR, WALL = 0, 1, 2


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImpedanceTortuosity:
    """Tortuosity of a phase as a blocking symmetric cell would measure it.

    Attributes:
        axis: Direction from the collector to the separator.
        phase: The phase that conducts ions.
        walls: Phases at the potential of the collector, with a double layer on them.
        bulk: Conductivity of the phase [S/m].
        fraction: Its share of the whole volume [-].
        resistance: R_ion, three times the real part of the impedance at low frequency [ohm m2].
        capacitance: C of the double layer, over the area of the electrode [F/m2].
        thickness: L [m].
        frequencies: The lowest first, at which `resistance` is read, then those asked for [Hz].
        impedance: At these frequencies, of one electrode, times its area [ohm m2].
        imbalance: Largest difference of the currents through walls and separator, over either [-].
    """

    axis: Axis
    phase: str
    walls: tuple[str, ...]
    bulk: float
    fraction: float
    resistance: float
    capacitance: float
    thickness: float
    frequencies: Array
    impedance: Complex
    imbalance: float

    @property
    def tau_squared(self) -> float:
        """Tortuosity factor of the electrode [-]."""
        return self.resistance * self.bulk * self.fraction / self.thickness

    @property
    def tau(self) -> float:
        """Root of the tortuosity factor [-]."""
        return math.sqrt(self.tau_squared)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON; the impedance in two parts."""
        kept = {item.name: getattr(self, item.name) for item in fields(self)}
        kept["impedance"] = {"real": self.impedance.real, "imaginary": self.impedance.imag}
        return describe(kept | {"tau_squared": self.tau_squared, "tau": self.tau})

    def __str__(self) -> str:
        """Return the result in words, with the conventions it is given in."""
        return "\n".join(
            [
                f"impedance of a blocking symmetric cell, collector to separator along {self.axis}",
                f"tortuosity factor tau^2  {self.tau_squared:.4g}   tau  {self.tau:.4g}   "
                f"({self.phase}, void included)",
                f"ionic resistance  {self.resistance:.4g} ohm m2, double layer  "
                f"{self.capacitance:.4g} F/m2 on {', '.join(self.walls)}",
                f"share of {self.phase}  {self.fraction:.4g}, conductivity {self.bulk:.4g} S/m",
                f"read at {self.frequencies[0]:.3g} Hz, current balanced to {self.imbalance:.1g}",
            ]
        )


@checked
def impedance_tortuosity(
    image: VoxelImage | CutVoxels,
    phase: str,
    *,
    walls: Sequence[str] | None = None,
    bulk: float = 1.0,
    double_layer: float = 0.1,
    axis: Axis = "z",
    separator: Literal["upper", "lower"] = "upper",
    sides: Sides | None = None,
    frequencies: Sequence[float] = (),
    threads: int | None = None,
    comm: Any = None,
) -> ImpedanceTortuosity:
    """Return the tortuosity that the impedance of a blocking symmetric cell gives.

    The tortuosity depends neither on `bulk` nor on `double_layer`; both scale the spectrum.

    Args:
        image: The voxels of one electrode, each of one phase: cut ones are refused, as they know
            where surfaces are but not how much of a wall each piece of the conductor sees.
        phase: The phase that conducts ions.
        walls: Phases that are at the potential of the collector, wherever they lie; None: all
            others. Faces towards the rest are insulating.
        bulk: Conductivity of the phase [S/m].
        double_layer: Capacitance over the true area of the walls: that of voxel faces is corrected
            for by the direction of their normal [F/m2].
        axis: Direction from plate to plate.
        separator: Side on which the separator lies; the collector lies opposite.
        sides: Kind of the lateral sides; None: periodic where the image is, else insulating.
        frequencies: Where the impedance is wanted, too [Hz].
        threads: As for `conductivity`.
        comm: As for `conductivity`: ranks share the work of the solves.

    Raises:
        InputError: If a phase is unknown, a number is out of bounds, the image is one voxel thick,
            the phase does not lead from the separator to any wall, or there are more ranks than
            pairs of planes.
        NotConverged: If a solve fails.
    """
    comm = None if comm is None else communicator(comm)
    owner, flux = "impedance_tortuosity", AXES.index(axis)
    check_number(owner, "bulk", bulk, lower=1e-30, upper=1e30, unit="S/m")
    check_number(owner, "double_layer", double_layer, lower=1e-30, upper=1e30, unit="F/m2")
    if isinstance(image, CutVoxels):
        raise InputError(
            f"{owner}.image: cut voxels do not know how much of a wall each piece of the conductor "
            "sees; give the image that `voxelise` makes of the packing"
        )
    for frequency in frequencies:
        check_number(owner, "frequencies", frequency, lower=1e-30, upper=1e30, unit="Hz")
    conductor = image.label(phase)
    names = tuple(name for name in image.phase_names if name != phase) if walls is None else walls
    if phase in names or not names or len({*names}) < len(names):
        raise InputError(f"{owner}.walls = {tuple(names)!r} must be other phases than {phase!r}")
    kinds = np.full(len(image.phase_names), OTHER, np.uint8)
    kinds[[image.label(name) for name in names]] = WALL
    kinds[conductor] = CONDUCTOR
    if image.shape[flux] < 2:
        raise InputError(
            f"{owner}.image is one voxel thick along {axis} (its shape is {image.shape}): at least "
            "two are needed"
        )
    share = image.fractions()[phase]
    check_memory(owner, image.shape, bytes_per_voxel=MEMORY * share + VOXELS)
    order = [flux, (flux + 1) % 3, (flux + 2) % 3]
    labels = np.transpose(kinds[image.labels], order)
    labels = np.ascontiguousarray(labels if separator == "upper" else labels[::-1])
    joined = image.periodic if sides is None else (sides == "periodic",) * 3
    dx, dy, dz = (image.spacing[side] for side in order)
    if threads is None and comm is not None and comm.size > 1:
        threads = 1
    with on_threads(threads):
        pores = _Pores(labels, (dx, dy, dz), (joined[order[1]], joined[order[2]]), comm)
        if not pores.area > 0:
            raise InputError(
                f"{owner}: no {phase!r} leads from the separator, at the {separator} end of "
                f"{axis}, to {' or '.join(names)}"
            )
        time = pores.thickness * pores.area / pores.section * double_layer / bulk  # of the cell
        lowest = LOW / 2 / (2 * math.pi * time) * share
        while True:  # a path may be longer than it looks
            value, imbalance = pores.impedance(2 * math.pi * lowest * double_layer / bulk)
            capacitance = pores.area / pores.section * double_layer
            resistance = 3 * value.real / bulk
            if 2 * math.pi * lowest * resistance * capacitance <= LOW:
                break
            lowest *= LOW / 2 / (2 * math.pi * lowest * resistance * capacitance)
        found = [(value, imbalance)]
        found += [pores.impedance(2 * math.pi * one * double_layer / bulk) for one in frequencies]
    return ImpedanceTortuosity(
        axis=axis,
        phase=phase,
        walls=tuple(names),
        bulk=bulk,
        fraction=share,
        resistance=resistance,
        capacitance=capacitance,
        thickness=pores.thickness,
        frequencies=np.array([lowest, *frequencies]),
        impedance=np.array([value / bulk for value, _ in found], dtype=np.complex128),
        imbalance=max(imbalance for _, imbalance in found),
    )


class _Pores:
    """The conductor that can be reached from the separator, of conductivity 1 S/m.

    A rank has a slab of its planes. The separator lies above the last of all.

    Attributes:
        thickness: From collector to separator [m].
        section: Area of the electrode [m2].
        area: True area of the walls that can be reached [m2].
    """

    def __init__(
        self,
        labels: NDArray[np.uint8],
        spacing: tuple[float, float, float],
        periodic: tuple[bool, bool],
        comm: Any,
    ) -> None:
        self._comm, self._shape = comm, labels.shape
        self._slab = cut(len(labels), comm, owner="impedance_tortuosity")
        self.thickness = len(labels) * spacing[0]
        self.section = labels.shape[1] * spacing[1] * labels.shape[2] * spacing[2]
        reached = _reached(labels == CONDUCTOR, periodic)
        own = slice(self._slab.start, self._slab.stop)
        self._areas = [area[reached[own]] for area in _true_areas(labels, spacing, periodic, own)]
        self.area = self._sum(float(sum(area.sum(dtype=float) for area in self._areas)))
        if self.area == 0:
            return  # no network
        self._half = np.array(spacing) / 2
        faces = _faces(reached, spacing)
        links_here = links.from_faces(faces, periodic=periodic, slab=self._slab)
        self._network, _ = assemble(links_here, reached[own], self._slab, comm)
        self._unit = links_here.unit

    def _sum(self, value: Any) -> Any:
        """Return the sum over all ranks."""
        return value if self._comm is None else self._comm.allreduce(value)

    def impedance(self, rate: float) -> tuple[complex, float]:
        """Return the impedance times the area of the electrode, and how far currents differ.

        Args:
            rate: omega times the capacitance of the double layer [S/m2].
        """
        network = self._network
        walls = np.zeros(network.nodes, np.complex128)
        for area, distance in zip(self._areas, self._half, strict=True):
            walls += area / (distance + 1 / (1j * rate)) / self._unit  # half a voxel, then the wall
        separator = network.ground.astype(np.float64)
        real = network._replace(ground=(separator + walls.real + walls.imag).astype(np.float32))
        hierarchy = Hierarchy(real, self._shape, self._comm)
        halo = hierarchy.halos[0]
        rows = np.repeat(np.arange(network.nodes), np.diff(network.starts))
        values = network.conductances.astype(np.float64)
        diagonal = np.bincount(rows, values, network.nodes) + separator + walls
        between = sparse.csr_array(
            (values, network.neighbours, network.starts),
            shape=(network.nodes, network.nodes + len(network.ghosts)),
        )
        potential = self._solve(
            lambda at: diagonal * at - between @ halo.extend(at), Multigrid(hierarchy), walls
        )
        into = self._sum(complex(np.sum(walls * (1 - potential))))
        out = self._sum(complex(np.sum(separator * potential)))
        return self.section / (out * self._unit), float(abs(into - out) / abs(out))

    def _solve(
        self, multiply: Callable[[Complex], Complex], multigrid: Multigrid, right: Complex
    ) -> Complex:
        """Return the potential of given currents, by generalised conjugate residuals."""

        def product(one: Complex, other: Complex) -> complex:
            return complex(self._sum(complex(np.vdot(one, other))))

        def precondition(residual: Complex) -> Complex:
            # Single precision has its limits; ranks, whose cells are coupled, agree on the scale.
            scale = math.sqrt(product(residual, residual).real) or 1.0
            found = np.empty_like(residual)
            found.real = scale * multigrid.precondition(residual.real / scale)
            found.imag = scale * multigrid.precondition(residual.imag / scale)
            return found

        potential, residual = np.zeros_like(right), right.copy()
        steps: deque[tuple[Complex, Complex]] = deque(maxlen=KEPT)  # and the currents they cause
        whole = left = math.sqrt(product(right, right).real)
        for _ in range(MOST_STEPS):
            if left <= RESIDUAL * whole:
                return potential
            step = precondition(residual)
            currents = multiply(step)
            for earlier, their_currents in steps:
                share = product(their_currents, currents)
                step -= share * earlier
                currents -= share * their_currents
            size = math.sqrt(product(currents, currents).real)
            if not size > 0:
                break
            step, currents = step / size, currents / size
            share = product(currents, residual)
            potential += share * step
            residual -= share * currents
            steps.append((step, currents))
            left = math.sqrt(product(residual, residual).real)
        raise NotConverged(
            f"the impedance is not solved for after {MOST_STEPS} steps",
            residuals={"potential": left / whole / RESIDUAL},
        )


def _faces(reached: NDArray[np.bool_], spacing: tuple[float, float, float]) -> list[Array]:
    """Return the conductance of every face [S]; of the outer ones only the separator's."""
    dx, dy, dz = spacing
    along = np.zeros((len(reached) + 1, *reached.shape[1:]))
    along[1:-1] = (reached[1:] & reached[:-1]) * (dy * dz / dx)
    along[-1] = reached[-1] * (2 * dy * dz / dx)
    second = (reached & np.roll(reached, -1, 1)) * (dz * dx / dy)
    third = (reached & np.roll(reached, -1, 2)) * (dx * dy / dz)
    return [along, second, third]


def _true_areas(
    labels: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    periodic: tuple[bool, bool],
    own: slice,
) -> list[Single]:
    """Return the area of wall that voxels of some planes have on their faces across each axis [m2].

    A contact resistance adds to a face what its area is too large by, over its area: this is how
    `links` says the normal of the true interface.
    """
    dx, dy, dz = spacing
    resistance = min(spacing)
    low, high = max(own.start - 1, 0), min(own.stop + 1, len(labels))  # with a plane beside them
    joined = links.from_labels(
        labels,
        np.array([0.0, 1.0, 1.0]),
        spacing=spacing,
        periodic=periodic,
        slab=links.Slab(start=low, stop=high, planes=len(labels)),
        contacts={(CONDUCTOR, WALL): resistance},
    )
    near = labels[low:high]
    along = joined.along[1:].copy()
    along[-1] = 0  # to a plate, or to planes that do not matter
    found = []
    for axis, conductance, distance, face in (
        (0, along, dx, dy * dz),
        (1, joined.second, dy, dz * dx),
        (2, joined.third, dz, dx * dy),
    ):
        after = np.roll(near, -1, axis)
        with np.errstate(divide="ignore"):
            added = face / (conductance.astype(np.float64) * joined.unit) - distance
        area = np.where(conductance > 0, face * resistance / np.maximum(added, resistance), 0.0)
        before = np.where((near == CONDUCTOR) & (after == WALL), area, 0.0)
        behind = np.where((near == WALL) & (after == CONDUCTOR), area, 0.0)
        whole = (before + np.roll(behind, 1, axis)).astype(np.float32)
        found.append(whole[own.start - low : own.stop - low])
    return found


def _reached(conductor: NDArray[np.bool_], periodic: tuple[bool, bool]) -> NDArray[np.bool_]:
    """Return the voxels of a conductor that are joined to its last plane."""
    clusters, count = ndimage.label(conductor)
    pairs = [np.empty((2, 0), np.int64)]
    for axis, joined in zip((1, 2), periodic, strict=True):
        if joined:
            ends = np.stack([clusters.take(0, axis).ravel(), clusters.take(-1, axis).ravel()])
            pairs.append(ends[:, (ends > 0).all(axis=0)])
    one, other = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(one)), (one, other)), shape=(count + 1, count + 1))
    _, group = csgraph.connected_components(graph, directed=False)
    last = np.unique(clusters[-1])
    chosen = np.isin(group, group[last[last > 0]])
    chosen[0] = False
    return chosen[clusters]
