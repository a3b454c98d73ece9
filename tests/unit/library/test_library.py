"""The cited values.

If these fail, results are labelled with a paper whose numbers were not used. The two tests worth
reading: `test_every_number_carries_its_source` and `test_one_c_moves_all_the_lithium_in_an_hour`.
"""

from __future__ import annotations

import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from femssb import library
from femssb.cell.kinetics import contact_resistance, exchange_current
from femssb.errors import InputError
from femssb.inputs.beads import ForceField
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Conductor, Materials, Solid
from femssb.units import FARADAY, GAS_CONSTANT, MPa, hour, mV, nm, um

MATERIALS = library.yuan2023.materials()
ACTIVE = MATERIALS.active
INITIAL = ACTIVE.initial_concentration
READERS = {"pybamm_sets.py"}  # of values of others: their numbers are those of arithmetic
FILES = sorted(
    path for path in Path(library.__file__).parent.glob("*.py") if path.name not in READERS
)
SOURCE = re.compile(
    r"\b(paper|assumed|derived|calibrated|from memory|About:Energy|[A-Z][\w']+ 20\d\d)\b"
)


def unsourced_lines(text: str) -> list[int]:
    """Return the lines of code that hold a material value without a comment that says its source.

    The comment ends the line or is the line above. Whole numbers up to 3 are the arithmetic of
    formulas: a value is written as a float.
    """
    values, sourced = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.NUMBER and token.string not in "0123":
            values.add(line)
        if token.type == tokenize.COMMENT and SOURCE.search(token.string):
            sourced.add(line if token.line[: token.start[1]].strip() else line + 1)
    return sorted(values - sourced)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_number_carries_its_source(path):
    """Catches a value added or changed without saying where it comes from."""
    assert unsourced_lines(path.read_text(encoding="utf-8")) == []


def test_a_number_without_source_is_found():
    """Catches a source check that passes whatever it reads."""
    text = "a = 47095.0  # paper 3.1\nb = 1 - 2 * a\nc = 8e-4\nd = 5.0  # 20 nm, no idea\n"
    assert unsourced_lines(text) == [3, 4]
    assert unsourced_lines("# assumed\na = 5.0\nb = 6.0\n") == [3]


# --- Yuan 2023 --------------------------------------------------------------------------------


def test_one_c_moves_all_the_lithium_in_an_hour():
    """Catches a wrong concentration: 24.659e-12 mol in the sphere, 2.95 A/m2 over 15 x 15 um."""
    volume = 4 / 3 * math.pi * (5 * um) ** 3
    lithium = INITIAL * volume
    assert lithium == pytest.approx(24.659e-12, rel=1e-4)
    assert lithium * FARADAY / hour / (15 * um) ** 2 == pytest.approx(2.95, rel=0.01)


def test_open_circuit_voltage_meets_the_cut_offs_of_the_paper():
    """Catches a wrong coefficient: 4.3 V at 6 % of the initial lithium, 3.0 V at all of it."""
    share = np.array([0.06, 0.13, 0.26, 0.39, 0.52, 0.65, 0.78, 0.91, 1.0, 1.04])
    voltage = ACTIVE.open_circuit_voltage.value(share * INITIAL)
    expected = [4.300, 4.190, 4.011, 3.874, 3.789, 3.745, 3.708, 3.635, 3.000, 2.778]
    assert voltage == pytest.approx(expected, abs=0.6 * mV)


def test_open_circuit_voltage_falls_everywhere():
    """Catches a bump: a voltage that rises with lithium would separate phases."""
    share = np.linspace(-0.02, 1.06, 2000)
    slope = ACTIVE.open_circuit_voltage.derivative(share * INITIAL) * INITIAL
    assert np.all(slope < -0.25)
    assert ACTIVE.open_circuit_voltage.value(np.zeros(1)) > 4.44  # the barrier near empty


def test_slopes_of_the_curves_are_exact():
    """Catches a slope off by a part in a thousand, which the check of `Curve` lets through."""
    points = np.linspace(0.002, 1.045, 400) * INITIAL
    step = 1e-3
    for curve in (ACTIVE.open_circuit_voltage, ACTIVE.expansion):
        difference = (curve.value(points + step) - curve.value(points - step)) / (2 * step)
        assert curve.derivative(points) == pytest.approx(difference, rel=1e-5, abs=1e-11)


def test_chemical_strain_is_zero_at_the_start_and_level_when_charged():
    """Catches a strain that is not relative to the initial state, or a kink at the plateau."""
    start, plateau, empty = ACTIVE.expansion.value(np.array([1.0, 0.19, 0.0]) * INITIAL)
    assert start == 0.0
    assert plateau == pytest.approx(-0.0122)
    assert empty == pytest.approx(-0.0122)
    slope = ACTIVE.expansion.derivative(np.array([0.1899, 0.1901, 0.9999, 1.0001]) * INITIAL)
    assert slope[0] == pytest.approx(0.0, abs=1e-18)
    assert slope[1] == pytest.approx(0.0, abs=1e-9)
    assert slope[2] == pytest.approx(slope[3], rel=1e-2)
    assert np.all(np.diff(ACTIVE.expansion.value(np.linspace(0.19, 1, 99) * INITIAL)) > 0)


def test_volume_of_a_charged_unit_cell_is_the_measured_one():
    """Catches a sign in the expansion ratio: trace 1, -1.2 % by volume (Kondrakov 2017)."""
    strain = ACTIVE.expansion.value(np.array([0.06 * INITIAL]))[0]
    assert strain * sum(ACTIVE.expansion_ratio) == pytest.approx(-0.012, abs=5e-4)


def test_polarisation_at_1c_is_what_the_paper_allows():
    """Catches slow kinetics or a large contact resistance: 15 mV at most over both."""
    surface_current = 0.66375e-9 / (4 * math.pi * (5 * um) ** 2)
    assert surface_current == pytest.approx(2.11, rel=2e-3)
    half = np.array([ACTIVE.maximum_concentration / 2])
    exchange = exchange_current(MATERIALS.kinetics, ACTIVE, half)[0][0]
    assert exchange == pytest.approx(10.0, rel=0.01)
    thermal = GAS_CONSTANT * MATERIALS.temperature / FARADAY
    assert 2 * thermal * np.arcsinh(surface_current / 2 / exchange) < 6 * mV
    drops = surface_current * contact_resistance(
        MATERIALS.resistance, np.array([0.0, 14.3, 19.9]) * nm
    )
    assert drops == pytest.approx([1.7 * mV, 7.1 * mV, 12.4 * mV], abs=0.06 * mV)


def test_every_strength_of_the_paper_fails_at_20_nm():
    """Catches a fracture energy that does not go with its strength ("the same displacement")."""
    for strength, energy in ((50, 0.5), (100, 1.0), (200, 2.0), (500, 5.0)):
        law = replace(
            MATERIALS.cohesive,
            normal_strength=strength * MPa,
            shear_strength=strength * MPa,
            normal_fracture_energy=energy,
            shear_fracture_energy=energy,
        )
        assert 2 * law.normal_fracture_energy / law.normal_strength == pytest.approx(20 * nm)
    assert MATERIALS.cohesive.normal_strength == 100 * MPa


def test_the_viscosity_is_small_at_ordinary_rates():
    """Catches a regularisation that carries load: 55 nm in 900 s, the fast opening of the paper."""
    assert MATERIALS.cohesive.viscosity * 55 * nm / 900 < 1 * MPa


def test_the_heterogeneity_cases_are_replacements():
    """Catches a description that no longer lets a study change one thing, as the docstring says."""
    case = {
        ratio: replace(
            MATERIALS,
            active=replace(
                ACTIVE, diffusivity=(1e-14, 1e-14, 1e-14), expansion_ratio=(1.0, 1.0, ratio)
            ),
        )
        for ratio in (-1.0, -0.5, 0.0)
    }
    assert ACTIVE.diffusivity == (1e-14, 1e-14, 1e-20)
    assert ACTIVE.expansion_ratio == (1.0, 1.0, -1.0)
    assert case[-0.5].active.expansion_ratio[2] == -0.5
    assert case[0.0].active.expansion is ACTIVE.expansion


def test_another_electrolyte_carbon_domain_can_be_given():
    """Catches an argument that is accepted and ignored, and one set of values that shuts it out."""
    yuan2023 = library.yuan2023
    ecbd = Conductor(
        ionic_conductivity=2e-3,
        electronic_conductivity=3.0,
        elasticity=Elasticity(young_modulus=12e9, poisson_ratio=0.3),
    )
    assert yuan2023.materials(ecbd=ecbd) == replace(MATERIALS, ecbd=ecbd)
    assert MATERIALS.ecbd.elasticity.young_modulus == 25e9
    both = yuan2023.materials(values=yuan2023.CALIBRATED, ecbd=ecbd)
    assert both.ecbd is ecbd
    assert both.resistance.closed == yuan2023.CALIBRATED.resistance


def test_calibrated_values_reach_every_place_they_belong_to():
    """Catches a calibrated value that is left out of the set, or the set of the wrong paper."""
    values = library.yuan2023.CALIBRATED
    calibrated = library.yuan2023.materials(values=values)
    assert calibrated.ecbd.elasticity.young_modulus == values.ecbd_modulus == 14.64e9
    assert calibrated.resistance.closed == values.resistance == 4.96e-4
    assert calibrated.resistance.decay_length == values.decay_length == 9.87e-9
    assert calibrated.active.drift_volume == values.drift_volume == 2.52e-6
    assert calibrated.active.diffusivity == (values.diffusivity, values.diffusivity, 1e-20)
    assert calibrated.kinetics.rate_constant == values.rate_constant == 4.2e-9
    empty = calibrated.active.expansion.value(np.zeros(1))
    assert empty == pytest.approx(-values.strain)
    assert values.strain == 0.010246
    assert calibrated.cohesive.stiffness == values.cohesive_stiffness == 2.957e18


def test_the_early_strain_sets_in_over_its_onset():
    """Catches a slope that is not that of the strain, and an onset that moves the other end."""
    at_once, later = (
        replace(library.yuan2023.CALIBRATED, strain_onset=onset) for onset in (0.0, 0.07)
    )
    points = np.linspace(0.1, 0.999, 200) * INITIAL
    difference = later.chemical_strain(points + 0.1) - later.chemical_strain(points - 0.1)
    assert later.chemical_strain_slope(points) == pytest.approx(difference / 0.2, rel=1e-6)
    full, nearly, plateau = np.array([1.0, 0.995, later.plateau]) * INITIAL
    assert later.chemical_strain(full) == later.chemical_strain_slope(full) == 0
    assert at_once.chemical_strain_slope(full) > 0
    assert later.chemical_strain(nearly) > 0.2 * at_once.chemical_strain(nearly)
    assert later.chemical_strain(plateau) == pytest.approx(at_once.chemical_strain(plateau))


@pytest.mark.parametrize("name", [field.name for field in fields(library.yuan2023.Open)])
def test_an_open_value_must_be_positive(name):
    """Catches a calibration that wanders below zero; the early strain may set in at once, at 0."""
    for wrong in (*([] if name == "strain_onset" else [0.0]), -1e-9, math.inf, "1"):
        with pytest.raises(InputError, match=rf"Open\.{name}"):
            replace(library.yuan2023.CALIBRATED, **{name: wrong})


# --- single materials -------------------------------------------------------------------------


def test_the_names_of_the_library_are_values():
    """Catches a name in __all__ that is an empty module or nothing at all."""
    alabdali2023 = library.alabdali2023
    sets = {"alabdali2023": alabdali2023.H1}
    sets["suspension"] = library.suspension(alabdali2023.formulation())
    sets["ncm111_diffusivity_factor"] = library.ncm111_diffusivity_factor(49360.0)
    readers = {"read_bpx", "read_pybamm", "Cathode"}  # tests of their own
    assert readers < set(library.__all__)
    for name in set(library.__all__) - readers:
        entry = getattr(library, name)
        if name in sets:
            assert isinstance(sets[name], ForceField | Curve)
        else:
            assert isinstance(entry, Solid) or isinstance(entry.materials(), Materials)


def test_densities_and_full_concentrations_belong_to_one_unit_cell():
    """Catches a density in g/cm3 or a concentration of another host: c_max M = density."""
    molar_mass = {  # [kg/mol] LiMO2 from standard atomic weights
        library.NCM111: 96.46e-3,
        library.NCM523: 96.55e-3,
        library.NCM622: 96.93e-3,
        library.NCM811: 97.28e-3,
        library.LCO: 97.87e-3,
    }
    for solid, mass in molar_mass.items():
        assert solid.maximum_concentration * mass == pytest.approx(solid.density, rel=0.008)
    assert library.LITHIUM.density * library.LITHIUM.lithium_molar_volume == pytest.approx(
        6.94e-3, rel=1e-3
    )


def test_capacity_of_ncm811_in_common_units():
    """Catches mAh/g turned into C/kg the wrong way: 196 mAh/g, below the 275 of all the lithium."""
    assert library.NCM811.specific_capacity / hour == pytest.approx(196.0)
    whole = library.NCM811.maximum_concentration * FARADAY / library.NCM811.density
    assert library.NCM811.specific_capacity < whole


def test_the_library_and_the_paper_share_what_is_one_material():
    """Catches one material with two moduli."""
    assert MATERIALS.electrolyte.elasticity == library.LLZO.elasticity
    assert MATERIALS.electrolyte.ionic_conductivity == library.LLZO.ionic_conductivity
    assert ACTIVE.elasticity == library.NCM111.elasticity
    assert ACTIVE.maximum_concentration == library.NCM111.maximum_concentration


def test_diffusivity_of_ncm111_against_lithium():
    """Catches the two measured values at each other's lithium, and a factor no crystal takes."""
    factor = library.ncm111_diffusivity_factor(ACTIVE.maximum_concentration)
    at = np.array([0.25, 0.9]) * ACTIVE.maximum_concentration
    slowest = library.NCM111.diffusivity
    np.testing.assert_allclose(slowest * factor.value(at), [1.3e-14, 4.1e-14])
    crystal = replace(ACTIVE, diffusivity=(slowest,) * 3, diffusivity_factor=factor)
    assert crystal.diffusivities(at)[0].shape == (2, 3)
    with pytest.raises(InputError, match="Curve"):
        library.ncm111_diffusivity_factor(-1.0)


def test_descriptions_hold_plain_numbers():
    """Catches an array or a NumPy scalar in a description: it could change, and not be saved."""

    def leaves(value):
        if is_dataclass(value):
            for field in fields(value):
                yield from leaves(getattr(value, field.name))
        elif isinstance(value, tuple | Mapping):
            for item in value.values() if isinstance(value, Mapping) else value:
                yield from leaves(item)
        else:
            yield value

    for leaf in leaves(MATERIALS):
        assert type(leaf) in (int, float, str) or leaf is None or callable(leaf)
