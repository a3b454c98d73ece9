"""A force field of our own for any formulation, in which nothing is counted twice.

What differs from the sets of papers:

- Beads have their true sizes: those of the binder hold the solvent and nothing else, so that all
  beads together have the volume of the slurry. The box follows from that volume, and the pressure
  between the beads is a result; the solvent carries the atmosphere.
- The minimum of the potential lies where two beads touch. Soft beads of binder and solvent make
  way for hard ones; the depth of their wells sets how large the yield stress is.
- The dashpots of two beads of binder are those of two balls in the liquid, 6 pi eta R R'/(R + R').
- Dried, grains that touch under the pressure of the atmosphere overlap by less than a hundredth.

The viscosity of the liquid and the depth are calibrated once, for the formulation of Alabdali 2023
with 66.9 % of solids: 0.3 to 0.6 Pa s from 50 to 1000 /s, what a slurry needs to be cast evenly
(doi:10.1002/batt.202400709). One master curve of 200 beads, seed 1, of strain 2 or more after 1 at
inertia numbers below 0.1, was measured with 0.25 Pa s and 2.5e-12 N:

    rate [1/s]        8     20     50    150    600   2500   1e4
    stress [Pa]     6.91  11.42  21.3   54.5   188    784   3307
    error [Pa]      0.25   0.22   1.0    1.5     8     33    130

`calibrate` reads off it the two constants below, rounded. What it predicts with them, and what was
then measured with the beads placed anew (seed 2), bead pressure at rest 34.7 +- 1.4 Pa:

    rate [1/s]              50            100            300           1000
    predicted [Pa s]  .545 +- .016   .443 +- .020   .378 +- .010   .330 +- .013
    measured [Pa s]   .564 +- .022   .428 +- .014   .349 +- .008   .322 +- .010

With another formulation the two give another curve: calibrate again where it is known.

The friction of dried beads is that of Table S1, for the porosity of the film: with 500 beads, seed
1, it is .466, with 0.5 instead .399; the paper has about .50, which friction alone does not reach.
"""

import numpy as np

from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.inputs.beads import Bead, BeadForces, ForceField
from femssb.packing.formulation import Formulation

TOUCHING = 2 ** (-1 / 6)  # [-] derived: sigma over the distance of the minimum
REACH = 1.5  # [-] Table S1 of Alabdali 2023, AM and SE: longer ones cost more and add nothing
OVERLAP = 0.1  # [-] assumed: of beads of binder that touch, over the sum of their radii
SOFTNESS = 5.2e-12  # [N] calibrated, as above: well of wet binder over its diameter
THICKENING = 406.0  # [-] calibrated, as above: of p-xylene by what it holds, to 0.26 Pa s
HARDNESS = 30.0  # [-] assumed: wells of solids over those of binder, so that solids keep apart
BOND = 400e-9  # [N] Table S1 of Alabdali 2023: well of dried binder over its diameter
GRAIN_BOND = 200e-9  # [N] Table S1 of Alabdali 2023: of dried electrolyte, for all grains
WET_STIFFNESS = 1.0  # [Pa] assumed: next to nothing, contacts are there for their dashpots
STIFFNESS = 100e6  # [Pa] assumed: a thousand atmospheres; stiffer grains cost and change nothing
DRIED_DAMPING = 10e12  # [1/(m s)] Table S1 of Alabdali 2023; a state at rest does not depend on it
WET_FRICTION = 0.016  # [-] Table S1 of Alabdali 2023
DRY_FRICTION = 12.5  # [-] Table S1 of Alabdali 2023: grains interlock; see above


@checked
def suspension(
    formulation: Formulation, *, viscosity: float | None = None, depth: float = SOFTNESS
) -> ForceField:
    """Return our force field for a formulation.

    Args:
        formulation: Names the phases and gives the size of the beads of binder.
        viscosity: Of the liquid between the beads, with all that it holds [Pa s]: that of the
            solvent, thickened as calibrated, if left out.
        depth: Of the well of a wet bead of binder, over its diameter [N].

    Raises:
        InputError: If the viscosity is neither given nor known of the solvent, or out of bounds.
    """
    solvent = formulation.solvent
    eta = viscosity
    if eta is None and solvent.viscosity is not None:
        eta = THICKENING * solvent.viscosity
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
