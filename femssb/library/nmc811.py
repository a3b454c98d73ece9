"""NMC811 from measured lattice parameters, in the half-cell of Yuan 2023.

- Chemical strain: a curve for each crystal axis, from the lattice parameters of 79 powder patterns
  taken on charge (``data/nmc811_lattice.csv``). Along a the crystal shrinks on charge; along c it
  grows first, and collapses beyond 190 mAh/g: no one ratio of the two holds over a charge. By the
  end of the table, 242 mAh/g, the volume has shrunk by 5.3 %. The curves are cubic splines with a
  knot at every third row, which leave the scatter of the table, 1.5e-4 A in a and 7e-4 A in c.
- Lithium scale: the crystal starts full, and each mAh/g takes 1/275.5 of its lithium.
- Open-circuit voltage: the fit of Chen 2020, with the lithium of the crystal in the place of its
  stoichiometry. That fit is for 0.27 to 0.91. A fall is added close to the full host, where
  insertion ends; it takes 8 mV off at 0.95.
- Elasticity and diffusivity are constants: no measurement of either against lithium is among the
  sources of this package.

Chen 2020: doi 10.1149/1945-7111/ab9050, as PyBaMM gives it. Maerker 2019: K. Maerker et al., Chem.
Mater. 31, 2545, the table as in the examples of PASCal (MIT licence). Xu 2017: R. Xu et al., J.
Electrochem. Soc. 164, A3333.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.interpolate import BSpline, make_lsq_spline

from femssb.arrays import Array
from femssb.description import checked
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import ActiveMaterial, Materials
from femssb.library import yuan2023
from femssb.tables import numbers, read_text

MAXIMUM = 49195.0  # [mol/m3] derived: 3 Li in the first cell of the table, Maerker 2019
CAPACITY = 275.5  # [mAh/g] derived: 1 Li of LiNi0.8Mn0.1Co0.1O2, 97.28 g/mol
EVERY = 3  # rows of the table to a knot

LEVEL = 4.4875  # [V] Chen 2020
FALL = 0.8090  # [V] Chen 2020
STEPS = (0.0428, 17.7326, -17.5842)  # [V] Chen 2020
RATES = (18.5138, 15.7890, 15.9308)  # [-] Chen 2020
PLACES = (0.5542, 0.3117, 0.3120)  # [-] Chen 2020
LAST_FALL = 0.6  # [V] assumed: a half-cell of NMC811 is empty of charge at 3.0 V
LAST_WIDTH = 0.012  # [-] assumed: no effect below 0.9


@checked
def lattice() -> tuple[Array, Array, Array]:
    """Return the measured table: capacity [mAh/g], and the lattice parameters a and c [m].

    All are of shape (79,), in the order of the charge.
    """
    path = Path(__file__).parent / "data" / "nmc811_lattice.csv"
    lines = [line for line in read_text(path).splitlines() if not line.startswith("#")]
    rows = numbers(path.name, [line.split(",") for line in lines[1:]], 3)
    return rows[:, 0], rows[:, 1] * 1e-10, rows[:, 2] * 1e-10  # derived: the table is in angstrom


def strain_a(concentration: Array) -> Array:
    """Return the chemical strain along [100] and [010] against the full crystal [-]."""
    return np.asarray(_spline(1)(concentration))


def strain_a_slope(concentration: Array) -> Array:
    """Return the derivative of `strain_a` [m3/mol]."""
    return np.asarray(_spline(1)(concentration, 1))


def strain_c(concentration: Array) -> Array:
    """Return the chemical strain along [001] against the full crystal [-]."""
    return np.asarray(_spline(2)(concentration))


def strain_c_slope(concentration: Array) -> Array:
    """Return the derivative of `strain_c` [m3/mol]."""
    return np.asarray(_spline(2)(concentration, 1))


@cache
def _spline(column: int) -> BSpline:
    """Return the strain of a lattice parameter as a function of the concentration."""
    table = lattice()
    filled = MAXIMUM * (1 - table[0][::-1] / CAPACITY)
    strain = (table[column] / table[column][0] - 1)[::-1]
    inner, ends = filled[EVERY:-EVERY:EVERY], np.ones(4)  # derived: a cubic spline
    knots = np.concatenate([filled[0] * ends, inner, filled[-1] * ends])
    return make_lsq_spline(filled, strain, knots, k=3)


def open_circuit_voltage(concentration: Array) -> Array:
    """Return the open-circuit voltage against lithium [V], for concentrations [mol/m3]."""
    filled = concentration / MAXIMUM
    found = LEVEL - FALL * filled - LAST_FALL * np.exp((filled - 1) / LAST_WIDTH)
    for step, rate, place in zip(STEPS, RATES, PLACES, strict=True):
        found -= step * np.tanh(rate * (filled - place))
    return np.asarray(found)


def open_circuit_voltage_slope(concentration: Array) -> Array:
    """Return the derivative of `open_circuit_voltage` [V m3/mol]."""
    filled = concentration / MAXIMUM
    slope = -FALL - LAST_FALL / LAST_WIDTH * np.exp((filled - 1) / LAST_WIDTH)
    for step, rate, place in zip(STEPS, RATES, PLACES, strict=True):
        slope -= step * rate * (1 - np.tanh(rate * (filled - place)) ** 2)
    return np.asarray(slope / MAXIMUM)


@checked
def active() -> ActiveMaterial:
    """Return the crystal, nearly full at the start; free of strain when it is full."""
    emptiest = MAXIMUM * (1 - lattice()[0][-1] / CAPACITY)
    along_a = Curve(function=strain_a, slope=strain_a_slope, lower=emptiest, upper=MAXIMUM)
    along_c = Curve(function=strain_c, slope=strain_c_slope, lower=emptiest, upper=MAXIMUM)
    return ActiveMaterial(
        initial_concentration=0.97 * MAXIMUM,  # [mol/m3] assumed: what a discharge to 3 V leaves
        maximum_concentration=MAXIMUM,
        nominal_capacity=0.75 * MAXIMUM,  # [mol/m3] assumed: about what 4.3 V takes out
        stress_free_concentration=0.97 * MAXIMUM,  # [mol/m3] assumed: no strain before the charge
        # assumed, as in Yuan 2023 along the layers and across them; 4e-15 in all for Chen 2020
        diffusivity=(1e-14, 1e-14, 1e-20),
        drift_volume=1e-6,  # [m3/mol] assumed as for NCM111, Yuan 2023
        open_circuit_voltage=Curve(
            function=open_circuit_voltage,
            slope=open_circuit_voltage_slope,
            lower=0.05 * MAXIMUM,  # [mol/m3] assumed: below, along the tangent
            upper=MAXIMUM,
        ),
        expansion=(along_a, along_a, along_c),
        elasticity=Elasticity(
            young_modulus=140e9,  # [Pa] assumed as NCM523 (Xu 2017)
            poisson_ratio=0.3,  # [-] assumed, 0.25 to 0.3
        ),
    )


@checked
def materials() -> Materials:
    """Return a complete set: this crystal in the place of NCM111 in that of Yuan 2023."""
    return replace(yuan2023.materials(), active=active())
