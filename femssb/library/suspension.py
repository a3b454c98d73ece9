"""A force field of our own for any formulation, in which nothing is counted twice.

What differs from the sets of papers:

- Beads have their true sizes: those of the binder hold the solvent and nothing else, so that all
  beads together have the volume of the slurry. The box follows from that volume, and the pressure
  between the beads is a result; the solvent carries the atmosphere.
- The minimum of the potential lies where two beads touch. Soft beads of binder and solvent make
  way for hard ones; the depth of their wells sets how large the yield stress is.
- The dashpots of two beads of binder are those of two balls in the liquid, 6 pi eta R R'/(R + R').
- Dried, grains that touch under the pressure of the atmosphere overlap by less than a hundredth.

The depth and the viscosity of the liquid are there to be calibrated, once for a formulation, with
the flow curve that was measured.
"""

import numpy as np

from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.inputs.beads import Bead, BeadForces, ForceField
from femssb.packing.formulation import Formulation

TOUCHING = 2 ** (-1 / 6)  # [-] derived: sigma over the distance of the minimum
REACH = 1.5  # [-] Table S1 of Alabdali 2023, AM and SE: longer ones cost more and add nothing
OVERLAP = 0.1  # [-] assumed: of beads of binder that touch, over the sum of their radii
SOFTNESS = 1e-12  # [N] assumed: well of binder over diameter; a yield stress of a few Pa
HARDNESS = 30.0  # [-] assumed: wells of solids over those of binder, so that solids keep apart
BOND = 400e-9  # [N] Table S1 of Alabdali 2023: well of dried binder over its diameter
GRAIN_BOND = 200e-9  # [N] Table S1 of Alabdali 2023: of dried electrolyte, for all grains
WET_STIFFNESS = 1.0  # [Pa] assumed: next to nothing, contacts are there for their dashpots
STIFFNESS = 100e6  # [Pa] assumed: a thousand atmospheres; stiffer grains cost and change nothing
DRIED_DAMPING = 10e12  # [1/(m s)] Table S1 of Alabdali 2023; a state at rest does not depend on it
WET_FRICTION = 0.016  # [-] Table S1 of Alabdali 2023
DRY_FRICTION = 0.5  # [-] assumed: rough grains


@checked
def suspension(
    formulation: Formulation, *, viscosity: float | None = None, depth: float = SOFTNESS
) -> ForceField:
    """Return our force field for a formulation.

    Args:
        formulation: Names the phases and gives the size of the beads of binder.
        viscosity: Of the liquid between the beads [Pa s]: of the solvent if left out. What is
            dissolved makes it more viscous: to be calibrated.
        depth: Of the well of a wet bead of binder, over its diameter [N]: to be calibrated.

    Raises:
        InputError: If the viscosity is neither given nor known of the solvent, or out of bounds.
    """
    solvent = formulation.solvent
    eta = solvent.viscosity if viscosity is None else viscosity
    if eta is None:
        raise InputError(
            f"suspension.viscosity is missing: that of {solvent.name} is not known [Pa s]"
        )
    # assumed: a hundred times as viscous as honey
    check_number("suspension", "viscosity", eta, above=0, upper=1e3, unit="Pa s")
    check_number("suspension", "depth", depth, above=0, upper=1, unit="N")
    component = formulation.components[formulation.names.index(formulation.binder)]
    sizes = component.sizes.listed()
    dry = float(np.average(sizes.diameters, weights=sizes.numbers))
    wet = dry * formulation.swollen()
    # derived: a ball, and solvent in its share
    mass = component.solid.density * np.pi / 6 * dry**3 * formulation.wet_share()
    # Two equal beads of radius r: both the reduced radius and the reduced mass are halves.
    coefficient = 6 * np.pi * eta * wet / 4  # [kg/s] derived: Stokes's law
    # derived: LAMMPS's dashpot of a Hertzian contact at this overlap
    damping = coefficient / (mass / 2 * np.sqrt(wet / 4 * OVERLAP * wet))
    soft = Bead(depth=depth, distance=TOUCHING, cutoff=REACH)
    hard = Bead(depth=HARDNESS * depth, distance=TOUCHING, cutoff=REACH)
    bond = Bead(depth=BOND, distance=TOUCHING, cutoff=REACH)
    grain = Bead(depth=GRAIN_BOND, distance=TOUCHING, cutoff=REACH)
    names = formulation.names
    return ForceField(
        slurry=BeadForces(
            beads={name: soft if name == formulation.binder else hard for name in names},
            stiffness=WET_STIFFNESS,
            damping=float(damping),
            friction=WET_FRICTION,
        ),
        dried=BeadForces(
            beads={name: bond if name == formulation.binder else grain for name in names},
            stiffness=STIFFNESS,
            damping=DRIED_DAMPING,
            friction=DRY_FRICTION,
        ),
    )
