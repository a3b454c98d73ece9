"""Effective conductivity of a voxel image by a flux through it, and the tortuosities that follow.

    div(sigma grad phi) = 0,    phi = 1 V on the lower plate, 0 on the upper

is solved for voxels of constant conductivity: `femssb.voxels.conduct.links` says how two are
linked. The plates lie on the outer faces of the first and the last voxels, so an image of one phase
has its bulk conductivity exactly, whatever its size. The error of the answer is proven, not
estimated: `femssb.voxels.conduct.bounds`. It is the error against the same voxels solved exactly;
how far these are from the true shapes, two images of different voxel size tell: `extrapolate`.

On one core a solve takes 0.5 to 2 s per million voxels and, of each that conducts, 200 bytes:
`benchmarks/voxels.py`.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from femssb.errors import EngineError, InputError, check_number
from femssb.voxels.image import AXES, Axis, VoxelImage, axis_number, check_memory

Array = NDArray[np.float64]
Sides = Literal["periodic", "insulating"]
Engine = Literal["numba", "petsc"]

MEMORY = {"numba": 220.0, "petsc": 520.0}  # that a solve takes [bytes per conducting voxel]
FACES, MAPS = 40.0, 80.0  # what face conductances and maps take [bytes per voxel]
PLATES = "on the outer faces of the first and last voxels"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conduction:
    """Effective conductivity of an image along one axis; all values are whole on every rank.

    With eps the share of a phase in the whole volume, sigma_bulk its conductivity and sigma the
    effective one, tau^2 = eps sigma_bulk / sigma (the tortuosity factor kappa) and tau is its root.
    Where the share is taken of the solid volume alone, the names end in `_of_solid`.

    Attributes:
        axis: Direction of the mean field.
        value: Effective conductivity along `axis`, the middle between its two bounds [S/m].
        error: Half the distance between the bounds: the conductivity of these voxels lies within
            `value` plus or minus this [S/m], but for 6e-8 of it: conductances are held in single
            precision.
        row: Mean current density along x, y and z over the mean field along `axis`, shape (3,):
            sigma_13, sigma_23, sigma_33 for z [S/m].
        percolates: Whether a conducting path leads from plate to plate; if none does, nothing was
            solved, the conductivity is 0 and every tortuosity infinite.
        flux_imbalance: Largest difference between the current through a plane of faces and the mean
            over all planes, over that mean.
        iterations: Steps of conjugate gradients.
        nodes: Voxels in clusters that reach both plates.
        sides: What the sides across x, y and z are: "plates", "periodic" or "insulating".
        plates: Where the plates lie.
        phase: Phase that the tortuosities refer to.
        bulk: Its conductivity [S/m].
        fraction: Its share of the whole volume, eps.
        fraction_of_solid: Its share of the volume without void.
        tau_squared: eps sigma_bulk / sigma.
        tau: Root of `tau_squared`.
        tau_squared_of_solid: As `tau_squared`, with `fraction_of_solid`.
        tau_of_solid: Root of `tau_squared_of_solid`.
        formation_factor: sigma_bulk / sigma.
        potential: For 1 V between the plates, 1 V at the lower, NaN where no current can flow,
            shape (nx, ny, nz) [V]; None unless asked for.
        current_density: At voxel centres, for 1 V between the plates, shape (nx, ny, nz, 3)
            [A/m2]; None unless asked for.
        spacing: Edges of a voxel [m].
        engine: What solved it.
        ranks: Number of MPI ranks that did.
        times: Wall time of each stage [s].
    """

    axis: Axis
    value: float
    error: float
    row: Array
    percolates: bool
    flux_imbalance: float
    iterations: int
    nodes: int
    sides: tuple[str, str, str]
    plates: str
    phase: str
    bulk: float
    fraction: float
    fraction_of_solid: float
    tau_squared: float
    tau: float
    tau_squared_of_solid: float
    tau_of_solid: float
    formation_factor: float
    potential: Array | None
    current_density: Array | None
    spacing: tuple[float, float, float]
    engine: str
    ranks: int
    times: Mapping[str, float]

    def __str__(self) -> str:
        """Return what was found in words, with the conventions it is given in."""
        void = f"{self.phase}, void included" if self.phase != "void" else self.phase
        lines = [
            f"conductivity along {self.axis}  {self.value:.6g} S/m, proven to {self.error:.1g} S/m",
            f"tortuosity factor tau^2  {self.tau_squared:.4g}   tau  {self.tau:.4g}   ({void})",
        ]
        if not math.isnan(self.tau_squared_of_solid):
            lines.append(
                f"the same of the solids   {self.tau_squared_of_solid:.4g}   tau  "
                f"{self.tau_of_solid:.4g}   ({self.phase}, without void)"
            )
        lines += [
            f"share of {self.phase}  {self.fraction:.4g}, bulk conductivity {self.bulk:.4g} S/m",
            f"sides across x, y, z  {', '.join(self.sides)}; plates {self.plates}",
        ]
        if not self.percolates:
            lines.append("nothing conducts from plate to plate")
        else:
            lines.append(
                f"{self.iterations} iterations on {self.nodes} voxels ({self.engine}, "
                f"{self.ranks} ranks), flux imbalance {self.flux_imbalance:.1g}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConductivityTensor:
    """The full tensor from three fluxes.

    Attributes:
        value: Current density along the first index over the mean field along the second, shape
            (3, 3) [S/m]. Plates and insulating sides bend the current near them, so that it is
            symmetric only in the limit of large images.
        asymmetry: Largest difference across its diagonal over its largest value.
        along: The three results, for a field along x, y and z.
    """

    value: Array
    asymmetry: float
    along: tuple[Conduction, Conduction, Conduction]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Conductivity at vanishing voxel size.

    Attributes:
        value: Richardson's extrapolation from the two finest images [S/m].
        uncertainty: How far it may be off [S/m]: with three images or more, its distance from the
            extrapolation without the finest; with two, half the correction. The solver's errors
            are added.
        discretisation_error: Finest image less extrapolated, over the extrapolated value.
        order: Observed order of convergence of the last three images; the assumed 1 with two.
    """

    value: float
    uncertainty: float
    discretisation_error: float
    order: float


def conductivity(
    image: VoxelImage,
    conductivities: Mapping[str, float],
    *,
    axis: Axis = "z",
    contact_resistance: Mapping[tuple[str, str], float] | None = None,
    sides: Sides | None = None,
    tolerance: float = 1e-4,
    phase: str | None = None,
    void: str = "void",
    normals: NDArray[Any] | None = None,
    faces: Sequence[NDArray[Any]] | None = None,
    maps: bool = False,
    comm: Any = None,
    engine: Engine | None = None,
    maximum_iterations: int = 100,
) -> Conduction:
    """Return the effective conductivity of an image along an axis.

    Args:
        image: The voxels.
        conductivities: Of the phases [S/m]; those left out do not conduct.
        axis: Direction of the flux.
        contact_resistance: Between two named phases [ohm m2], of the true interface: the greater
            area of its voxel faces is corrected for by the direction of its normal.
        sides: What the lateral sides are; None: periodic where the image is, else insulating.
        tolerance: Error of the conductivity at which to stop, over its value; it is proven.
        phase: Phase that the tortuosities refer to; None: the best conductor.
        void: Name of what counts as void in the share of the solid volume; the image need not
            have it.
        normals: Normal of the interface at each voxel near one, of either sign and any length,
            shape (nx, ny, nz, 3), if it is known better than the labels tell. None: it is read
            from the labels.
        faces: Conductance of every face across x, y and z [S], instead of one from the labels; as
            from `femssb.voxels.conduct.apertures.face_conductances` with the same axis.
        maps: Whether to return the potential and the current density of every voxel.
        comm: Communicator of mpi4py: its ranks share the work, every one with the whole image;
            None: this process alone.
        engine: "numba" on plain packages, or "petsc", which takes a fifth more time and twice the
            memory; both on any number of ranks. None: PETSc on several ranks where it is installed,
            else Numba.
        maximum_iterations: Steps of conjugate gradients after which it has failed.

    Raises:
        InputError: If a name is unknown, a phase is given that has no voxels, a conductivity is
            negative or not a number, none is above 0, or the image is one voxel thick.
        EngineError: If PETSc is needed and absent.
        NotConverged: If the error is still above the tolerance after all iterations.
    """
    flux = _check_axis(image, axis)
    share = image.fractions()
    sigma = _check_conductivities(image, conductivities, share)
    contacts = _check_contacts(image, contact_resistance or {})
    check_number("conductivity", "tolerance", tolerance, lower=1e-10, upper=0.1)
    check_number("conductivity", "maximum_iterations", maximum_iterations, lower=1)
    periodic = _check_sides(image, sides, flux)
    chosen = _check_engine(engine, comm)
    _check_arrays(image, flux, normals, faces, contacts)
    conducts = sum(part for part, value in zip(share.values(), sigma, strict=True) if value > 0)
    nodes = MEMORY[chosen] * (conducts if faces is None else 1.0)
    _check_memory(image, max(nodes, FACES) + (MAPS if maps else 0.0), comm)
    best = image.phase_names[int(sigma.argmax())]
    phase = best if phase is None else phase
    if not sigma[image.label(phase)] > 0:
        raise InputError(f"conductivity.phase = {phase!r} does not conduct")

    order = [flux, (flux + 1) % 3, (flux + 2) % 3]
    from femssb.voxels.conduct.flux import (  # Numba, which takes time to load
        FluxProblem,
        solve_flux,
    )

    problem = FluxProblem(
        labels=np.transpose(image.labels, order),
        conductivities=sigma,
        spacing=(image.spacing[order[0]], image.spacing[order[1]], image.spacing[order[2]]),
        periodic=(periodic[order[1]], periodic[order[2]]),
        contacts=contacts,
        normals=None if normals is None else np.transpose(normals, [*order, 3])[..., order],
        faces=None if faces is None else [np.transpose(faces[a], order) for a in order],
    )
    found = solve_flux(
        problem,
        tolerance=tolerance,
        maximum_iterations=maximum_iterations,
        maps=maps,
        comm=comm,
        on_petsc=chosen == "petsc",
    )
    back = np.argsort(order)
    value, bulk = float(found.row[0]), float(sigma[image.label(phase)])
    fraction = share[phase]
    solid = fraction / (1 - share.get(void, 0.0)) if phase != void else math.nan
    factor = bulk / value if value > 0 else math.inf
    kinds = ["periodic" if joined else "insulating" for joined in periodic]
    kinds[flux] = "plates"
    potential, density = found.potential, found.density
    return Conduction(
        axis=axis,
        value=value,
        error=found.error,
        row=found.row[back],
        percolates=found.nodes > 0,
        flux_imbalance=found.imbalance,
        iterations=found.iterations,
        nodes=found.nodes,
        sides=(kinds[0], kinds[1], kinds[2]),
        plates=PLATES,
        phase=phase,
        bulk=bulk,
        fraction=fraction,
        fraction_of_solid=solid,
        formation_factor=factor,
        tau_squared=fraction * factor,
        tau=math.sqrt(fraction * factor),
        tau_squared_of_solid=solid * factor,
        tau_of_solid=math.sqrt(solid * factor),
        potential=None if potential is None else np.transpose(potential, back),
        current_density=None if density is None else np.transpose(density, [*back, 3])[..., back],
        spacing=image.spacing,
        engine=chosen,
        ranks=1 if comm is None else comm.size,
        times=found.times,
    )


def conductivity_tensor(
    image: VoxelImage, conductivities: Mapping[str, float], **options: Any
) -> ConductivityTensor:
    """Return the full tensor, from a flux along each axis.

    Args:
        image: The voxels.
        conductivities: Of the phases [S/m].
        options: As for `conductivity`, but for `axis` and `faces`.

    Raises:
        InputError: As `conductivity` does.
        NotConverged: As `conductivity` does.
    """
    for name in ("axis", "faces"):
        if name in options:
            raise InputError(f"conductivity_tensor takes no {name}: it goes along all axes")
    x, y, z = (conductivity(image, conductivities, axis=axis, **options) for axis in AXES)
    value = np.stack([x.row, y.row, z.row], axis=1)
    largest = np.abs(value).max()
    skew = float(np.abs(value - value.T).max())
    return ConductivityTensor(
        value=value, asymmetry=skew / largest if largest > 0 else 0.0, along=(x, y, z)
    )


def extrapolate(results: Sequence[Conduction]) -> Extrapolation:
    """Return the conductivity at vanishing voxel size from images of the same structure.

    Args:
        results: From coarse to fine voxels, two or more. The error of labels and of apertures is
            about of first order in the voxel size, which is assumed with two results.

    Raises:
        InputError: If there are fewer than two, or their voxels do not become smaller.
    """
    if len(results) < 2:
        raise InputError(f"extrapolate.results holds {len(results)} results, needs two or more")
    sizes = [math.prod(result.spacing) ** (1 / 3) for result in results]
    if any(fine >= coarse for coarse, fine in pairwise(sizes)):
        raise InputError(f"extrapolate.results: voxel sizes {sizes} m do not become smaller")
    values = [result.value for result in results]
    limits = [
        fine + (fine - coarse) * step / (before - step)
        for (coarse, fine), (before, step) in zip(pairwise(values), pairwise(sizes), strict=True)
    ]
    value, order = limits[-1], 1.0
    if len(results) > 2:
        uncertainty = abs(limits[-1] - limits[-2])
        order = _observed_order(values[-3:], sizes[-3:])
    else:
        uncertainty = abs(value - values[-1]) / 2
    return Extrapolation(
        value=value,
        uncertainty=uncertainty + results[-1].error + results[-2].error,
        discretisation_error=(values[-1] - value) / value if value else math.nan,
        order=order,
    )


def _observed_order(values: Sequence[float], sizes: Sequence[float]) -> float:
    """Return p of an error h^p that fits three values, NaN if they do not approach a limit."""
    first, second = values[0] - values[1], values[1] - values[2]
    if second == 0 or first / second <= 0:
        return math.nan

    def mismatch(p: float) -> float:
        ratio = (sizes[0] ** p - sizes[1] ** p) / (sizes[1] ** p - sizes[2] ** p)
        return ratio - first / second

    low, high = 0.01, 10.0
    if mismatch(low) * mismatch(high) > 0:
        return math.nan
    return float(optimize.brentq(mismatch, low, high))


def _check_axis(image: VoxelImage, axis: object) -> int:
    if not isinstance(image, VoxelImage):
        raise InputError(f"conductivity.image must be a VoxelImage, got {type(image).__name__}")
    flux = axis_number("conductivity", axis)
    if image.shape[flux] < 2:
        raise InputError(
            f"conductivity.image is one voxel thick along {axis} (its shape is {image.shape}): "
            "a flux needs at least two"
        )
    return flux


def _check_conductivities(
    image: VoxelImage, conductivities: Mapping[str, float], shares: Mapping[str, float]
) -> Array:
    if not isinstance(conductivities, Mapping):
        raise InputError(f"conductivity.conductivities = {conductivities!r} must map phase to S/m")
    sigma = np.zeros(len(image.phase_names))
    for name, value in conductivities.items():
        label = image.label(name)
        check_number("conductivity", f"conductivities[{name!r}]", value, lower=0, unit="S/m")
        if value > 0 and shares[name] == 0:
            raise InputError(f"conductivity.conductivities: phase {name!r} has no voxels")
        sigma[label] = value
    if not sigma.max() > 0:
        raise InputError(f"conductivity.conductivities = {dict(conductivities)!r}: none is above 0")
    return sigma


def _check_contacts(
    image: VoxelImage, resistances: Mapping[tuple[str, str], float]
) -> dict[tuple[int, int], float]:
    contacts: dict[tuple[int, int], float] = {}
    for pair, value in resistances.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(
                f"conductivity.contact_resistance: {pair!r} must be two different phases"
            )
        one, other = sorted(image.label(name) for name in pair)
        if (one, other) in contacts:
            raise InputError(f"conductivity.contact_resistance names {pair!r} twice")
        check_number("conductivity", f"contact_resistance[{pair!r}]", value, lower=0, unit="ohm m2")
        contacts[one, other] = float(value)
    return contacts


def _check_sides(image: VoxelImage, sides: object, flux: int) -> tuple[bool, bool, bool]:
    if sides not in (None, "periodic", "insulating"):
        raise InputError(f'conductivity.sides = {sides!r} must be None, "periodic", "insulating"')
    joined = list(image.periodic) if sides is None else [sides == "periodic"] * 3
    joined[flux] = False
    return joined[0], joined[1], joined[2]


def _check_engine(engine: object, comm: Any) -> Engine:
    ranks = 1 if comm is None else comm.size
    if engine not in (None, "numba", "petsc"):
        raise InputError(f'conductivity.engine = {engine!r} must be None, "numba" or "petsc"')
    there = util.find_spec("petsc4py") is not None
    if engine == "petsc" and not there:
        raise EngineError('petsc4py is missing: install it, or use engine="numba"')
    return "petsc" if engine == "petsc" or (engine is None and ranks > 1 and there) else "numba"


def _check_memory(image: VoxelImage, bytes_per_voxel: float, comm: Any) -> None:
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


def _check_arrays(
    image: VoxelImage,
    flux: int,
    normals: NDArray[Any] | None,
    faces: Sequence[NDArray[Any]] | None,
    contacts: Mapping[tuple[int, int], float],
) -> None:
    if normals is not None and normals.shape != (*image.shape, 3):
        raise InputError(
            f"conductivity.normals has shape {normals.shape}, expected {(*image.shape, 3)}"
        )
    if faces is None:
        return
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
