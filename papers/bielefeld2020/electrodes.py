"""Electrodes of Bielefeld 2020, generated and measured.

A. Bielefeld, D. A. Weber, J. Janek, "Modeling Effective Ionic Conductivity and Binder Influence in
Composite Cathodes for All-Solid-State Batteries" (2020), doi:10.1021/acsami.9b22788.

Every electrode is made several times, from different random numbers each time, and each of these as
voxels of several sizes: the same spheres and polyhedra, so that only the voxels differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.electrode import CompositeCathode
from femssb.packing import ListedSizes
from femssb.studies import Measurement, Results
from femssb.units import cm2, hour, um
from femssb.voxels import (
    Composite,
    Prisms,
    VoxelImage,
    active_interface,
    conductivity,
    find_networks,
    interface_areas,
)

VOID = 0.15  # unless said otherwise
SHARES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)  # of active material in the solids
BINDERS = {"without": 0.0, "0.05": 0.05, "0.1": 0.1}  # volume over that of the active material
PAPER_VOXEL = 0.2 * um  # of the paper's images, supporting information
LPSCL, NCM532 = 0.27, 1e-5  # [S/m] supporting information, Table S1
LGPS, LSIPSCL = 0.32, 2.5  # [S/m] section 3.3
DROP = 0.1  # [V]
NCM811_CAPACITY, NCM811_DENSITY = 196 * hour, 4760.0  # 196 mAh/g, 4.76 g/cm3
BINDER_DENSITIES = {"NBR": 1000.0, "PVDF": 1780.0}  # [kg/m3]
LPS_DENSITY = 1870.0  # [kg/m3] Li3PS4; gives the weights that the paper prints
CONTACT = 40 * cm2  # resistance of the contact of both [ohm m2], section 2.2
LOOSE = {1: 0.62, 3: 0.65}  # sizes -> share of the box up to which spheres pack without overlap
OVERLAP = 0.1  # allowed beyond, over the distance at which spheres touch

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Electrode:
    """A point of a figure.

    Attributes:
        recipe: The composition; its seed and its voxel size do not count.
        spacings: Of the voxels, from coarse to fine [m].
        active_conducts: Whether the active material conducts ions, as badly as it does.
    """

    recipe: Composite
    spacings: tuple[float, ...]
    active_conducts: bool = False

    def image(self, seed: int, spacing: float) -> Measurement:
        """Return the measurement of one of its images."""
        recipe = replace(self.recipe, seed=seed, spacing=spacing)
        diameters = getattr(recipe.active, "diameters", ())
        shape = "+".join(f"{d / um:g}" for d in diameters) or f"prisms {recipe.active.ray / um:g}"
        name = (
            f"{shape} um, AM {recipe.active_share:g}, void {recipe.void:g}, binder "
            f"{recipe.binder_ratio:g}, box {recipe.lengths[0] / um:g} um, voxel {spacing / um:g} "
            f"um, seed {seed}{', AM conducts' if self.active_conducts else ''}"
        )
        arguments = {"recipe": recipe, "active_conducts": self.active_conducts}
        return Measurement(name=name, function=measure, arguments=arguments)

    def section(self, share: float | None = None) -> VoxelImage:
        """Return its first realisation in the finest voxels; with another AM share."""
        recipe = replace(self.recipe, spacing=self.spacings[-1])
        return replace(recipe, active_share=share or recipe.active_share).generate()


def measure(recipe: Composite, active_conducts: bool) -> dict[str, float]:
    """Make an image and return its numbers, conductivities over that of the electrolyte."""
    voxels = recipe.generate()
    if active_conducts:
        ionic = conductivity(
            voxels, {"SE": LPSCL, "AM": NCM532}, contact_resistance={("AM", "SE"): CONTACT}
        )
    else:
        ionic = conductivity(voxels, {"SE": LPSCL})
    networks = find_networks(voxels)
    use = networks.utilisation()
    areas = interface_areas(voxels).pairs
    return {
        **voxels.fractions(),
        "conductivity": ionic.value / LPSCL,
        "solver error": ionic.error / LPSCL,
        "AM utilisation": use["AM"],
        "SE utilisation": use["SE"],
        "active interface": active_interface(networks).per_volume,
        "AM surface": sum(area.per_volume for pair, area in areas.items() if "AM" in pair),
        "deepest overlap": voxels.origin.get("packing", {}).get("deepest overlap", 0.0),
    }


@dataclass(frozen=True, kw_only=True)
class Point:
    """The numbers of the images of an electrode.

    Attributes:
        spacings: Voxel sizes, from coarse to fine, shape (m,) [m].
        values: Of every quantity, for n realisations, shape (n, m).
    """

    spacings: Array
    values: Mapping[str, Array]

    @property
    def realisations(self) -> int:
        """Number of realisations of which all images are there."""
        return len(self.values["conductivity"])

    def at(self, key: str, spacing: float = PAPER_VOXEL) -> Array:
        """Return a quantity of every realisation at a voxel size, 0 included, shape (n,).

        It is taken on the line through the two images whose voxels are nearest in size: the error
        of labelled voxels is of first order.
        """
        values = self.values[key]
        near = np.sort(np.argsort(np.abs(self.spacings - spacing), kind="stable")[:2])
        (coarse, fine), (first, second) = self.spacings[near], values[:, near].T
        found: Array = second + (spacing - fine) * (second - first) / (fine - coarse)
        return found

    def mean(self, key: str, spacing: float = PAPER_VOXEL) -> float:
        """Return the mean of a quantity over the realisations."""
        return float(np.mean(self.at(key, spacing)))

    def spread(self, key: str, spacing: float = PAPER_VOXEL) -> float:
        """Return the standard deviation of a quantity over the realisations."""
        values = self.at(key, spacing)
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")

    def tau_squared(self, spacing: float = PAPER_VOXEL) -> float:
        """Return the tortuosity factor of the mean conductivity, inf without conduction."""
        conducts = self.mean("conductivity", spacing)
        return self.mean("SE", spacing) / conducts if conducts > 0 else float("inf")

    def tau_squared_spread(self, spacing: float = PAPER_VOXEL) -> float:
        """Return the standard deviation of the tortuosity factor over the realisations."""
        conducts = self.mean("conductivity", spacing)
        if conducts <= 0:
            return float("nan")
        return self.tau_squared(spacing) * self.spread("conductivity", spacing) / conducts


def images_of(electrodes: Iterable[Electrode], realisations: int) -> list[Measurement]:
    """Return the images of electrodes, the first realisation of all of them first."""
    wanted = {
        (electrode, seed, spacing): None
        for seed, electrode in product(range(1, realisations + 1), electrodes)
        for spacing in electrode.spacings
    }
    images = [electrode.image(seed, spacing) for electrode, seed, spacing in wanted]
    return list({image.name: image for image in images}.values())


def gather(
    results: Results[dict[str, float]], electrodes: Iterable[Electrode], realisations: int
) -> Results[Point]:
    """Return the points of all electrodes of which at least one realisation is whole."""
    points: Any = Results()
    for electrode in dict.fromkeys(electrodes):
        rows = []
        for seed in range(1, realisations + 1):
            names = [electrode.image(seed, spacing).name for spacing in electrode.spacings]
            if all(name in results for name in names):
                rows.append([results[name] for name in names])
        if rows:
            values = {
                key: np.array([[one[key] for one in row] for row in rows]) for key in rows[0][0]
            }
            points[electrode] = Point(spacings=np.array(electrode.spacings), values=values)
    return points


def spheres(
    diameters: Sequence[float],
    share: float,
    *,
    box: float,
    void: float = VOID,
    binder: float = 0.0,
    numbers: Sequence[float] = (),
) -> Composite:
    """Return an electrode with spherical active material.

    Args:
        diameters: Of the spheres [m].
        share: Volume share of the active material in the solids [-].
        box: Edge of the box [m].
        void: Volume share of the void [-].
        binder: Volume of binder over that of active material [-].
        numbers: Ratio of the numbers of spheres of each diameter.
    """
    packs_freely = share * (1 - void) <= LOOSE[len(diameters)]
    return Composite(
        active=ListedSizes(diameters=tuple(diameters), numbers=tuple(numbers)),
        active_share=share,
        void=void,
        binder_ratio=binder,
        active_overlap=0.0 if packs_freely else OVERLAP,
        lengths=(box, box, box),
        spacing=PAPER_VOXEL,
    )


def platelets(width: float, *, box: float) -> Composite:
    """Return the LiCoO2 electrode of Kato et al. 2018 with platelets of a width [m].

    The shape (planar, five edges, normally distributed) and the share of 42.9 % follow from the
    text and its numbers; sizes are in a table that is not public, and are assumed: platelets 0.4
    times as thick as wide, both with a standard deviation of a fifth.
    """
    return Composite(
        active=Prisms(
            height=0.4 * width, height_spread=0.08 * width, ray=width / 2, ray_spread=0.1 * width
        ),
        active_share=0.429,
        active_overlap=0.1,
        lengths=(box, box, box),
        spacing=PAPER_VOXEL,
    )


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much is made, and how fine.

    Attributes:
        spacings: Of the voxels, from coarse to fine [m].
        shares: Of the active material in the solids.
        diameters: Of equal spheres [m].
        largest: Diameters of the largest spheres of mixtures [m].
        boxes: Largest diameter up to which an edge of the box is used -> that edge [m].
        sizes: Voxel sizes of the study of these [m].
    """

    spacings: tuple[float, ...]
    shares: tuple[float, ...]
    diameters: tuple[float, ...]
    largest: tuple[float, ...]
    boxes: dict[float, float]
    sizes: tuple[float, ...]


def in_um(*values: float) -> tuple[float, ...]:
    """Return lengths [m]."""
    return tuple(value * um for value in values)


COARSE = Level(
    spacings=in_um(0.5, 0.25),
    shares=(0.5, 0.6, 0.65, 0.7, 0.8),
    diameters=in_um(3, 5, 15),
    largest=in_um(5.5, 9.5, 13.5),
    boxes={5.5 * um: 20 * um, 9.5 * um: 30 * um, 13.5 * um: 36 * um, 15 * um: 40 * um},
    sizes=in_um(0.5, 0.4, 0.25, 0.2),
)
FULL = Level(
    spacings=in_um(0.4, 0.2),
    shares=SHARES,
    diameters=in_um(3, 5, 8, 12, 15),
    largest=in_um(5.5, 7.5, 9.5, 11.5, 13.5),
    boxes={5.5 * um: 24 * um, 9.5 * um: 30 * um, 13.5 * um: 40 * um, 15 * um: 45 * um},
    sizes=in_um(0.5, 0.4, 0.25, 0.2, 0.125),
)

Line = dict[float, Electrode]  # abscissa -> electrode


class Electrodes:
    """All electrodes of the paper's figures, as lines of a figure: label -> line."""

    def __init__(self, level: Level) -> None:
        self.level = level
        made = self._electrode

        def line(diameters: tuple[float, ...], **others: Any) -> Line:
            edge = next(box for limit, box in level.boxes.items() if max(diameters) <= limit)
            return {s: made(spheres(diameters, s, box=edge, **others)) for s in level.shares}

        five = (5 * um,)
        self.by_size = {f"{d / um:g} um": line((d,)) for d in level.diameters}
        self.mixtures = {
            f"{d / um:g} um": line((d, 5.5 * um, 3 * um), numbers=(1, 1, 2)) for d in level.largest
        }
        self.by_void = {
            f"{100 * void:g} %": line(five, void=void) for void in (0.05, 0.1, 0.15, 0.2)
        }
        # With 5 % of void the paper stops at 73:27.
        densest = replace(
            self.by_void["5 %"][0.7].recipe, active_share=0.73, active_overlap=OVERLAP
        )
        self.by_void["5 %"] = {s: case for s, case in self.by_void["5 %"].items() if s <= 0.7}
        self.by_void["5 %"][0.73] = made(densest)
        self.by_binder = {label: line(five, binder=binder) for label, binder in BINDERS.items()}
        self.kato = {
            f"{width / um:g} um": made(platelets(width, box=30 * um)) for width in in_um(5, 8)
        }
        fine = {"diameters": five, "box": 20 * um}
        self.by_voxel = {
            "60:40": made(spheres(share=0.6, **fine), level.sizes),
            "70:30": made(spheres(share=0.7, **fine), level.sizes),
            "70:30, binder 0.1": made(spheres(share=0.7, binder=0.1, **fine), level.sizes),
        }
        self.by_box = {
            edge: made(spheres(five, 0.7, box=edge), in_um(1, 0.5))
            for edge in in_um(15, 20, 30, 40)
        }
        self.alone = self.by_size["5 um"][0.7]
        self.conducting = replace(self.alone, active_conducts=True)
        self.at_seventy = {  # 70:30, by the diameter of the largest spheres [m]
            name: {float(label.split()[0]) * um: line[0.7] for label, line in series.items()}
            for name, series in (("monomodal", self.by_size), ("trimodal", self.mixtures))
        }

    def _electrode(self, recipe: Composite, spacings: tuple[float, ...] = ()) -> Electrode:
        return Electrode(recipe=recipe, spacings=spacings or self.level.spacings)

    def of(self, study: str) -> list[Electrode]:
        """Return the electrodes that a figure or table needs."""
        five = self.by_size["5 um"]
        lines = {
            "kato": [self.kato],
            "figure 1": self.by_size.values(),
            "figure 2": self.by_size.values(),
            "figure 3": [*self.by_size.values(), *self.mixtures.values()],
            "figure 4": self.by_void.values(),
            "figure 5": self.by_binder.values(),
            "figure 6": [five, *self.by_binder.values()],
            "table 1": [five],
            "voxels": [self.by_voxel, self.by_box, {1: self.alone, 2: self.conducting}],
        }[study]
        return list(dict.fromkeys(electrode for line in lines for electrode in line.values()))


def cathode(
    thickness: float | Array,
    share: float | Array,
    tortuosity_factor: float | Array,
    conductivity: float | Array,
) -> CompositeCathode:
    """Return a cathode as section 3.3 has it, without binder; arrays broadcast."""
    return CompositeCathode(
        thickness=thickness,
        active_share=share,
        electrolyte_share=1 - share,
        void=VOID,
        tortuosity_factor=tortuosity_factor,
        conductivity=conductivity,
        specific_capacity=NCM811_CAPACITY,
        density=NCM811_DENSITY,
    )


def weight_share(share: float | Array, ratio: float, density: float) -> float | Array:
    """Return the weight share of binder in NCM811 : LPS : binder, binder within the rest."""
    active, binder = share * NCM811_DENSITY, share * ratio * density
    return binder / (active + binder + (1 - share * (1 + ratio)) * LPS_DENSITY)
