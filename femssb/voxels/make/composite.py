"""Composite cathodes of active material, electrolyte, binder and voids from a few numbers.

The recipe of Bielefeld, Weber and Janek 2020 (doi:10.1021/acsami.9b22788): spheres of active
material that do not overlap, binder as menisci between them, and overlapping polyhedra of
electrolyte that fill what is left, but for the voids.
"""

from __future__ import annotations

from dataclasses import dataclass

from femssb.errors import InputError, check_number
from femssb.packing.jamming import pack_spheres
from femssb.packing.sizes import ListedSizes, Sizes
from femssb.units import um
from femssb.voxels.image import VoxelImage, check_memory, empty_image
from femssb.voxels.make.binder import add_binder
from femssb.voxels.make.polyhedra import Polyhedra, Prisms, add_polyhedra
from femssb.voxels.make.voxelisation import voxelise

SULFIDE = Polyhedra(sizes=ListedSizes(diameters=(3 * um,)))  # section 3.1.2 of the paper


@dataclass(frozen=True, kw_only=True, slots=True)
class Composite:
    """A composite cathode by its composition, its particles and its box.

    Raises:
        InputError: If a field is out of its bounds, or the shares leave no room for electrolyte.
    """

    active: Sizes | Prisms  # spheres that do not overlap, or platelets
    active_share: float  # volume of active material over that of all solids, nu_AM [-]
    lengths: tuple[float, float, float]  # edges of the box [m]
    spacing: float  # edge of a voxel [m]
    void: float = 0.15  # share of the box that stays empty [-]
    binder_ratio: float = 0.0  # volume of binder over that of active material [-]
    electrolyte: Polyhedra = SULFIDE
    # largest overlap: of spheres its depth over their distance, of a platelet its share in others
    active_overlap: float = 0.0
    periodic: tuple[bool, bool, bool] = (True, True, True)
    seed: int = 1  # of everything that is random

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.active, (Sizes, Prisms)):
            raise InputError(f"Composite.active = {self.active!r} must be Sizes or Prisms")
        if not isinstance(self.electrolyte, Polyhedra):
            raise InputError(f"Composite.electrolyte = {self.electrolyte!r} must be Polyhedra")
        for name in ("active_share", "void", "binder_ratio", "active_overlap"):
            check_number("Composite", name, getattr(self, name), lower=0, upper=1)
        check_number("Composite", "active_share", self.active_share, above=0, below=1)
        if self.electrolyte_fraction < 0:
            raise InputError(
                f"Composite.binder_ratio = {self.binder_ratio:g} leaves no room for electrolyte: "
                f"active material and binder take {1 - self.electrolyte_fraction:.4f} of the box"
            )

    @property
    def active_fraction(self) -> float:
        """Share of the box that is active material [-]."""
        return self.active_share * (1 - self.void)

    @property
    def electrolyte_fraction(self) -> float:
        """Share of the box that is electrolyte, eps_SE [-]."""
        return (1 - self.void) - self.active_fraction * (1 + self.binder_ratio)

    def generate(self) -> VoxelImage:
        """Return an image with the phases void, AM, binder (if any) and SE.

        The void share is met to half a particle of electrolyte, that of the active material to the
        accuracy of the voxels; see ``image.fractions()``. The image is the same for the same seed.

        Raises:
            InputError: If the box is too small or too large.
            NotConverged: If the active material cannot be packed that densely.
        """
        shape = [max(1, round(length / self.spacing)) for length in self.lengths]
        check_memory("Composite", shape, bytes_per_voxel=16 if self.binder_ratio else 3)
        if isinstance(self.active, Sizes):
            packing = pack_spheres(
                self.active,
                fraction=self.active_fraction,
                lengths=self.lengths,
                periodic=self.periodic,
                overlap=self.active_overlap,
                seed=self.seed,
            )
            image = voxelise(packing, spacing=self.spacing)
        else:
            image = add_polyhedra(
                empty_image(self.lengths, self.spacing, self.periodic),
                self.active,
                phase="AM",
                left=1 - self.active_fraction,
                overlap=self.active_overlap,
                seed=self.seed,
            )
        if self.binder_ratio:
            image = add_binder(image, self.binder_ratio)
        return add_polyhedra(
            image, self.electrolyte, phase="SE", left=self.void, seed=self.seed + 1_000_003
        )
