"""Electrons and ions through an electrode made of spheres, on voxels of one size.

Both conductivities across the electrode, the diffusivity of lithium in the electrolyte over that in
its bulk, its tortuosity, and what the voxels made of the spheres: where phases overlap one of them
wins, so that shares and porosity on the voxels differ from those of the spheres counted whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from femssb.description import checked
from femssb.electrode.impedance import Rail, SymmetricCell
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.voxels.conduct.conduction import Conduction, conductivity
from femssb.voxels.image import VoxelImage
from femssb.voxels.make.voxelisation import voxelise
from femssb.voxels.measure.areas import interface_areas

LOST = 0.1  # share of the volume of a phase whose loss on the voxels is told
COARSE, TOLD = 4.0, 0.1  # voxels across a sphere; volume of a phase in smaller ones that is told


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Transport:
    """Conduction across an electrode along z, periodic across x and y.

    Attributes:
        image: The voxels.
        electronic: Conduction of electrons.
        ionic: Conduction of ions.
        electrolyte: Phase whose diffusivity and tortuosity are given.
        nominal_porosity: Of the spheres counted whole, with their own pores.
        voxel_porosity: Of the voxels: the void, and the own pores of each phase.
        nominal_shares: Volume of the spheres of each phase over that of the box.
        warnings: What speaks against the numbers, in sentences.
    """

    image: VoxelImage
    electronic: Conduction
    ionic: Conduction
    electrolyte: str
    nominal_porosity: float
    voxel_porosity: float
    nominal_shares: Mapping[str, float]
    warnings: tuple[str, ...]

    @property
    def electronic_conductivity(self) -> float:
        """sigma_e of the electrode [S/m]."""
        return self.electronic.value

    @property
    def ionic_conductivity(self) -> float:
        """sigma_ion of the electrode [S/m]."""
        return self.ionic.value

    @property
    def relative_diffusivity(self) -> float:
        """D_eff over the diffusivity in the bulk of the electrolyte [-]."""
        return self.ionic.value / self.ionic.conductivities[self.electrolyte]

    @property
    def tortuosity(self) -> float:
        """Root of the share of the electrolyte on the voxels over the relative diffusivity [-]."""
        return self.ionic.tortuosity(self.electrolyte).tau

    @property
    def interface(self) -> float:
        """Area between conductors of electrons and those of ions over the volume [1/m]."""
        sides = [
            {name for name, value in rail.conductivities.items() if value > 0}
            for rail in (self.electronic, self.ionic)
        ]
        return sum(
            found.per_volume
            for (one, other), found in interface_areas(self.image).pairs.items()
            if any(one in a and other in b for a, b in (sides, sides[::-1]))
        )

    @checked
    def cell(
        self, capacitance: float, *, exponent: float = 1.0, contacts: Rail = "electronic"
    ) -> SymmetricCell:
        """Return the electrode between two equal contacts, for its impedance.

        Args:
            capacitance: Q of the double layer, per area of the interface between the phases that
                conduct electrons and those that conduct ions [F s^(n-1)/m2].
            exponent: n of the double layer, 1 for a capacitor.
            contacts: What the contacts let through.

        Raises:
            InputError: If either rail does not lead through the electrode, the phases do not touch,
                or a value is out of its bounds.
        """
        check_number("Transport.cell", "capacitance", capacitance, above=0, upper=1e6, unit="F/m2")
        for name, rail in (("electrons", self.electronic), ("ions", self.ionic)):
            if not rail.percolates:
                raise InputError(f"Transport.cell: no path of {name} leads through the electrode")
        area = self.interface
        if not area > 0:
            raise InputError("Transport.cell: electrons and ions have no interface")
        return SymmetricCell(
            thickness=self.image.lengths[2],
            electronic_conductivity=self.electronic_conductivity,
            ionic_conductivity=self.ionic_conductivity,
            capacitance=capacitance * area,
            exponent=exponent,
            contacts=contacts,
        )


@checked
def transport(
    packing: Packing,
    *,
    electronic: Mapping[str, float],
    ionic: Mapping[str, float],
    spacing: float,
    own_porosity: Mapping[str, float] | None = None,
    priority: Sequence[str] | None = None,
    conserve: str | None = None,
    tolerance: float = 1e-3,
    comm: Any = None,
) -> Transport:
    """Return how an electrode conducts electrons and ions along z.

    Args:
        packing: The electrode; the lateral sides count as periodic.
        electronic: Conductivity of the phases that conduct electrons [S/m].
        ionic: Conductivity of the phases that conduct ions; the best is the electrolyte [S/m].
        spacing: Edge of a voxel [m].
        own_porosity: Share of pores in the spheres of a phase, for the porosities only.
        priority: Phases, first the one that wins where they overlap; None: as for `voxelise`.
        conserve: Phase whose volume is restored on the voxels, as for `voxelise`.
        tolerance: Relative error of the conductivities on these voxels.
        comm: Communicator of mpi4py whose ranks share the work; None: this process alone.

    Raises:
        InputError: As `voxelise` and `conductivity` do, if nothing conducts, or a porosity is out
            of its bounds.
        NotConverged: As `conductivity` does.
    """
    own = {} if own_porosity is None else own_porosity
    for name, value in own.items():
        packing.of_phase(name)
        check_number("transport", f"own_porosity[{name!r}]", value, lower=0, below=1)
    for kind, given in (("electronic", electronic), ("ionic", ionic)):
        if not given:
            raise InputError(f"transport.{kind} is empty: it needs a phase and its conductivity")
        for name, value in given.items():
            check_number("transport", f"{kind}[{name!r}]", value, lower=0, upper=1e9, unit="S/m")
    image = voxelise(packing, spacing=spacing, priority=priority, conserve=conserve)
    options: Any = {"sides": "periodic", "tolerance": tolerance, "comm": comm}
    found = [conductivity(image, given, **options) for given in (electronic, ionic)]
    shares = image.fractions()
    nominal: dict[str, float] = dict(image.origin["voxelise"]["nominal fractions"])
    solid = sum(share * (1 - own.get(name, 0.0)) for name, share in nominal.items())
    pores = sum(own.get(name, 0.0) * shares[name] for name in nominal)
    return Transport(
        image=image,
        electronic=found[0],
        ionic=found[1],
        electrolyte=max(ionic, key=ionic.__getitem__),
        nominal_porosity=1 - solid,
        voxel_porosity=1 - sum(shares[name] for name in nominal) + pores,
        nominal_shares=nominal,
        warnings=(*_losses(nominal, shares), *_coarse(packing, spacing, {*electronic, *ionic})),
    )


def _losses(nominal: Mapping[str, float], shares: Mapping[str, float]) -> list[str]:
    """Return a sentence for every phase whose volume changes on the voxels."""
    return [
        f"On the voxels {name} has a share of {shares[name]:.3f} of the box, its spheres counted "
        f"whole of {whole:.3f}: the rest overlaps with others or itself."
        for name, whole in nominal.items()
        if abs(shares[name] - whole) > LOST * whole
    ]


def _coarse(packing: Packing, spacing: float, conducting: set[str]) -> list[str]:
    """Return a sentence for every phase that conducts and has small spheres for the voxels."""
    found = []
    for name in sorted(conducting):
        chosen = packing.of_phase(name)
        volumes = packing.volumes[chosen]
        small = volumes[2 * packing.radii[chosen] < COARSE * spacing].sum()
        if small > TOLD * volumes.sum():
            found.append(
                f"{100 * small / np.sum(volumes):.0f} % of the volume of {name} lies in spheres "
                f"less than {COARSE:g} voxels wide: its contacts are not resolved."
            )
    return found
