"""What the figures of paper 004 are made of: electrodes, generated and measured, and kept.

A. Bielefeld, D. A. Weber, J. Janek, "Modeling Effective Ionic Conductivity and Binder Influence in
Composite Cathodes for All-Solid-State Batteries" (2020), doi:10.1021/acsami.9b22788.

Every electrode is made several times, from other random numbers each time, and each of these as
voxels of several sizes: the same spheres and polyhedra, so that what differs is the voxels alone.
What one image tells is kept in a small file; an image that has its file is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.electrode import CompositeCathode
from femssb.errors import FemssbError, InputError
from femssb.inputs.case import describe
from femssb.packing import Sizes
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
class Case:
    """An electrode: a point of a figure."""

    recipe: Composite  # its seed and its voxel size do not count
    spacings: tuple[float, ...]  # of the voxels, from coarse to fine [m]
    active_conducts: bool = False  # whether the active material conducts ions, as badly as it does

    def image(self, seed: int, spacing: float) -> Image:
        """Return one of its images."""
        return Image(replace(self.recipe, seed=seed, spacing=spacing), self.active_conducts)

    def section(self, share: float | None = None) -> VoxelImage:
        """Return its first realisation in the finest voxels; with another AM share."""
        recipe = replace(self.recipe, spacing=self.spacings[-1])
        return replace(recipe, active_share=share or recipe.active_share).generate()


@dataclass(frozen=True)
class Image:
    """One image of an electrode, and the file that what it tells is kept in."""

    recipe: Composite
    active_conducts: bool

    def about(self) -> dict[str, Any]:
        """Return all that its numbers depend on, as plain data."""
        return {"recipe": describe(self.recipe), "active_conducts": self.active_conducts}

    def file(self, folder: Path) -> Path:
        """Return the file of this image."""
        recipe = self.recipe
        digest = hashlib.sha256(json.dumps(self.about(), sort_keys=True).encode()).hexdigest()
        return folder / (
            f"AM{100 * recipe.active_share:.3g}_void{100 * recipe.void:.3g}"
            f"_binder{100 * recipe.binder_ratio:.3g}_voxel{recipe.spacing / um:.3g}um"
            f"_seed{recipe.seed}_{digest[:12]}.json"
        )

    def load(self, folder: Path) -> dict[str, float] | None:
        """Return what the image tells, None if that is not known yet."""
        try:
            kept = json.loads(self.file(folder).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        found: dict[str, float] = kept["found"]
        return found


@dataclass(frozen=True, kw_only=True)
class Point:
    """What the images of a case tell.

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


Points = Mapping[Case, Point]


def spheres(
    diameters: Sequence[float],
    share: float,
    *,
    box: float,
    void: float = 0.15,
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
        active=Sizes(diameters=tuple(diameters), numbers=tuple(numbers)),
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
        name: Also of the folder of its page.
        spacings: Of the voxels, from coarse to fine [m].
        shares: Of the active material in the solids.
        diameters: Of equal spheres [m].
        largest: Diameters of the largest spheres of mixtures [m].
        boxes: Largest diameter up to which an edge of the box is used -> that edge [m].
        sizes: Voxel sizes of the study of these [m].
        fine_box: Edge of the box of that study [m].
    """

    name: str
    spacings: tuple[float, ...]
    shares: tuple[float, ...]
    diameters: tuple[float, ...]
    largest: tuple[float, ...]
    boxes: dict[float, float]
    sizes: tuple[float, ...]
    fine_box: float

    def box(self, largest: float) -> float:
        """Return the edge of the box for spheres of a diameter [m]."""
        return next(edge for limit, edge in self.boxes.items() if largest <= limit)


def in_um(*values: float) -> tuple[float, ...]:
    """Return lengths [m]."""
    return tuple(value * um for value in values)


COARSE = Level(
    name="coarse",
    spacings=in_um(0.5, 0.25),
    shares=(0.5, 0.6, 0.65, 0.7, 0.8),
    diameters=in_um(3, 5, 15),
    largest=in_um(5.5, 9.5, 13.5),
    boxes={5.5 * um: 20 * um, 9.5 * um: 30 * um, 13.5 * um: 36 * um, 15 * um: 40 * um},
    sizes=in_um(0.5, 0.4, 0.25, 0.2),
    fine_box=20 * um,
)
FULL = Level(
    name="full",
    spacings=in_um(0.4, 0.2),
    shares=SHARES,
    diameters=in_um(3, 5, 8, 12, 15),
    largest=in_um(5.5, 7.5, 9.5, 11.5, 13.5),
    boxes={5.5 * um: 24 * um, 9.5 * um: 30 * um, 13.5 * um: 40 * um, 15 * um: 45 * um},
    sizes=in_um(0.5, 0.4, 0.25, 0.2, 0.125),
    fine_box=20 * um,
)


class Electrodes:
    """All electrodes of the paper's figures, as lines of a figure: label -> abscissa -> case."""

    def __init__(self, level: Level) -> None:
        self.level = level
        shares = level.shares

        def line(diameters: tuple[float, ...], **others: Any) -> dict[float, Case]:
            edge = level.box(max(diameters))
            return {s: self._case(spheres(diameters, s, box=edge, **others)) for s in shares}

        self.by_size = {f"{d / um:g} um": line((d,)) for d in level.diameters}
        self.mixtures = {
            f"{d / um:g} um": line((d, 5.5 * um, 3 * um), numbers=(1, 1, 2)) for d in level.largest
        }
        self.by_void = {
            f"{100 * void:g} %": line((5 * um,), void=void) for void in (0.05, 0.1, 0.15, 0.2)
        }
        # With 5 % of void the paper stops at 73:27.
        self.by_void["5 %"] = {s: case for s, case in self.by_void["5 %"].items() if s <= 0.7}
        self.by_void["5 %"][0.73] = self._case(
            spheres((5 * um,), 0.73, box=level.box(5 * um), void=0.05)
        )
        self.by_binder = {
            label: line((5 * um,), binder=binder) for label, binder in BINDERS.items()
        }
        self.kato = {
            f"{width / um:g} um": self._case(platelets(width, box=30 * um)) for width in in_um(5, 8)
        }
        fine = level.fine_box
        self.by_voxel = {
            "60:40": Case(recipe=spheres((5 * um,), 0.6, box=fine), spacings=level.sizes),
            "70:30": Case(recipe=spheres((5 * um,), 0.7, box=fine), spacings=level.sizes),
            "70:30, binder 0.1": Case(
                recipe=spheres((5 * um,), 0.7, box=fine, binder=0.1), spacings=level.sizes
            ),
        }
        self.by_box = {
            edge: Case(recipe=spheres((5 * um,), 0.7, box=edge), spacings=in_um(1, 0.5))
            for edge in in_um(15, 20, 30, 40)
        }
        self.conducting = Case(
            recipe=self.by_size["5 um"][0.7].recipe, spacings=level.spacings, active_conducts=True
        )

        self.at_seventy = {  # 70:30, by the diameter of the largest spheres [m]
            name: {float(label.split()[0]) * um: line[0.7] for label, line in series.items()}
            for name, series in (("monomodal", self.by_size), ("trimodal", self.mixtures))
        }

    def _case(self, recipe: Composite) -> Case:
        return Case(recipe=recipe, spacings=self.level.spacings)

    def all(self) -> list[Case]:
        """Return every electrode once, those of the first figures first."""
        lines = [self.by_size, self.by_void, self.by_binder, self.mixtures]
        cases = [*self.kato.values(), self.conducting, *self.by_voxel.values()]
        cases += [case for group in lines for line in group.values() for case in line.values()]
        return list(dict.fromkeys([*cases, *self.by_box.values()]))


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


def measure(image: Image) -> dict[str, float]:
    """Make an image and return what it tells, conductivities over that of the electrolyte."""
    voxels = image.recipe.generate()
    if image.active_conducts:
        ionic = conductivity(
            voxels, {"SE": LPSCL, "AM": NCM532}, contact_resistance={("AM", "SE"): CONTACT}
        )
    else:
        ionic = conductivity(voxels, {"SE": LPSCL})
    networks = find_networks(voxels)
    use = networks.utilisation()
    packed = voxels.origin.get("packing", {}).get("deepest overlap", 0.0)
    return {
        **voxels.fractions(),
        "conductivity": ionic.value / LPSCL,
        "solver error": ionic.error / LPSCL,
        "AM utilisation": use["AM"],
        "SE utilisation": use["SE"],
        "active interface": active_interface(networks).per_volume,
        "AM surface": sum(
            area.per_volume for pair, area in interface_areas(voxels).pairs.items() if "AM" in pair
        ),
        "deepest overlap": packed,
    }


def make(image: Image, folder: Path) -> str:
    """Measure an image and keep what it tells; return what is to be said about it."""
    started = time.process_time()
    path = image.file(folder)
    try:
        found = measure(image)
    except FemssbError as error:
        return f"failed: {path.name}: {error}"
    seconds = time.process_time() - started
    text = json.dumps({**image.about(), "found": found, "CPU time [s]": seconds}, indent=1)
    path.with_suffix(".part").write_text(text, encoding="utf-8")
    os.replace(path.with_suffix(".part"), path)
    return f"{path.name}: {seconds:.1f} s"


def images_of(cases: Iterable[Case], realisations: int) -> list[Image]:
    """Return the images of cases, the first realisation of all of them first."""
    wanted = [
        case.image(seed, spacing)
        for seed, case in product(range(1, realisations + 1), cases)
        for spacing in case.spacings
    ]
    return list(dict.fromkeys(wanted))


def run(images: Sequence[Image], folder: Path, *, jobs: int) -> list[str]:
    """Make what is not there yet, several at a time; return what failed."""
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is below 1")
    left = [image for image in images if image.load(folder) is None]
    print(f"{len(images)} images, {len(left)} of them to be made", flush=True)
    failed = []
    # Numba and SciPy hold locks that a fork would copy.
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        work = [pool.submit(make, image, folder) for image in left]
        for number, done in enumerate(as_completed(work), start=1):
            said = done.result()
            print(f"{number} of {len(left)}  {said}", file=sys.stderr, flush=True)
            if said.startswith("failed: "):
                failed.append(said.removeprefix("failed: "))
    return failed


def gather(cases: Iterable[Case], folder: Path, realisations: int) -> dict[Case, Point]:
    """Return the points of all cases of which at least one realisation is whole."""
    points = {}
    for case in cases:
        rows = []
        for seed in range(1, realisations + 1):
            row = [case.image(seed, spacing).load(folder) for spacing in case.spacings]
            if None not in row:
                rows.append([found for found in row if found is not None])
        if rows:
            keys = rows[0][0]
            values = {
                key: np.array([[found[key] for found in row] for row in rows]) for key in keys
            }
            points[case] = Point(spacings=np.array(case.spacings), values=values)
    return points
