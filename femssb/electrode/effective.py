"""From the structure of an electrode to the numbers of its matrix in a cell.

`effective` measures a packing or an image; `Effective.conductor` finds the matrix with which a
meshed cathode layer, particles in it, conducts as the electrode does. Three things go wrong where
an effective conductivity is given to the matrix of a cell as it is, and are cared for here:

- particles hinder twice: the conductivity of the electrode holds them already, and the cell adds
  its own. So the matrix conducts better than the electrode, by what the mesh says.
- electrons that pass the active material in the electrode pass around it in a cell whose
  particles do not conduct: that is refused.
- a cell with less active material on its area has a smaller current at the same C-rate, and loses
  less of its voltage to resistance: that is scaled, or refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.electrode.bounds import elasticity_of, hashin_shtrikman
from femssb.errors import InputError, check_number, shown
from femssb.inputs.case import describe
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import ActiveMaterial, Conductor, Materials
from femssb.packing.network import contact_network
from femssb.packing.packing import Packing
from femssb.units import FARADAY, cm2, hour, mA, um
from femssb.voxels.conduct.conduction import Conduction, conductivity
from femssb.voxels.conduct.extrapolation import extrapolate
from femssb.voxels.image import VoxelImage
from femssb.voxels.make.cut_voxels import CutVoxels, cut_voxels
from femssb.voxels.measure.areas import InterfaceAreas, interface_areas
from femssb.voxels.measure.areas_of_spheres import sphere_areas
from femssb.voxels.measure.clusters import find_clusters

if TYPE_CHECKING:
    from femssb.electrode.layer import Layer
    from femssb.meshing.data import MeshData

CUT_OFF = " (cut off)"  # of the name of electrolyte from which no path leads to the separator
AROUND = 0.05  # share of the electrons that may pass the active material of a cell around it
SAME = 0.1  # relative difference of ohmic drops that count as equal


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class EffectiveConductivity:
    """A conductivity and how well it is known.

    Attributes:
        value: The conductivity [S/m].
        uncertainty: What the truth may lie away from it [S/m], as `basis` says; NaN: not known.
        basis: What the uncertainty stands for.
    """

    value: float
    uncertainty: float
    basis: str

    def __str__(self) -> str:
        """Return value and uncertainty in words."""
        return f"{self.value:.4g} +- {self.uncertainty:.1g} S/m ({self.basis})"


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effective:
    """Effective properties of an electrode along z, between collector and separator.

    Attributes:
        active: Name of the active material.
        electrolyte: Name of the phase that carries ions.
        thickness: Along z [m].
        shares: Share of the volume of every phase, and of the void.
        ionic: Conductivity for ions.
        electronic: Conductivity for electrons, by all phases that conduct them.
        around: The same without the active material.
        areas: Interfaces between the phases; electrolyte from which no path leads to the separator
            is a phase of its own.
        touched: Share of the surface of the active material, without its contacts with itself, that
            electrolyte with a path to the separator touches.
        coordination: How many spheres of the second phase one of the first touches on average; none
            for an image.
        contact_area: Of spheres of two phases over the volume [1/m]; none for an image.
        elasticity: Of the matrix, all but the active material: the upper bound of Hashin and
            Shtrikman, reached where solid surrounds the pores.
        stiffness_bounds: Young's modulus of the matrix at the lower and at the upper bounds [Pa].
        warnings: What speaks against the numbers, in sentences.
    """

    active: str
    electrolyte: str
    thickness: float
    shares: Mapping[str, float]
    ionic: EffectiveConductivity
    electronic: EffectiveConductivity
    around: EffectiveConductivity
    areas: InterfaceAreas
    touched: float
    coordination: Mapping[tuple[str, str], float]
    contact_area: Mapping[tuple[str, str], float]
    elasticity: Elasticity
    stiffness_bounds: tuple[float, float]
    warnings: tuple[str, ...]

    @property
    def active_area(self) -> float:
        """Area at which lithium is inserted over the volume of the electrode [1/m]."""
        return self.areas.between(self.active, self.electrolyte).per_volume

    @checked
    def areal_capacity(self, active: ActiveMaterial) -> float:
        """Return the charge that 1C moves in an hour, per area of the electrode [C/m2]."""
        return FARADAY * active.capacity * self.shares[self.active] * self.thickness

    @checked
    def conductor(
        self,
        cell: "MeshData",
        materials: Materials,
        *,
        ohmic_drop: Literal["equal", "scaled"] = "equal",
    ) -> "Counterpart":
        """Return the matrix with which a meshed cathode layer conducts as the electrode does.

        The layer is solved on the mesh; collective. Where the same C-rate means another current on
        an area, or another thickness, the ions of the cell lose another voltage on their way:
        ``"equal"`` refuses a cell that differs by more than `SAME`; ``"scaled"`` makes the matrix,
        the separator and the anode of the cell worse, or better, such that all lose at a C-rate
        what they lose in the electrode.

        Args:
            cell: The mesh of a half-cell or of a resolved cell.
            materials: Of the cell; all but what follows from the electrode is kept.
            ohmic_drop: What to do where the ohmic drop differs.

        Raises:
            InputError: If electrons pass the active material in the electrode and around it in the
                cell, or the other way round; if no path leads ions or electrons through; if the
                ohmic drops differ; if the cell resolves the electrolyte; or if a value does not
                suit a `Conductor`.
            MeshError: If the matrix of the mesh does not lead through its layer.
        """
        from femssb.electrode.layer import layer
        from femssb.meshing.data import MeshData
        from femssb.meshing.resolved_cell import has_voids

        if not isinstance(cell, MeshData):
            raise InputError(f"Effective.conductor.cell = {shown(cell)} is no MeshData: mesh(...)")
        if has_voids(cell.origin.get("cell")):
            raise InputError(
                "Effective.conductor.cell resolves the electrolyte: its matrix is that itself, so"
                " Materials.ecbd takes the properties of the electrolyte as they are"
            )
        electrons = getattr(cell.origin.get("cell"), "electrons", "matrix")
        self._check_paths(electrons, materials)
        return _counterpart(self, layer(cell), materials, electrons, ohmic_drop)

    def _check_paths(self, electrons: str, materials: Materials) -> None:
        """Check that ions and electrons take the same kind of path in electrode and cell."""
        owner = "Effective.conductor"
        if not self.ionic.value > 0:
            raise InputError(f"{owner}: no path of ions leads through the electrode")
        in_particles = materials.active.electronic_conductivity > 0
        if in_particles == (electrons == "matrix"):
            raise InputError(
                f"{owner}: electrons = {electrons!r} in the cell, but"
                " materials.active.electronic_conductivity ="
                f" {materials.active.electronic_conductivity:g} S/m"
            )
        whole, around = self.electronic.value, self.around.value
        said = (
            f"{owner}: the electrode conducts electrons with {whole:.3g} S/m, of which"
            f" {around:.3g} S/m lead around {self.active!r}"
        )
        if electrons == "matrix" and not around >= (1 - AROUND) * whole > 0:
            raise InputError(
                f"{said}; a cell whose electrons are in the matrix has no other path. Give the"
                " particles a conductivity, and a ResolvedCell electrons = 'particles' or 'both'"
            )
        if electrons == "particles" and around > AROUND * whole:
            raise InputError(f"{said}; a cell with electrons = 'particles' has no such path")
        if electrons == "both" and not around > 0:
            raise InputError(f"{said}: take a cell with electrons = 'particles'")

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data, for JSON."""
        return {
            "active": self.active,
            "electrolyte": self.electrolyte,
            "thickness": self.thickness,
            "shares": dict(self.shares),
            **{name: describe(getattr(self, name)) for name in ("ionic", "electronic", "around")},
            "active_area": self.active_area,
            "touched": self.touched,
            "coordination": {" ".join(pair): n for pair, n in self.coordination.items()},
            "contact_area": {" ".join(pair): a for pair, a in self.contact_area.items()},
            "elasticity": describe(self.elasticity),
            "stiffness_bounds": self.stiffness_bounds,
            "warnings": self.warnings,
        }

    def __str__(self) -> str:
        """Return the numbers in a few lines of text."""
        shares = ", ".join(f"{name} {100 * share:.3g} %" for name, share in self.shares.items())
        lower, upper = (1e-9 * modulus for modulus in self.stiffness_bounds)
        lines = [
            f"{self.thickness / um:.4g} um thick: {shares}",
            f"ions       {self.ionic}",
            f"electrons  {self.electronic}",
            f"  without {self.active}  {self.around}",
            f"{self.electrolyte} with a path to the separator touches {100 * self.touched:.3g} % "
            f"of the surface of {self.active}, {self.active_area * um:.3g} um2 in a um3",
            f"matrix     E = {1e-9 * self.elasticity.young_modulus:.3g} GPa, nu = "
            f"{self.elasticity.poisson_ratio:.3g} (upper bound of Hashin and Shtrikman; E from "
            f"{lower:.3g} to {upper:.3g} GPa)",
        ]
        if self.coordination:
            lines.append(
                "contacts   "
                + ", ".join(f"{a}-{b} {n:.3g}" for (a, b), n in self.coordination.items())
            )
        return "\n".join([*lines, *self.warnings])


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Counterpart:
    """A cell that stands for an electrode.

    Attributes:
        ecbd: The matrix of its cathode layer.
        materials: All materials: with that matrix, with the kinetics of the share of the surface
            that electrolyte touches, and, where the drop is scaled, with separator and anode that
            carry the current of the electrode.
        relative: Conductivity of the meshed layer over that of its matrix [-].
        electrode_capacity: Charge that 1C moves in an hour, per area of the electrode [C/m2].
        cell_capacity: The same of the cell.
        drop_ratio: Ohmic drop of the cell at a C-rate over that of the electrode, before the
            conductivities are scaled [-].
        scale: Factor that the conductivities of the matrix have for that [-].
        areas: Surface of the active material over its volume, of electrode and cell [1/m].
        electrons: What carries them in the cell.
        warnings: What of the electrode the cell does not have, in sentences.
    """

    ecbd: Conductor
    materials: Materials
    relative: float
    electrode_capacity: float
    cell_capacity: float
    drop_ratio: float
    scale: float
    areas: tuple[float, float]
    electrons: str
    warnings: tuple[str, ...]

    @checked
    def current_density(self, c_rate: float) -> float:
        """Return the current on an area of the electrode at a C-rate [A/m2].

        Raises:
            InputError: If the C-rate is not above 0.
        """
        check_number("Counterpart", "c_rate", c_rate, above=0, upper=1e4)
        return c_rate * self.electrode_capacity / hour

    def __str__(self) -> str:
        """Return what cell and electrode have in common, and what not."""
        unit = mA * hour / cm2
        lines = [
            f"areal capacity  electrode {self.electrode_capacity / unit:.3g}, cell "
            f"{self.cell_capacity / unit:.3g} mAh/cm2: 1C is "
            f"{self.current_density(1.0) / (mA / cm2):.3g} mA/cm2 of the electrode and "
            f"{self.cell_capacity / hour / (mA / cm2):.3g} mA/cm2 of the cell",
            f"ohmic drop at a C-rate  {self.drop_ratio:.3g} times that of the electrode"
            + (", made equal by conductivities" if self.scale != 1 else ""),
            f"matrix  {self.ecbd.ionic_conductivity:.4g} S/m for ions, "
            f"{self.ecbd.electronic_conductivity:.4g} S/m for electrons; the layer has "
            f"{self.relative:.4g} of it",
            f"surface of the active material  electrode {self.areas[0] * um:.4g}, cell "
            f"{self.areas[1] * um:.4g} um2 a um3",
        ]
        return "\n".join([*lines, *self.warnings])


@checked
def effective(
    electrode: Packing | VoxelImage,
    *,
    ionic: Mapping[str, float],
    electronic: Mapping[str, float],
    elasticity: Mapping[str, Elasticity],
    active: str = "AM",
    electrolyte: str = "SE",
    spacing: float | None = None,
    void: str = "void",
    tolerance: float = 1e-3,
    comm: Any = None,
) -> Effective:
    """Return the effective properties of an electrode along z, periodic across x and y.

    The conductivities of a packing are those at vanishing voxel size (`packing_conductivity`), with
    their estimated uncertainty; those of an image are those of its voxels, with the proven error of
    the solve, which says nothing of how far the voxels are from the true shapes.

    Args:
        electrode: Spheres, or voxels; collector at the lowest z, separator at the highest.
        ionic: Conductivity of the phases that conduct ions [S/m]; the active material does not: in
            a cell ions are around it.
        electronic: Conductivity of the phases that conduct electrons [S/m].
        elasticity: Of the phases of the matrix; those without are pores.
        active: Name of the active material.
        electrolyte: Name of the phase that touches it and carries ions.
        spacing: Edge of a voxel of the finest of three grids [m]; for a packing.
        void: Name of what is in no phase, of an image one of its phases.
        tolerance: Relative error of each solve.
        comm: As for `conductivity`: ranks share the work of the solves, and all get the result;
            None: each does all of it.

    Raises:
        InputError: If a phase is not there, the active material conducts ions, nothing conducts
            electrons, or a value is out of its bounds.
        NotConverged: As `conductivity` does.
    """
    names = electrode.phase_names
    owner = "effective"
    for what, name in (("active", active), ("electrolyte", electrolyte)):
        if name not in names:
            raise InputError(f"{owner}.{what} = {name!r} is no phase of {names!r}")
    if active == electrolyte:
        raise InputError(f"{owner}: active and electrolyte are both {active!r}")
    for kind, given in (("ionic", ionic), ("electronic", electronic), ("elasticity", elasticity)):
        for name in given:
            if name not in names:
                raise InputError(f"{owner}.{kind}: {name!r} is no phase of {names!r}")
    for kind, rail in (("ionic", ionic), ("electronic", electronic)):
        for name, value in rail.items():
            check_number(owner, f"{kind}[{name!r}]", value, lower=0, upper=1e9, unit="S/m")
    if ionic.get(active, 0.0) > 0:
        raise InputError(
            f"{owner}.ionic[{active!r}] = {ionic[active]:g} S/m: in a cell ions are around the"
            " active material only"
        )
    for kind, rail, at_least in (("ionic", ionic, electrolyte), ("electronic", electronic, "")):
        if not any(rail.values()) or (at_least and not rail.get(at_least, 0.0) > 0):
            raise InputError(
                f"{owner}.{kind} = {dict(rail)}: {at_least or 'one of them'} must conduct"
            )
    if electrolyte not in elasticity:
        raise InputError(f"{owner}.elasticity lacks the electrolyte, {electrolyte!r}")
    around = {name: value for name, value in electronic.items() if name != active and value > 0}
    rails = (ionic, electronic, around)
    if isinstance(electrode, Packing):
        if spacing is None:
            raise InputError(f"{owner}.spacing is missing: a packing needs the size of voxels")
        check_number(owner, "spacing", spacing, above=0, upper=1, unit="m")
        priority = (active, *(name for name in names if name != active))
        grids: list[CutVoxels | VoxelImage] = [
            cut_voxels(electrode, spacing=spacing * n, priority=priority, background=void)
            for n in (4, 2, 1)
        ]
        areas, reached = _areas_of_spheres(electrode, electrolyte, priority, void)
        coordination, contact_area = _contacts(electrode)
        height = float(electrode.lengths[2])
    else:
        if spacing is not None:
            raise InputError(f"{owner}.spacing is that of the image: leave it out")
        grids = [electrode]
        areas, reached = _areas_of_voxels(electrode, electrolyte)
        coordination, contact_area = {}, {}
        height = electrode.lengths[2]
    found = [_conduction(grids, rail, tolerance, comm) for rail in rails]
    shares = grids[-1].fractions()
    matrix = {name: share for name, share in shares.items() if name != active}
    lower, upper = hashin_shtrikman(matrix, elasticity)
    surface = areas.surface(active)
    return Effective(
        active=active,
        electrolyte=electrolyte,
        thickness=height,
        shares=shares,
        ionic=found[0],
        electronic=found[1],
        around=found[2],
        areas=areas,
        touched=surface[electrolyte],
        coordination=coordination,
        contact_area=contact_area,
        elasticity=elasticity_of(upper),
        stiffness_bounds=(_young(lower), _young(upper)),
        warnings=(*_doubts(found, rails), *reached),
    )


def _conduction(
    grids: list[CutVoxels | VoxelImage],
    conductivities: Mapping[str, float],
    tolerance: float,
    comm: Any,
) -> EffectiveConductivity:
    """Return the conductivity along z on grids from coarse to fine, at vanishing voxel size."""
    conducts = {name: value for name, value in conductivities.items() if value > 0}
    if not conducts:
        return EffectiveConductivity(value=0.0, uncertainty=0.0, basis="nothing conducts")
    options: Any = {"tolerance": tolerance, "comm": comm}
    if isinstance(grids[0], VoxelImage):
        options["sides"] = "periodic"
    results: list[Conduction] = [conductivity(grid, conducts, **options) for grid in grids]
    if not results[-1].percolates:
        return EffectiveConductivity(value=0.0, uncertainty=0.0, basis="no path leads through")
    if len(results) == 1:
        basis = "of these voxels, proven"
        return EffectiveConductivity(
            value=results[0].value, uncertainty=results[0].error, basis=basis
        )
    limit = extrapolate(results)
    basis = "at vanishing voxel size, estimated"
    return EffectiveConductivity(value=limit.value, uncertainty=limit.uncertainty, basis=basis)


def _areas_of_spheres(
    packing: Packing, electrolyte: str, priority: tuple[str, ...], void: str
) -> tuple[InterfaceAreas, tuple[str, ...]]:
    """Return the interfaces of a packing whose cut-off electrolyte is a phase of its own."""
    network = contact_network(packing)
    if packing.periodic[2]:
        fed = network.percolating(electrolyte)
    else:
        cluster = network.clusters(electrolyte)
        top = packing.positions[:, 2] + packing.radii >= packing.upper[2]
        fed = np.isin(cluster, np.unique(cluster[top & (cluster >= 0)]))
    lost = packing.of_phase(electrolyte) & ~fed
    if not lost.any():
        return sphere_areas(packing, priority=priority, background=void), ()
    cut_off = electrolyte + CUT_OFF
    split = Packing(
        positions=packing.positions,
        radii=packing.radii,
        phases=np.where(lost, len(packing.phase_names), packing.phases),
        phase_names=(*packing.phase_names, cut_off),
        lower=packing.lower,
        upper=packing.upper,
        periodic=packing.periodic,
    )
    areas = sphere_areas(split, priority=(*priority, cut_off), background=void)
    share = packing.volumes[lost].sum() / packing.volumes[packing.of_phase(electrolyte)].sum()
    return areas, (_lost(electrolyte, float(share)),)


def _areas_of_voxels(image: VoxelImage, electrolyte: str) -> tuple[InterfaceAreas, tuple[str, ...]]:
    """Return the interfaces of an image whose cut-off electrolyte is a phase of its own."""
    fed: NDArray[np.bool_] = find_clusters(image, electrolyte).mask("upper")
    lost = image.mask(electrolyte) & ~fed
    if not lost.any():
        return interface_areas(image), ()
    names = (*image.phase_names, electrolyte + CUT_OFF)
    labels = np.where(lost, len(image.phase_names), image.labels)
    share = float(lost.sum() / image.mask(electrolyte).sum())
    return interface_areas(replace(image, labels=labels, phase_names=names)), (
        _lost(electrolyte, share),
    )


def _lost(electrolyte: str, share: float) -> str:
    return (
        f"No path leads from {100 * share:.3g} % of {electrolyte!r} to the separator: what it "
        "touches is no active surface."
    )


def _contacts(
    packing: Packing,
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Return coordination and contact area of all pairs of phases of a packing."""
    network, names = contact_network(packing), packing.phase_names
    numbers, area = network.coordination(), network.contact_area()
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names))]
    return (
        {(names[i], names[j]): float(numbers[i, j]) for i, j in pairs},
        {(names[i], names[j]): float(area[i, j]) for i, j in pairs if i <= j},
    )


def _young(moduli: tuple[float, float]) -> float:
    bulk, shear = moduli
    return 9 * bulk * shear / (3 * bulk + shear) if shear > 0 else 0.0


def _doubts(
    found: list[EffectiveConductivity], rails: tuple[Mapping[str, float], ...]
) -> list[str]:
    """Return a sentence for every conductivity whose uncertainty is not known."""
    return [
        f"The uncertainty of the conductivity of {', '.join(rail)} is not known: the voxels are too"
        " coarse for its contacts."
        for one, rail in zip(found, rails, strict=True)
        if math.isnan(one.uncertainty)
    ]


def _counterpart(
    electrode: Effective, layer: "Layer", materials: Materials, electrons: str, ohmic_drop: str
) -> Counterpart:
    """Return the cell with a meshed layer that stands for an electrode."""
    if materials.others:
        raise InputError(
            f"Effective.conductor: Materials.others = {list(materials.others)}, but an electrode"
            " has one active material"
        )
    active = materials.active
    real = electrode.areal_capacity(active)
    capacity = FARADAY * active.capacity * layer.active / layer.area
    ratio = capacity * layer.thickness / (real * electrode.thickness)
    if ohmic_drop == "equal" and abs(ratio - 1) > SAME:
        raise InputError(
            f"Effective.conductor.ohmic_drop = 'equal': 1C is {capacity / hour:.3g} A/m2 across"
            f" {layer.thickness / um:.3g} um in the cell, but {real / hour:.3g} A/m2 across"
            f" {electrode.thickness / um:.3g} um in the electrode, so that the same conductivities"
            f" lose {ratio:.3g} times its voltage; 'scaled' gives the cell {ratio:.3g} times the"
            " conductivities"
        )
    scale, share = (ratio, capacity / real) if ohmic_drop == "scaled" else (1.0, 1.0)
    by_electrons = 0.0 if electrons == "particles" else electrode.around.value
    ecbd = Conductor(
        ionic_conductivity=scale * electrode.ionic.value / layer.relative,
        electronic_conductivity=scale * by_electrons / layer.relative,
        elasticity=electrode.elasticity,
    )
    separator, anode, touched = materials.electrolyte, materials.anode, electrode.touched
    kinetics, resistance = materials.kinetics, materials.resistance
    if not touched > 0:
        raise InputError("Effective.conductor: the electrolyte does not touch the active material")
    areas = (
        sum(
            part.per_volume
            for pair, part in electrode.areas.pairs.items()
            if electrode.active in pair
        )
        / electrode.shares[electrode.active],
        layer.interface / layer.active,
    )
    return Counterpart(
        ecbd=ecbd,
        materials=replace(
            materials,
            ecbd=ecbd,
            electrolyte=replace(separator, ionic_conductivity=share * separator.ionic_conductivity),
            anode=replace(anode, exchange_current=share * anode.exchange_current),
            kinetics=replace(kinetics, rate_constant=touched * kinetics.rate_constant),
            resistance=replace(resistance, closed=resistance.closed / touched),
        ),
        relative=layer.relative,
        electrode_capacity=real,
        cell_capacity=capacity,
        drop_ratio=ratio,
        scale=scale,
        areas=areas,
        electrons=electrons,
        warnings=_differences(electrode, layer, areas),
    )


def _differences(
    electrode: Effective, layer: "Layer", areas: tuple[float, float]
) -> tuple[str, ...]:
    """Return a sentence for all that a cell does not share with its electrode."""
    found = list(electrode.warnings)
    share = layer.active / (layer.area * layer.thickness)
    if abs(share / electrode.shares[electrode.active] - 1) > SAME:
        found.append(
            f"The layer of the cell holds {100 * share:.3g} % of active material, the electrode"
            f" {100 * electrode.shares[electrode.active]:.3g} %."
        )
    if abs(areas[1] / areas[0] - 1) > SAME:
        found.append(
            f"The surface of the active material over its volume differs by"
            f" {100 * (areas[1] / areas[0] - 1):.2g} %: so do currents at it, and ways within it."
        )
    return tuple(found)
