"""The wet route of Alabdali et al.: formulations, and readings of their force field.

M. Alabdali et al., "Three-Dimensional Physical Modeling of the Wet Manufacturing Process of
Solid-State Battery Electrodes" (2023), is "paper" below, its Table S1 is "S1". The table was made
for LAMMPS in its units pg, um and us, and leaves open to which diameter its factors belong:
`READINGS` holds what it can mean. Reading H1 gives the density and porosity of the paper; with it
the slurry at 1 atm holds 16 % more bead volume than box, so that its density is a fit.

"second paper": M. Alabdali et al., "Experimental and Computational Analysis of Slurry-Based
Manufacturing of Solid-State Battery Composite Cathode" (2024), whose own table is not public.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from femssb.description import checked
from femssb.errors import InputError, shown
from femssb.inputs.beads import Bead, BeadForces, ForceField
from femssb.library.additives import CBD
from femssb.library.cathodes import NCM622, NCM811
from femssb.library.electrolytes import LI6PS5CL
from femssb.packing.formulation import Formulation, Solvent
from femssb.packing.recipe import Component
from femssb.packing.sizes import ListedSizes, LognormalSizes
from femssb.units import um

PRESSURE = 100e3  # [Pa] paper 2.2: 1 atm; 100 kPa in the public inputs of the group
PER_LENGTH = 1e-9  # [N] one pg um2/us2 per um, the unit of epsilon/d in paper S1
PER_DAMPING = 1e12  # [1/(m s)] one 1/(um us), the unit of gamma_n in paper S1
DRY_BINDER = 3 * um  # [m] paper 3.1

P_XYLENE = Solvent(
    name="p-xylene",
    density=861.0,  # [kg/m3] from memory, 20 C
    viscosity=0.64e-3,  # [Pa s] derived: 0.648e-3 at 20 C, CRC Handbook (44th ed.)
)
BUTYL_ACETATE = Solvent(
    name="butyl acetate",
    density=882.0,  # [kg/m3] from memory, 20 C
    viscosity=0.69e-3,  # [Pa s] second paper, introduction: 25 C
)

# Table S1; contacts of AM and SE by the 14 % that paper 2.3 adds to their diameters
SLURRY = BeadForces(
    beads={
        "AM": Bead(
            depth=1.0 * PER_LENGTH,  # [N] paper S1
            distance=0.99,  # [-] paper S1
            cutoff=1.5,  # [-] paper S1
            enlargement=1.14,  # [-] paper 2.3
            contact_enlargement=1.14,  # [-] paper 2.3
        ),
        "SE": Bead(
            depth=10.5 * PER_LENGTH,  # [N] paper S1
            distance=0.99,  # [-] paper S1
            cutoff=1.5,  # [-] paper S1
            enlargement=1.14,  # [-] paper 2.3
            contact_enlargement=1.14,  # [-] paper 2.3
        ),
        "CBD": Bead(
            depth=0.88 * PER_LENGTH,  # [N] paper S1
            distance=0.97,  # [-] paper S1, printed without the diameter: taken as a factor
            cutoff=2.2,  # [-] paper S1
        ),
    },
    stiffness=0.1e3,  # [Pa] paper S1
    damping=55 * PER_DAMPING,  # [1/(m s)] paper S1
    friction=0.016,  # [-] paper S1
    tangential_stiffness=1.378,  # [-] paper S4
    tangential_damping=0.959,  # [-] paper S4
    mixing="geometric",  # derived: public inputs of the group
)
DRIED = BeadForces(
    beads={
        "AM": Bead(
            depth=100 * PER_LENGTH,  # [N] paper S1
            distance=0.93,  # [-] paper S1
            cutoff=1.2,  # [-] paper S1
            enlargement=1.14,  # [-] derived: without it the dried porosity is .3, not .5
            contact_enlargement=1.14,  # [-] derived: as above
        ),
        "SE": Bead(
            depth=200 * PER_LENGTH,  # [N] paper S1
            distance=0.93,  # [-] paper S1
            cutoff=1.2,  # [-] paper S1
            enlargement=1.14,  # [-] derived: as above
            contact_enlargement=1.14,  # [-] derived: as above
        ),
        "CBD": Bead(
            depth=400 * PER_LENGTH,  # [N] paper S1
            distance=0.89,  # [-] paper S1, printed without the diameter: taken as a factor
            cutoff=2.2,  # [-] paper S1
        ),
    },
    stiffness=100e3,  # [Pa] paper S1
    damping=10 * PER_DAMPING,  # [1/(m s)] paper S1
    friction=12.5,  # [-] paper S1
    tangential_stiffness=1.378,  # [-] paper S4
    tangential_damping=0.959,  # [-] paper S4
    mixing="geometric",  # derived: public inputs of the group
)
H1 = ForceField(slurry=SLURRY, dried=DRIED)


def _enlarged(forces: BeadForces, potential: float, contact: float) -> BeadForces:
    """Return a force field with other enlargements of AM and SE."""
    beads = dict(forces.beads)
    for phase in ("AM", "SE"):
        beads[phase] = replace(beads[phase], enlargement=potential, contact_enlargement=contact)
    return replace(forces, beads=beads)


def _dry_based(forces: BeadForces) -> BeadForces:
    """Return a force field whose binder has the distance and cut-off of its dry diameter."""
    beads = dict(forces.beads)
    beads["CBD"] = replace(beads["CBD"], diameter=DRY_BINDER)
    return replace(forces, beads=beads)


READINGS: Mapping[str, ForceField] = MappingProxyType(
    {
        "H1": H1,
        # derived: by how much, from the public inputs of the group, or not at all
        "dried enlarged by 2 %": replace(H1, dried=_enlarged(DRIED, 1.02, 1.02)),
        # derived: as printed
        "dried not enlarged": replace(H1, dried=_enlarged(DRIED, 1.0, 1.0)),
        "enlarged in contacts only": ForceField(
            slurry=_enlarged(SLURRY, 1.0, 1.14),  # paper 2.3
            dried=_enlarged(DRIED, 1.0, 1.14),  # paper 2.3
        ),
        "binder by its dry diameter": ForceField(
            slurry=_dry_based(SLURRY), dried=_dry_based(DRIED)
        ),
    }
)

_AM622 = replace(NCM622, density=4750.0)  # [kg/m3] derived: 2487 pg in a sphere of 10 um
_AM811 = replace(NCM811, density=4760.0)  # [kg/m3] derived: the count of beads, second paper
_SE = replace(LI6PS5CL, density=1640.0)  # [kg/m3] derived: the counts of beads of both papers
# Viscosities by S1 follow the median, too: 200 beads have 1.91 and 0.86 Pa s at 1e4 and 1e5 /s with
# 2.0 um, 2.35 and 1.01 with 2.75 um, which makes the slurry 2.01 g/cm3.
ELECTROLYTE_SIZES = LognormalSizes(
    median=2.0 * um,  # [m] assumed: S2 shows a histogram without numbers; density 1.9 g/cm3 fits
    geometric_deviation=1.8,  # [-] assumed: as above
    smallest=1.0 * um,  # [m] paper 3.1
    largest=11.0 * um,  # [m] paper 3.1
)


@checked
def formulation(*, beads: int = 5089) -> Formulation:  # paper 3.1
    """Return the formulation of the paper.

    Args:
        beads: How many; 5089 in the paper, section 3.1.
    """
    return Formulation(
        components=(
            Component(
                name="AM",
                solid=_AM622,
                share=0.69,  # [-] paper 3.1
                sizes=ListedSizes(diameters=(10 * um,)),  # [m] paper 3.1
            ),
            Component(
                name="SE",
                solid=_SE,
                share=0.276,  # [-] paper 3.1
                sizes=ELECTROLYTE_SIZES,
            ),
            Component(
                name="CBD",
                solid=CBD,
                share=0.034,  # [-] paper 3.1
                sizes=ListedSizes(diameters=(DRY_BINDER,)),  # [m] paper 3.1
            ),
        ),
        binder_porosity=0.5,  # [-] paper 3.3
        solvent=P_XYLENE,
        solid_content=0.669,  # [-] derived: beads of 7.5 um with 0.9 g/cm3, paper 3.1
        swelling=7.5 / 3,  # [-] paper 3.1
        beads=beads,
    )


_WET_BINDER = {0.48: 8.0 * um, 0.50: 7.4 * um, 0.52: 6.9 * um}  # [m] second paper: the ends
_MEDIANS = {"AM_1": 4 * um, "AM_2": 6 * um}  # [m] second paper, by volume


@checked
def second_formulation(
    *,
    cathode: Literal["AM_1", "AM_2"] = "AM_1",
    solid_content: float = 0.50,  # second paper
    beads: int = 5051,  # second paper
) -> Formulation:
    """Return a formulation of the second paper, with equal beads of each phase.

    Args:
        cathode: AM_1 with a median of 4 um, AM_2 with 6 um.
        solid_content: .48, .50 or .52, for which the binder swells to 8.0, 7.4 and 6.9 um: a fit,
            as the volumes of the solvent give 6.9, 6.8 and 6.6 um.
        beads: How many; 5051 in the paper.

    Raises:
        InputError: If the solid content is none of the paper.
    """
    if solid_content not in _WET_BINDER:
        raise InputError(
            f"second_formulation: solid_content = {shown(solid_content)} must be one of "
            f"{sorted(_WET_BINDER)}"
        )
    dry = 2.6 * um  # [m] second paper, Manufacturing Inputs
    return Formulation(
        components=(
            Component(
                name="AM",
                solid=_AM811,
                share=0.64,  # [-] second paper
                sizes=ListedSizes(diameters=(_MEDIANS[cathode],)),
            ),
            Component(
                name="SE",
                solid=_SE,
                share=0.30,  # [-] second paper
                sizes=ListedSizes(diameters=(1 * um,)),  # [m] second paper
            ),
            Component(
                name="CBD",
                solid=CBD,
                share=0.06,  # [-] second paper
                sizes=ListedSizes(diameters=(dry,)),
            ),
        ),
        binder_porosity=0.5,  # [-] first paper 3.3
        solvent=BUTYL_ACETATE,
        solid_content=solid_content,
        swelling=_WET_BINDER[solid_content] / dry,
        beads=beads,
    )
