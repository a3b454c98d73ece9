"""The half-cell of Yuan, Lu and Xu: one NCM111 secondary particle, LLZO, lithium.

C. Yuan, W. Lu, J. Xu, "Electrochemical-Mechanical Coupling Failure Mechanism of Composite Cathode
in All-Solid-State Batteries" (2023), is "paper" below. Its parameter tables are in a supplement
that is not public: most values are ``derived`` from what the paper reports, or ``assumed``.

- Lithium scale: 24.659e-12 mol in a sphere of 5 um is 47 095 mol/m3. The paper takes out 93 % of it
  by 4.3 V, so its lithium axis y = c/c0 is one of usable capacity, not the crystallographic one;
  curves of the literature are mapped onto it.
- Open-circuit voltage: the shape is the measured NMC111 half-cell curve of the BPX parameter set of
  About:Energy (a 12.5 Ah NMC111/graphite pouch cell; CC BY-SA 4.0), stretched by z = 0.3832 +
  0.6236 y, which puts 4.300 V at y = 0.06 and 3.000 V at y = 1. The exponential keeps an emptying
  surface away from zero and adds 0.1 mV at y = 0.06.
- Chemical strain: -1.22 % along [100] when charged, with a plateau below y = 0.19 as the gap of the
  paper has one; chosen so that mean gap, largest gap, peak strain and the measured change of the
  unit cell (-1.2 % by volume between 3.0 and 4.3 V, Kondrakov 2017) agree. Its shape between the
  ends decides when the interface opens, and is calibrated with the rest.

Kondrakov 2017: doi 10.1021/acs.jpcc.6b12885. Koerver 2018: doi 10.1039/c8ee00907d, Table 1.
Xu 2017: R. Xu et al., J. Electrochem. Soc. 164, A3333. "second-hand": from a digest of the paper.
"""

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    InsertionKinetics,
    MetalKinetics,
)
from femssb.inputs.materials import ActiveMaterial, Conductor, Materials

INITIAL = 47095.0  # [mol/m3] derived: paper 3.1, 24.659e-12 mol in a sphere of radius 5 um
MAXIMUM = 49360.0  # [mol/m3] derived: 3 Li in a = 2.862 A, c = 14.227 A (from memory)

LEVEL = 4.6356  # [V] About:Energy BPX NMC111 curve, mapped to y (see above)
FALL = 1.8985  # [V] About:Energy BPX NMC111 curve, mapped to y
RISE = 0.6564  # [V] About:Energy BPX NMC111 curve, mapped to y
RISE_RATE = 2.508  # [-] About:Energy BPX NMC111 curve, mapped to y
RISE_AT = 0.6694  # [-] About:Energy BPX NMC111 curve, mapped to y
DROP = 0.3757  # [V] About:Energy BPX NMC111 curve, mapped to y
DROP_RATE = 37.0  # [-] About:Energy BPX NMC111 curve, mapped to y
DROP_AT = 0.9856  # [-] About:Energy BPX NMC111 curve, mapped to y
BARRIER = 0.05  # [V] assumed: no effect above y = 0.06
BARRIER_WIDTH = 0.01  # [-] assumed: no effect above y = 0.06

EARLY = 8.0  # [-] assumed: exponent with which the early share of the chemical strain levels off
SLOW = 1e-20  # [m2/s] paper 3.2, along [001]


@description
class Open:
    """Values that the paper leaves open, with one exception: `diffusivity`, which it prints.

    The defaults are the paper's value where it has one, else derived or assumed without tuning.
    """

    # derived: onset of debonding, pressure series; 10 to 60 GPa
    ecbd_modulus: float = field("Young's modulus of the ecbd", unit="Pa", above=0, default=25e9)
    # assumed, 2e-4 to 1e-3: voltage drop below 15 mV (paper 3.3)
    resistance: float = field("resistance at zero gap", unit="ohm m2", above=0, default=8e-4)
    # assumed, 6 to 20 nm: same bound; the form is of the paper
    decay_length: float = field("gap over which it grows e-fold", unit="m", above=0, default=10e-9)
    # derived: discharge ends of the paper; 1e-6 to 4e-6
    drift_volume: float = field("partial molar volume", unit="m3/mol", above=0, default=1e-6)
    # derived: 10 A/m2 half full, at most 15 mV at 1C
    rate_constant: float = field("rate constant of insertion", unit="m/s", above=0, default=4.2e-9)
    # derived: gaps of the paper, Kondrakov 2017; 0.0105 to 0.0130
    strain: float = field("shrinkage along [100] when charged", above=0, default=0.0122)
    # derived: residual stress of the paper at 0.1C
    strain_early: float = field("share that sets in early", above=0, below=1, default=0.26)
    # assumed: at once; the residual gaps of the paper by rate ask for 0.01 to 0.1
    strain_onset: float = field("of s, on which it sets in", lower=0, below=1, default=0.0)
    # assumed: as smooth as a cubic between both ends; 2 to 6
    strain_exponent: float = field("of the other share", lower=1, below=100, default=2.0)
    # derived: where the gap of the paper stops growing, 0.15 to 0.22
    plateau: float = field("lithium below which it is whole", above=0, below=1, default=0.19)
    # derived: 0.027 nm at 0.1 to 0.3 GPa in the 500 MPa case; 1e18 to 1e19
    cohesive_stiffness: float = field("of the closed interface", unit="Pa/m", above=0, default=1e19)
    # paper 3.2
    diffusivity: float = field("along [100] and [010]", unit="m2/s", above=0, default=1e-14)

    def chemical_strain(self, concentration: Array) -> Array:
        """Return the chemical strain along [100] against the full state of the paper [-].

        With s = (1 - y)/(1 - plateau) and m = `EARLY`, it is -strain (a h (m s - s^m)/(m - 1) +
        (1 - a) ((n + 1) s^n - n s^(n + 1))), h = 1 - exp(-s/`strain_onset`): a, `strain_early`,
        gives the slope near y = 1, and the slope where the plateau begins is 0.
        """
        s, a, n = self._progress(concentration), self.strain_early, self.strain_exponent
        late = (n + 1) * s**n - n * s ** (n + 1)
        return -self.strain * (a * self._set_in(s)[0] * _level(s)[0] + (1 - a) * late)

    def chemical_strain_slope(self, concentration: Array) -> Array:
        """Return the derivative of `chemical_strain` [m3/mol]."""
        s, a, n = self._progress(concentration), self.strain_early, self.strain_exponent
        late = n * (n + 1) * s ** (n - 1) * (1 - s)
        (share, rise), (early, slope) = self._set_in(s), _level(s)
        total = a * (share * slope + rise * early) + (1 - a) * late
        return self.strain * total / (INITIAL * (1 - self.plateau))

    def _set_in(self, s: Array) -> tuple[Array, Array]:
        """Return how far the early share has set in, and the derivative."""
        if self.strain_onset == 0:
            return np.ones_like(s), np.zeros_like(s)
        left = np.exp(-s / self.strain_onset)
        return 1 - left, left / self.strain_onset

    def _progress(self, concentration: Array) -> Array:
        """Return s, 0 in the full state and 1 where the plateau begins."""
        return np.maximum((1 - concentration / INITIAL) / (1 - self.plateau), 0)


def _level(s: Array) -> tuple[Array, Array]:
    """Return a line that levels off at 1, without slope there, and the derivative."""
    return (EARLY * s - s**EARLY) / (EARLY - 1), EARLY * (1 - s ** (EARLY - 1)) / (EARLY - 1)


DERIVED = Open()

# Calibrated once for all cases, on meshes of 1.2 um, on 40 numbers of the paper: lithium at both
# ends and residuals for all rates, times and residuals of cases 1 and 2, gaps at 2200 s and at
# charge end, the four strengths, the four pressures. Found by papers/yuan2023/calibrate.py, least
# squares from values of single runs; how far each may go: docs/yuan2023.md.
CALIBRATED = Open(
    ecbd_modulus=14.64e9,  # [Pa] calibrated: gap at 200 MPa, pressures
    resistance=4.96e-4,  # [ohm m2] calibrated: left open by the paper; bound on the voltage drop
    decay_length=9.87e-9,  # [m] calibrated
    drift_volume=2.52e-6,  # [m3/mol] calibrated: lithium at discharge end
    strain=0.010246,  # [-] calibrated: mean gaps at 50 and 100 MPa, largest gap
    strain_early=0.366,  # [-] calibrated: residual gaps at 1C and 2C
    strain_onset=0.0614,  # [-] calibrated: residual gaps at 0.1C and 0.5C
    strain_exponent=4.388,  # [-] calibrated: gaps at 2200 s
    plateau=0.1098,  # [-] calibrated: left open by the paper
    cohesive_stiffness=2.957e18,  # [Pa/m] calibrated: gap at 500 MPa
    diffusivity=1.485e-14,  # [m2/s] calibrated: lithium at charge end, by rate
)


def open_circuit_voltage(concentration: Array) -> Array:
    """Return the open-circuit voltage against lithium [V], for concentrations [mol/m3]."""
    y = concentration / INITIAL
    return (
        LEVEL
        - FALL * y
        + RISE * np.tanh(RISE_RATE * (y - RISE_AT))
        - DROP * np.tanh(DROP_RATE * (y - DROP_AT))
        + BARRIER * np.exp(-y / BARRIER_WIDTH)
    )


def open_circuit_voltage_slope(concentration: Array) -> Array:
    """Return the derivative of `open_circuit_voltage` [V m3/mol]."""
    y = concentration / INITIAL
    slope = (
        -FALL
        + RISE * RISE_RATE * (1 - np.tanh(RISE_RATE * (y - RISE_AT)) ** 2)
        - DROP * DROP_RATE * (1 - np.tanh(DROP_RATE * (y - DROP_AT)) ** 2)
        - BARRIER / BARRIER_WIDTH * np.exp(-y / BARRIER_WIDTH)
    )
    return slope / INITIAL


def materials(*, values: Open = DERIVED, ecbd: Conductor | None = None) -> Materials:
    """Return the complete parameter set of the paper's baseline (its case 1).

    The other cases are replacements. Heterogeneity (3.2), cases 2 to 4, with ratio = -1, -0.5, 0::

        active = replace(
            materials.active, diffusivity=(1e-14, 1e-14, 1e-14), expansion_ratio=(1.0, 1.0, ratio)
        )
        materials = replace(materials, active=active)

    Interfacial strength (3.3), 50, 200 and 500 MPa with 0.5, 2 and 5 J/m2::

        cohesive = replace(
            materials.cohesive,
            normal_strength=50 * MPa,
            shear_strength=50 * MPa,
            normal_fracture_energy=0.5,
            shear_fracture_energy=0.5,
        )
        materials = replace(materials, cohesive=cohesive)

    Args:
        values: Values that the paper leaves open: `DERIVED` without tuning, or `CALIBRATED`.
        ecbd: The electrolyte-carbon domain if not that of the paper, for instance with effective
            conductivities computed from a packing.

    Returns:
        The set. On a mesh whose particle is smaller than the sphere, scale
        ``active.initial_concentration`` and ``active.nominal_capacity`` so that the lithium is
        24.659e-12 mol. To start elsewhere, replace ``active.initial_concentration`` alone.
    """
    llzo = Elasticity(
        young_modulus=150e9,  # [Pa] paper 2
        poisson_ratio=0.26,  # [-] Koerver 2018, second-hand
    )
    return Materials(
        active=ActiveMaterial(
            initial_concentration=INITIAL,
            maximum_concentration=MAXIMUM,
            nominal_capacity=INITIAL,  # [mol/m3] paper 3.1: 1C moves 24.659e-12 mol in an hour
            stress_free_concentration=INITIAL,  # [mol/m3] assumed: no strain before the charge
            diffusivity=(values.diffusivity, values.diffusivity, SLOW),
            drift_volume=values.drift_volume,
            open_circuit_voltage=Curve(
                function=open_circuit_voltage,
                slope=open_circuit_voltage_slope,
                lower=0,
                upper=MAXIMUM,
            ),
            expansion=Curve(  # continues along its tangents: flat below the plateau
                function=values.chemical_strain,
                slope=values.chemical_strain_slope,
                lower=values.plateau * INITIAL,
                upper=INITIAL,
            ),
            expansion_ratio=(1.0, 1.0, -1.0),  # [-] paper 3.2, along [100], [010], [001]
            elasticity=Elasticity(
                young_modulus=140e9,  # [Pa] assumed as NCM523: 142.5 by Xu 2017, second-hand
                poisson_ratio=0.3,  # [-] assumed, 0.2 to 0.3
            ),
        ),
        ecbd=ecbd
        or Conductor(
            ionic_conductivity=5e-3,  # [S/m] derived: LLZO times 0.25^1.5, 1e-3 to 1.4e-2
            electronic_conductivity=10.0,  # [S/m] assumed, 1 to 100: a drop of microvolts at 1C
            elasticity=Elasticity(
                young_modulus=values.ecbd_modulus,
                poisson_ratio=0.26,  # [-] assumed as LLZO
            ),
        ),
        electrolyte=Conductor(
            ionic_conductivity=0.04,  # [S/m] doped LLZO at 25 C, 0.02 to 0.1 (from memory)
            electronic_conductivity=0.0,  # [S/m] assumed: an insulator in this model
            elasticity=llzo,
        ),
        kinetics=InsertionKinetics(
            rate_constant=values.rate_constant,
            anodic_transfer=0.5,  # [-] assumed
        ),
        resistance=ContactResistance(
            closed=values.resistance,
            decay_length=values.decay_length,
        ),
        cohesive=CohesiveLaw(
            normal_strength=100e6,  # [Pa] paper 3.3, baseline
            shear_strength=100e6,  # [Pa] paper 3.3: equal in normal and shear
            normal_fracture_energy=1.0,  # [J/m2] paper 3.3, baseline
            shear_fracture_energy=1.0,  # [J/m2] assumed: only one energy is stated
            stiffness=values.cohesive_stiffness,
            viscosity=1e16,  # [Pa s/m] assumed: carries snap-back, below 1 MPa at ordinary rates
        ),
        anode=MetalKinetics(
            exchange_current=100.0,  # [A/m2] assumed, 10 to 1000: 1 to 10 ohm cm2 on LLZO
            anodic_transfer=0.5,  # [-] assumed
        ),
        temperature=298.15,  # [K] paper 2: 25 C
    )
