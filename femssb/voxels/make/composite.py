"""Composite cathodes of active material, electrolyte, binder and voids from a few numbers.

The recipe of Bielefeld 2020 (doi:10.1021/acsami.9b22788): spheres of active material that do not
overlap, binder as menisci between them, and overlapping polyhedra of electrolyte that fill the
rest, but for the voids.
"""

from __future__ import annotations

from femssb.description import description, field
from femssb.errors import InputError
from femssb.packing import ListedSizes, Sizes, pack_spheres
from femssb.units import um
from femssb.voxels.image import VoxelImage, check_memory, empty_image
from femssb.voxels.make.binder import add_binder
from femssb.voxels.make.polyhedra import Polyhedra, Prisms, add_polyhedra
from femssb.voxels.make.voxelisation import voxelise

SULFIDE = Polyhedra(sizes=ListedSizes(diameters=(3 * um,)))  # Bielefeld 2020, section 3.1.2


@description
class Composite:
    """A composite cathode by its composition, its particles and its box.

    Raises:
        InputError: If a field is out of its bounds, or the shares leave no room for electrolyte.
    """

    active: Sizes | Prisms = field("spheres that do not overlap, or platelets")
    active_share: float = field(
        "nu_AM, volume of active material over that of all solids", above=0, below=1
    )
    lengths: tuple[float, float, float] = field("edges of the box", unit="m", above=0)
    spacing: float = field("edge of a voxel", unit="m", above=0)
    void: float = field("share of the box that stays empty", lower=0, upper=1, default=0.15)
    binder_ratio: float = field(
        "volume of binder over that of active material", lower=0, upper=1, default=0.0
    )
    electrolyte: Polyhedra = field("fills the rest, but for the void", default=SULFIDE)
    active_overlap: float = field(
        "largest overlap: of spheres its depth over their distance, of a platelet its share in "
        "others",
        lower=0,
        upper=1,
        default=0.0,
    )
    periodic: tuple[bool, bool, bool] = field(
        "whether the sides across x, y and z are periodic", default=(True, True, True)
    )
    seed: int = field("of everything that is random", lower=0, default=1)

    def __post_init__(self) -> None:
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

        The share of the void is exact to half a particle of electrolyte, that of the active
        material to the accuracy of the voxels; see ``image.fractions()``. The same seed gives the
        same image.

        Raises:
            InputError: If the box is smaller than a voxel, or too large for the memory.
            NotConverged: If the active material cannot be packed that densely.
        """
        shape = [max(1, round(length / self.spacing)) for length in self.lengths]
        check_memory("Composite", shape, bytes_per_voxel=16 if self.binder_ratio else 3)
        if isinstance(self.active, Prisms):
            image = add_polyhedra(
                empty_image(self.lengths, self.spacing, self.periodic),
                self.active,
                phase="AM",
                left=1 - self.active_fraction,
                overlap=self.active_overlap,
                seed=self.seed,
            )
        else:
            packing = pack_spheres(
                self.active,
                fraction=self.active_fraction,
                lengths=self.lengths,
                periodic=self.periodic,
                overlap=self.active_overlap,
                seed=self.seed,
            )
            image = voxelise(packing, spacing=self.spacing)
        if self.binder_ratio:
            image = add_binder(image, self.binder_ratio)
        return add_polyhedra(
            image, self.electrolyte, phase="SE", left=self.void, seed=self.seed + 1_000_003
        )
