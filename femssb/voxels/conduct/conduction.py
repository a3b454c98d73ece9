"""Effective conductivity of a voxel image from a flux through it, and the tortuosities that follow.

    div(sigma grad phi) = 0,    phi = 1 V on the lower plate, 0 on the upper

is solved for voxels of constant conductivity: `femssb.voxels.conduct.links` says how two are
linked. The plates lie on the outer faces of the first and the last voxels, so an image of one phase
has its bulk conductivity exactly, whatever its size. The error of the answer is proven, not
estimated: `femssb.voxels.conduct.bounds`. It is the error against the same voxels solved exactly;
the distance of these from the true shapes is estimated from images of three voxel sizes:
`femssb.voxels.extrapolate`.

On one core a solve takes 0.4 to 2 s per million voxels and, of each that conducts, 200 bytes:
`benchmarks/voxels.py`.
"""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.compiled import on_threads
from femssb.environment.ranks import communicator
from femssb.errors import InputError, check_number
from femssb.inputs.case import describe
from femssb.voxels.conduct import cut_links
from femssb.voxels.conduct.flux import Cost, FluxProblem, solve_flux, solve_fluxes
from femssb.voxels.conduct.links import conductivities_of
from femssb.voxels.image import AXES, Axis, VoxelImage, check_memory
from femssb.voxels.make.cut_voxels import CutVoxels

Sides = Literal["periodic", "insulating"]

NETWORK = 220.0  # memory of a solve [bytes per conducting voxel]
FAINT = 1e-11  # ratio of conductivities from which on the poorer one insulates [-]
FACES, MAPS = 40.0, 80.0  # memory of face conductances and of maps [bytes per voxel]


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Tortuosity:
    """Tortuosity of a phase of share eps and bulk conductivity sigma_bulk in an image of sigma.

    tau^2 = eps sigma_bulk / sigma is the tortuosity factor kappa. Where the share is taken of the
    solid volume alone, the names end in `_of_solid`.

    Attributes:
        phase: The phase.
        bulk: sigma_bulk [S/m].
        fraction: eps, its share of the whole volume [-].
        fraction_of_solid: Its share of the volume without void, NaN for the void itself [-].
        formation_factor: sigma_bulk / sigma, infinite where nothing conducts [-].
    """

    phase: str
    bulk: float
    fraction: float
    fraction_of_solid: float
    formation_factor: float

    @property
    def tau_squared(self) -> float:
        """Tortuosity factor [-]."""
        return self.fraction * self.formation_factor

    @property
    def tau(self) -> float:
        """Root of the tortuosity factor [-]."""
        return math.sqrt(self.tau_squared)

    @property
    def tau_squared_of_solid(self) -> float:
        """Tortuosity factor with the share of the solid volume [-]."""
        return self.fraction_of_solid * self.formation_factor

    @property
    def tau_of_solid(self) -> float:
        """Root of `tau_squared_of_solid` [-]."""
        return math.sqrt(self.tau_squared_of_solid)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and what follows from them as plain data, for JSON."""
        derived = ("tau_squared", "tau", "tau_squared_of_solid", "tau_of_solid")
        return describe(self) | describe({name: getattr(self, name) for name in derived})

    def __str__(self) -> str:
        """Return the tortuosity in words, a line for each share that it may be taken of."""
        whole = f"{self.phase}, void included" if not math.isnan(self.fraction_of_solid) else "void"
        lines = [
            f"tortuosity factor tau^2  {self.tau_squared:.4g}   tau  {self.tau:.4g}   ({whole})"
        ]
        if not math.isnan(self.fraction_of_solid):
            lines.append(
                f"the same of the solids   {self.tau_squared_of_solid:.4g}   tau  "
                f"{self.tau_of_solid:.4g}   ({self.phase}, without void)"
            )
        lines.append(
            f"share of {self.phase}  {self.fraction:.4g}, bulk conductivity {self.bulk:.4g} S/m"
        )
        return "\n".join(lines)


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Maps:
    """Fields in the image for 1 V between the plates.

    Attributes:
        potential: 1 V at the lower plate, NaN where no current can flow, shape (nx, ny, nz) [V].
        current_density: At voxel centres, shape (nx, ny, nz, 3) [A/m2].
    """

    potential: Array
    current_density: Array


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conduction:
    """Effective conductivity of an image along one axis; all values are whole on every rank.

    Attributes:
        axis: Direction of the mean field.
        value: Effective conductivity along `axis` [S/m]; 0 if no conducting path leads from plate
            to plate. Of its two bounds the upper one, from the potential, is the better: the value
            lies a sixth of their distance below it.
        error: Proven error of the solve, the distance from the farther bound: the conductivity of
            these voxels lies within `value` plus or minus this [S/m], but for 6e-8 of it:
            conductances are held in single precision. It says nothing of how far the voxels are
            from the true shapes: `femssb.voxels.extrapolate` estimates that.
        row: Mean current density along x, y and z over the mean field along `axis`, shape (3,):
            sigma_13, sigma_23, sigma_33 for z [S/m].
        flux_imbalance: Largest difference between the current through a plane of faces and the mean
            over all planes, over that mean [-].
        conductivities: Of every phase [S/m].
        fractions: Share of the volume of every phase [-].
        sides: Kind of the sides across x, y and z: "plates", "periodic" or "insulating".
        spacing: Edges of a voxel [m].
        voxels: "whole", each of one phase, or "cut" by the surfaces of spheres.
        maps: Potential and current density of every voxel, None unless asked for.
        cost: Steps, nodes, ranks and time of the solve.
    """

    axis: Axis
    value: float
    error: float
    row: Array
    flux_imbalance: float
    conductivities: Mapping[str, float]
    fractions: Mapping[str, float]
    sides: tuple[str, str, str]
    spacing: tuple[float, float, float]
    voxels: Literal["whole", "cut"]
    maps: Maps | None
    cost: Cost

    @property
    def percolates(self) -> bool:
        """Whether a conducting path leads from plate to plate."""
        return self.cost.nodes > 0

    @checked
    def tortuosity(self, phase: str | None = None, *, void: str = "void") -> Tortuosity:
        """Return the tortuosity of a phase.

        Args:
            phase: The phase; None for the best conductor.
            void: Name of what counts as void in the share of the solid volume; the image need not
                have it.

        Raises:
            InputError: If the phase is unknown or does not conduct.
        """
        if phase is None:
            phase = max(self.conductivities, key=self.conductivities.__getitem__)
        bulk = self.conductivities.get(phase, 0.0)
        if not bulk > 0:
            raise InputError(f"tortuosity.phase = {phase!r} does not conduct")
        fraction = self.fractions[phase]
        solid = fraction / (1 - self.fractions.get(void, 0.0)) if phase != void else math.nan
        return Tortuosity(
            phase=phase,
            bulk=bulk,
            fraction=fraction,
            fraction_of_solid=solid,
            formation_factor=bulk / self.value if self.value > 0 else math.inf,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON; of maps only their shape."""
        kept = {item.name: getattr(self, item.name) for item in fields(self)}
        if self.maps is not None:
            kept["maps"] = {"shape": self.maps.potential.shape}
        return describe(kept) | {
            "percolates": self.percolates,
            "tortuosity": self.tortuosity().to_dict(),
        }

    def __str__(self) -> str:
        """Return the result in words, with the conventions it is given in."""
        lines = [
            f"conductivity along {self.axis}  {self.value:.6g} S/m, proven to {self.error:.1g} S/m",
            str(self.tortuosity()),
            f"sides across x, y, z  {', '.join(self.sides)}; plates on the outer faces of the "
            "first and last voxels",
        ]
        if not self.percolates:
            lines.append("nothing conducts from plate to plate")
        else:
            lines.append(
                f"{self.cost.iterations} iterations on {self.cost.nodes} voxels "
                f"({self.cost.ranks} ranks), flux imbalance {self.flux_imbalance:.1g}"
            )
        return "\n".join(lines)


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConductivityTensor:
    """The full tensor from three fluxes.

    Attributes:
        value: Current density along the first index over the mean field along the second, shape
            (3, 3) [S/m]. Plates and insulating sides bend the current near them, so that it is
            symmetric only in the limit of large images.
        asymmetry: Largest difference across its diagonal over its largest value [-].
        along: The three results, for a field along x, y and z.
    """

    value: Array
    asymmetry: float
    along: tuple[Conduction, Conduction, Conduction]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON; of maps only their shape."""
        return {
            "value": describe(self.value),
            "asymmetry": self.asymmetry,
            "along": {one.axis: one.to_dict() for one in self.along},
        }

    def __str__(self) -> str:
        """Return the tensor, and the tortuosity along each axis."""
        rows = ["   ".join(f"{number: .6g}" for number in row) for row in self.value]
        lines = ["conductivity tensor [S/m]", *rows, f"asymmetry  {self.asymmetry:.2g}"]
        for one in self.along:
            of = one.tortuosity()
            lines.append(
                f"along {one.axis}  tau^2  {of.tau_squared:.4g}   tau  {of.tau:.4g}   ({of.phase})"
            )
        return "\n".join(lines)


@checked
def conductivity(
    image: VoxelImage | CutVoxels,
    conductivities: Mapping[str, float],
    *,
    axis: Axis = "z",
    sides: Sides | None = None,
    contact_resistance: Mapping[tuple[str, str], float] | None = None,
    faces: Sequence[NDArray[Any]] | None = None,
    tolerance: float = 1e-4,
    maps: bool = False,
    threads: int | None = None,
    comm: Any = None,
) -> Conduction:
    """Return the effective conductivity of an image along an axis.

    Args:
        image: The voxels, each of one phase, or cut by the surfaces of spheres.
        conductivities: Of the phases [S/m]; those left out do not conduct.
        axis: Direction of the flux.
        sides: Kind of the lateral sides; None: periodic where the image is, else insulating.
            Cut voxels are periodic only where their packing is.
        contact_resistance: Between two named phases [ohm m2], of the true interface: the greater
            area of its voxel faces is corrected for by the direction of its normal.
        faces: Conductance of every face across x, y and z [S], instead of one from the labels.
            Along the flux the shape has one more, the outer faces included, which lead to the
            plates, half a voxel away. Across it, entry j is the face between voxels j and j + 1,
            and the last one leads round to voxel 0.
        tolerance: Proven error of the solve at which to stop, over the conductivity.
        maps: Whether to return the potential and the current density of every voxel.
        threads: Of this process, that share the work; None: as many as it may use, of a rank of
            MPI one. They change the value by roundoff only.
        comm: Communicator of mpi4py: its ranks share the work, every one with the whole image;
            None: this process alone.

    Raises:
        InputError: If a name is unknown, a phase is given that has no voxels, a conductivity is
            negative or not a number, none is above 0, or the image is one voxel thick.
        NotConverged: If the error stays above the tolerance.
    """
    options: dict[str, Any] = {"tolerance": tolerance, "maps": maps, "threads": threads}
    return _conduct(
        *(image, conductivities, [axis], sides, contact_resistance, faces), comm=comm, **options
    )[0]


@checked
def conductivity_tensor(
    image: VoxelImage | CutVoxels,
    conductivities: Mapping[str, float],
    *,
    sides: Sides | None = None,
    contact_resistance: Mapping[tuple[str, str], float] | None = None,
    tolerance: float = 1e-4,
    maps: bool = False,
    threads: int | None = None,
    comm: Any = None,
    **others: Any,
) -> ConductivityTensor:
    """Return the full tensor, from a flux along each axis.

    On one rank and with insulating sides the three share most of what comes before the iterations.

    Args:
        image: The voxels.
        conductivities: Of the phases [S/m].
        sides: As for `conductivity`, as all that follow.
        contact_resistance: Between two named phases [ohm m2].
        tolerance: Proven error of each solve at which to stop, over the conductivity.
        maps: Whether to return the potential and the current density of every voxel.
        threads: Of this process.
        comm: Communicator of mpi4py.
        others: None: a flux goes along all axes, and faces are those of one.

    Raises:
        InputError: As `conductivity` does.
        NotConverged: As `conductivity` does.
    """
    for name in others:
        raise InputError(f"conductivity_tensor takes no {name}: it is solved along all axes")
    options: dict[str, Any] = {"tolerance": tolerance, "maps": maps, "threads": threads}
    x, y, z = _conduct(
        *(image, conductivities, AXES, sides, contact_resistance, None), comm=comm, **options
    )
    value = np.stack([x.row, y.row, z.row], axis=1)
    largest = np.abs(value).max()
    skew = float(np.abs(value - value.T).max())
    return ConductivityTensor(
        value=value, asymmetry=skew / largest if largest > 0 else 0.0, along=(x, y, z)
    )


def _conduct(
    image: VoxelImage | CutVoxels,
    conductivities: Mapping[str, float],
    axes: Sequence[Axis],
    sides: Sides | None,
    contact_resistance: Mapping[tuple[str, str], float] | None,
    faces: Sequence[NDArray[Any]] | None,
    *,
    tolerance: float,
    maps: bool,
    threads: int | None,
    comm: Any,
) -> list[Conduction]:
    """Return what `conductivity` does, along one axis or all three."""
    comm = None if comm is None else communicator(comm)
    fluxes = [AXES.index(axis) for axis in axes]
    for axis, flux in zip(axes, fluxes, strict=True):
        if image.shape[flux] < 2:
            raise InputError(
                f"conductivity.image is one voxel thick along {axis} (its shape is {image.shape}): "
                "a flux needs at least two"
            )
    shares = image.fractions()
    sigma = conductivities_of("conductivity", image.phase_names, conductivities)
    absent = [name for name in conductivities if conductivities[name] > 0 and shares[name] == 0]
    if absent:
        raise InputError(f"conductivity.conductivities: phase {absent[0]!r} has no voxels")
    contacts = _check_contacts(image.phase_names, contact_resistance or {})
    check_number("conductivity", "tolerance", tolerance, lower=1e-10, upper=0.1)
    periodic = image.periodic if sides is None else (sides == "periodic",) * 3
    if isinstance(image, CutVoxels) and any(
        periodic[side] and not image.periodic[side] and fluxes != [side] for side in range(3)
    ):
        raise InputError(
            f'conductivity.sides = "periodic": the cut voxels are not, periodic is {image.periodic}'
        )
    if faces is not None:
        _check_faces(image, fluxes[0], faces, contacts)
    conducts = sum(part for part, value in zip(shares.values(), sigma, strict=True) if value > 0)
    nodes = NETWORK * (conducts if faces is None else 1.0)
    _check_memory(image, max(nodes, FACES) + (MAPS if maps else 0.0), comm)

    def problem(order: list[int], sigma: Array) -> FluxProblem:
        cut = None
        if isinstance(image, CutVoxels):
            cut = partial(
                cut_links.network,
                image,
                sigma,
                flux=order[0],
                periodic=periodic,
                contacts=contacts,
            )
        return FluxProblem(
            labels=np.transpose(image.labels, order),
            conductivities=sigma,
            spacing=(image.spacing[order[0]], image.spacing[order[1]], image.spacing[order[2]]),
            periodic=(periodic[order[1]], periodic[order[2]]),
            contacts=contacts,
            faces=None if faces is None else [np.transpose(faces[a], order) for a in order],
            cut=cut,
        )

    if threads is None and comm is not None and comm.size > 1:
        threads = 1
    alone = comm is None or comm.size == 1
    whole = not isinstance(image, CutVoxels)
    with on_threads(threads) as count:
        options: dict[str, Any] = {"tolerance": tolerance, "maps": maps, "threads": count}
        levels = _levels(sigma, FAINT**3 if contacts else FAINT)  # which may hold back the better
        if len(axes) == len(AXES) and whole and alone and not any(periodic):
            orders = [[0, 1, 2]] * 3
            solved = solve_fluxes(problem(orders[0], levels[0]), **options)
        else:
            orders = [[flux, (flux + 1) % 3, (flux + 2) % 3] for flux in fluxes]
            solved = [
                solve_flux(problem(order, levels[0]), comm=comm, **options) for order in orders
            ]
        for level in levels[1:] if faces is None else []:
            for n, flux in enumerate(fluxes):
                if solved[n].cost.nodes == 0:  # nothing that conducts better leads through
                    orders[n] = [flux, (flux + 1) % 3, (flux + 2) % 3]
                    solved[n] = solve_flux(problem(orders[n], level), comm=comm, **options)
    results = []
    for axis, order, found in zip(axes, orders, solved, strict=True):
        back = np.argsort(order)
        row = found.row[back]
        kinds = ["periodic" if joined else "insulating" for joined in periodic]
        kinds[AXES.index(axis)] = "plates"
        drawn = found.maps and Maps(
            potential=np.transpose(found.maps[0], back),
            current_density=np.transpose(found.maps[1], [*back, 3])[..., back],
        )
        results.append(
            Conduction(
                axis=axis,
                value=float(row[AXES.index(axis)]),
                error=found.error,
                row=row,
                flux_imbalance=found.imbalance,
                conductivities=dict(zip(image.phase_names, sigma.tolist(), strict=True)),
                fractions=shares,
                sides=(kinds[0], kinds[1], kinds[2]),
                spacing=image.spacing,
                voxels="whole" if whole else "cut",
                maps=drawn,
                cost=found.cost,
            )
        )
    return results


def _levels(sigma: Array, faint: float) -> list[Array]:
    """Return conductivities without contrasts that no computed number holds.

    First what is `faint` beside the best conductor insulates; should nothing lead through, then the
    best of those counts, beside which those above conduct perfectly, and so on.
    """
    levels, best = [], float(sigma.max())
    while best > 0:
        least = best * faint
        levels.append(np.where(sigma >= least, np.minimum(sigma, best / faint), 0.0))
        best = float(sigma[sigma < least].max(initial=0.0))
    return levels


def _check_contacts(
    names: tuple[str, ...], resistances: Mapping[tuple[str, str], float]
) -> dict[tuple[int, int], float]:
    contacts: dict[tuple[int, int], float] = {}
    for pair, value in resistances.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(
                f"conductivity.contact_resistance: {pair!r} must be two different phases"
            )
        if not set(pair) <= set(names):
            raise InputError(
                f"conductivity.contact_resistance names {pair!r}; the phases are {names!r}"
            )
        one, other = sorted(names.index(name) for name in pair)
        if (one, other) in contacts:
            raise InputError(f"conductivity.contact_resistance names {pair!r} twice")
        check_number("conductivity", f"contact_resistance[{pair!r}]", value, lower=0, unit="ohm m2")
        contacts[one, other] = float(value)
    return contacts


def _check_memory(image: VoxelImage | CutVoxels, bytes_per_voxel: float, comm: Any) -> None:
    """Check that the ranks of every machine together fit into its memory."""
    problem, here = "", 1.0
    if comm is not None:
        machines = comm.allgather(platform.node())
        here = machines.count(platform.node()) / comm.size
    try:
        check_memory("conductivity", image.shape, bytes_per_voxel=here * bytes_per_voxel)
    except InputError as error:
        problem = str(error)
    problems = [problem] if comm is None else comm.allgather(problem)
    if any(problems):  # on all ranks alike
        raise InputError(max(problems))


def _check_faces(
    image: VoxelImage | CutVoxels,
    flux: int,
    faces: Sequence[NDArray[Any]],
    contacts: Mapping[tuple[int, int], float],
) -> None:
    if contacts:
        raise InputError(
            "conductivity: give contact_resistance or faces, which hold it already, not both"
        )
    if len(faces) != 3:
        raise InputError(f"conductivity.faces must hold three arrays, got {len(faces)}")
    for a, face in enumerate(faces):
        expected = tuple(n + (b == a == flux) for b, n in enumerate(image.shape))
        if face.shape != expected:
            raise InputError(f"conductivity.faces[{a}] has shape {face.shape}, expected {expected}")
        if not (np.isfinite(face).all() and face.min() >= 0):
            raise InputError(f"conductivity.faces[{a}] holds values below 0 or not finite")
    if not any(face.any() for face in faces):
        raise InputError("conductivity.faces: no face conducts")
