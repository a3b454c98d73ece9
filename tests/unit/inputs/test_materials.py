"""What the material descriptions accept.

If these fail, a modulus in MPa or a length in um runs for an hour before anyone sees that the
result means nothing. The two tests worth reading:
`test_a_value_a_million_times_off_is_refused_by_name` and
`test_an_interface_that_cannot_soften_is_refused_with_the_way_out`.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy.interpolate import CubicSpline, PchipInterpolator

from femssb import library
from femssb.cell.cohesion import cohesive_traction
from femssb.errors import InputError
from femssb.inputs.case import describe, fingerprint
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import CrystalElasticity, Elasticity
from femssb.inputs.interfaces import CohesiveLaw
from femssb.inputs.materials import Solid

MATERIALS = library.yuan2023.materials()
PARTS = {
    "active": MATERIALS.active,
    "active elasticity": MATERIALS.active.elasticity,
    "ecbd": MATERIALS.ecbd,
    "kinetics": MATERIALS.kinetics,
    "resistance": MATERIALS.resistance,
    "cohesive": MATERIALS.cohesive,
    "anode": MATERIALS.anode,
    "materials": MATERIALS,
    "solid": library.NCM811,
    "metal": library.LITHIUM,
    "sulfide": library.LI3PS4_GLASS,
}
# Zero is a legitimate limit of these: no value is too small to be meant.
TOO_LARGE_ONLY = {
    ("active", "drift_volume"),
    ("ecbd", "electronic_conductivity"),
    ("resistance", "closed"),
    ("cohesive", "viscosity"),
    ("metal", "electronic_conductivity"),
    ("sulfide", "ionic_conductivity"),
    ("metal", "lithium_molar_volume"),
}
SCALED = [
    (part, name, factor)
    for part, name in [
        ("active", "initial_concentration"),
        ("active", "maximum_concentration"),
        ("active", "drift_volume"),
        ("active elasticity", "young_modulus"),
        ("ecbd", "ionic_conductivity"),
        ("ecbd", "electronic_conductivity"),
        ("kinetics", "rate_constant"),
        ("resistance", "closed"),
        ("resistance", "decay_length"),
        ("cohesive", "normal_strength"),
        ("cohesive", "shear_strength"),
        ("cohesive", "normal_fracture_energy"),
        ("cohesive", "shear_fracture_energy"),
        ("cohesive", "stiffness"),
        ("cohesive", "viscosity"),
        ("anode", "exchange_current"),
        ("materials", "temperature"),
        ("solid", "density"),
        ("metal", "electronic_conductivity"),
        ("solid", "maximum_concentration"),
        ("solid", "exchange_current"),
        ("solid", "specific_capacity"),
        ("metal", "yield_strength"),
        ("metal", "lithium_molar_volume"),
        ("sulfide", "hardness"),
        ("sulfide", "fracture_toughness"),
        ("sulfide", "ionic_conductivity"),
    ]
    for factor in (1e6, 1e-6)
    if factor > 1 or (part, name) not in TOO_LARGE_ONLY
]


@pytest.mark.parametrize(("part", "name", "factor"), SCALED)
def test_a_value_a_million_times_off_is_refused_by_name(part, name, factor):
    """Catches bounds too wide to see a slip of units, or a field that is never checked."""
    wrong = getattr(PARTS[part], name) * factor
    with pytest.raises(InputError, match=name):
        replace(PARTS[part], **{name: wrong})


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_diffusivities_a_million_times_off_are_refused(factor):
    """Catches um2/s given as m2/s, although the slowest direction may be as slow as it likes."""
    wrong = tuple(factor * value for value in MATERIALS.active.diffusivity)
    with pytest.raises(InputError, match="diffusivity"):
        replace(MATERIALS.active, diffusivity=wrong)
    replace(MATERIALS.active, diffusivity=(1e-14, 0.0, 0.0))


def test_a_modulus_in_gigapascals_is_refused_with_value_unit_and_bounds():
    """Catches a message that does not say what to do: 140 instead of 140e9."""
    with pytest.raises(
        InputError, match=r"Elasticity\.young_modulus = 140 Pa .*\[1e\+06, 2e\+12\]"
    ):
        Elasticity(young_modulus=140, poisson_ratio=0.3)


@pytest.mark.parametrize("wrong", ["140e9", None, True, math.nan, math.inf, -1.0, 1 + 2j])
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("active elasticity", "young_modulus"),
        ("active", "initial_concentration"),
        ("kinetics", "anodic_transfer"),
        ("cohesive", "stiffness"),
        ("ecbd", "ionic_conductivity"),
        ("solid", "density"),
        ("materials", "temperature"),
    ],
)
def test_what_is_not_a_physical_number_is_refused(part, name, wrong):
    """Catches text, flags, NaN and infinity that would travel into the matrices."""
    with pytest.raises(InputError, match=name):
        replace(PARTS[part], **{name: wrong})


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("active", {"diffusivity": 1e-14}),
        ("active", {"diffusivity": (1e-14, 1e-14)}),
        ("active", {"expansion_ratio": (1.0, 1.0, math.nan)}),
        ("active", {"elasticity": 140e9}),
        ("active", {"open_circuit_voltage": 3.7}),
        ("ecbd", {"elasticity": CrystalElasticity(stiffness=np.eye(6) * 1e11)}),
        ("kinetics", {"anodic_transfer": 1.0}),
        ("cohesive", {"mixed_mode": "linear"}),
        ("cohesive", {"mixed_mode_exponent": 0.5}),
        ("materials", {"ecbd": library.LLZO}),
        ("materials", {"anode": MATERIALS.kinetics}),
        ("materials", {"temperature": 25.0}),
        ("solid", {"name": ""}),
        ("solid", {"elasticity": 140e9}),
    ],
)
def test_the_wrong_kind_is_refused_by_name(part, change):
    """Catches a mistake that would otherwise be an AttributeError deep in the assembly."""
    with pytest.raises(InputError, match=next(iter(change))):
        replace(PARTS[part], **change)


@pytest.mark.parametrize(
    ("field", "wrong", "bounds"),
    [
        ("initial_concentration", 49361.0, r"\[49.36, 49360\]"),
        ("initial_concentration", 40.0, r"\[49.36, 49360\]"),
        ("nominal_capacity", 49361.0, r"\[493.6, 49360\]"),
        ("nominal_capacity", 400.0, r"\[493.6, 49360\]"),
        ("nominal_capacity", 0.0, r"\[10, 200000\]"),
        ("nominal_capacity", math.nan, "nominal_capacity = nan"),
        ("nominal_capacity", "full", "nominal_capacity must be a number or None"),
        ("stress_free_concentration", 49361.0, r"\[0, 49360\]"),
        ("stress_free_concentration", -1.0, r"\[0, 200000\]"),
        ("maximum_concentration", 40000.0, r"initial_concentration = 47095 .*\[40, 40000\]"),
    ],
)
def test_no_state_lies_beyond_the_full_host(field, wrong, bounds):
    """Catches inputs that are fine alone and contradict each other."""
    with pytest.raises(InputError, match=bounds) as caught:
        replace(MATERIALS.active, **{field: wrong})
    assert "concentration" in str(caught.value) or "nominal_capacity" in str(caught.value)


def test_start_capacity_and_stress_free_state_are_three_inputs():
    """Catches a start that moves what 1C or the stress-free state means."""
    full = {"nominal_capacity": None, "stress_free_concentration": None}
    default = replace(MATERIALS.active, initial_concentration=30000.0, **full)
    assert default.capacity == default.stress_free == 49360.0
    own = replace(default, nominal_capacity=25000.0, stress_free_concentration=0.0)
    assert (own.capacity, own.stress_free) == (25000.0, 0.0)
    assert replace(own, initial_concentration=4e4).capacity == 25000.0
    bigger = replace(default, maximum_concentration=5e4)
    assert bigger.capacity == bigger.stress_free == 5e4


def test_the_chemical_strain_is_counted_from_the_stress_free_state():
    """Catches a strain from wherever the curve happens to vanish, or of the other sign."""
    curve = Curve(
        function=lambda c: 1e-7 * c + 3.0, slope=lambda c: 1e-7 + 0 * c, lower=0, upper=5e4
    )
    at = np.array([0.0, 1e4, 4e4])
    for free in (0.0, 1e4, 49360.0):
        active = replace(MATERIALS.active, expansion=curve, stress_free_concentration=free)
        assert active.chemical_strain(at)[0] == pytest.approx(1e-7 * (at - free), abs=1e-15)
        assert active.chemical_strain(np.array([free])) == 0.0
    with pytest.raises(InputError, match=r"expansion \(largest, along any axis\) = 4\.9"):
        replace(
            active,
            expansion=replace(curve, function=lambda c: 1e-4 * c, slope=lambda c: 1e-4 + 0 * c),
            stress_free_concentration=0.0,
        )


# --- curves -----------------------------------------------------------------------------------


def square(concentration):
    return 1e-9 * concentration**2


def test_a_curve_continues_along_its_tangents():
    """Catches a kink or a clip outside the range: a flat curve stops Newton there."""
    curve = Curve(function=square, slope=lambda c: 2e-9 * c, lower=1e4, upper=4e4)
    points = np.array([-5e3, 1e4, 2e4, 4e4, 6e4])
    value, slope = curve.value_and_derivative(points)
    assert value == pytest.approx([0.1 - 0.3, 0.1, 0.4, 1.6, 1.6 + 1.6])
    assert slope == pytest.approx([2e-5, 2e-5, 4e-5, 8e-5, 8e-5])
    assert curve.value(points) == pytest.approx(value)
    assert curve.derivative(points) == pytest.approx(slope)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": lambda c: 2.02e-9 * c}, "slope"),
        ({"slope": lambda c: -2e-9 * c}, "slope"),
        ({"slope": lambda _: 0.0}, "one value per point"),
        ({"function": lambda c: np.log(c - 2e4 + 1j).real * np.nan}, "finite"),
        ({"function": 3.7}, "function"),
        ({"function": lambda c: np.float32(1e-9) * c.astype(np.float32) ** 2}, "float32"),
        ({"function": lambda c: 1e-9 * c**2 + 0j}, "function must return real .* complex128"),
        ({"function": lambda c: c > 2e4}, "function must return real .* bool"),
        ({"function": lambda c: np.array(["1.5"] * c.size, dtype=object)}, "real numbers"),
        ({"function": lambda c: [1e-9 * x**2 for x in c[1:]]}, r"shape \(2001,\), got \(2000,\)"),
        ({"function": lambda c: 1e-9 * c[:, None] ** 2}, "one value per point"),
        ({"function": lambda c: math.sqrt(c)}, "function fails on an array .* TypeError"),
        ({"slope": lambda c: {}[c.size]}, "slope fails on an array .* KeyError"),
        ({"slope": lambda: 0.0}, "slope fails on an array .* TypeError"),
        ({"function": lambda c: 1e-9 * c**2 * c / c.max()}, "function gives a conc.* by itself"),
        ({"slope": lambda c: 2e-9 * np.sort(c)}, "slope gives a concentration .* by itself"),
        ({"function": lambda c: np.square(c, out=c) * 1e-9}, "function must not change the array"),
        ({"function": lambda c: np.where(c > 39_990, np.nan, 1e-9 * c**2)}, "nan at 40000 mol/m3"),
        ({"function": lambda c: 1e-9 * c**2 / (c > 1e4)}, "inf at 10000 mol/m3"),
        ({"function": lambda c: np.ma.masked_less(1e-9 * c**2, 0.2)}, "nan at 10000 mol/m3"),
        ({"lower": 4e4}, "lower"),
        ({"upper": 4e10}, "upper"),
    ],
)
def test_a_curve_whose_slope_is_not_its_own_is_refused(change, message):
    """Catches a typing error in a derivative, which shows only as a Newton that crawls."""
    good = {"function": square, "slope": lambda c: 2e-9 * c, "lower": 1e4, "upper": 4e4}
    with pytest.raises(InputError, match=message):
        Curve(**{**good, **change})


KNOTS = np.linspace(1e4, 4e4, 31)  # where a check may well hit them
HEIGHTS = np.sin(KNOTS / 3e3)


def broken(side):
    """Return the slope of the broken line through the knots, at a knot that of one side."""
    slopes = np.diff(HEIGHTS) / np.diff(KNOTS)
    return lambda c: slopes[np.clip(np.searchsorted(KNOTS, c, side) - 1, 0, slopes.size - 1)]


class Table:
    """An object that is called, and gives out its own memory."""

    def __init__(self, factor, power):
        self.factor, self.power, self.memory = factor, power, np.empty(0)

    def __call__(self, concentration):
        """Return the values, in the memory that the next call overwrites."""
        if self.memory.size != concentration.size:
            self.memory = np.empty(concentration.size)
        self.memory[:] = self.factor * concentration**self.power
        return self.memory


def callables():
    """Return function and slope of every kind that takes arrays, by name."""
    smooth, line = PchipInterpolator(KNOTS, HEIGHTS), Polynomial([1.0, -2e-9, 3e-14, 1e-19])
    mapped = Polynomial([0.1, 0.2, 0.3], domain=[1e4, 4e4])
    raised = np.frompyfunc(lambda c: 1e-9 * c * c, 1, 1)
    return {
        "interp, left": (partial(np.interp, xp=KNOTS, fp=HEIGHTS), broken("left")),
        "interp, right": (partial(np.interp, xp=KNOTS, fp=HEIGHTS), broken("right")),
        "pchip": (smooth, smooth.derivative()),
        "spline": (CubicSpline(KNOTS, HEIGHTS), CubicSpline(KNOTS, HEIGHTS).derivative()),
        "polynomial": (line, line.deriv()),
        "polynomial with a domain": (mapped, mapped.deriv()),
        "poly1d": (np.poly1d([1e-9, 0.0, 0.0]), np.poly1d([2e-9, 0.0])),
        "partial of a partial": (
            partial(partial(np.multiply), 2e-5),
            partial(np.full_like, fill_value=2e-5),
        ),
        "ufunc of Python": (raised, lambda c: 2e-9 * c),
        "whole numbers": (lambda c: np.full(c.size, 3), lambda c: np.zeros(c.size, int)),
        "object": (Table(1e-9, 2), Table(2e-9, 1)),
        "one memory": ((both := Table(1.0, 1)), lambda c: both(c) / c),
        "list": (lambda c: [1e-9 * x * x for x in c], lambda c: [2e-9 * x for x in c]),
        "log": (np.log, np.reciprocal),
        "steep log": (lambda c: np.log(c - 9999.9), lambda c: 1 / (c - 9999.9)),
    }


@pytest.mark.parametrize("name", callables())
def test_whatever_takes_arrays_is_a_curve(name):
    """Catches a kink taken for a wrong slope, and callables without the attributes of functions."""
    function, slope = callables()[name]
    curve = Curve(function=function, slope=slope, lower=1e4, upper=4e4)
    at = np.array([[1e4, 1.05e4], [2.2222e4, 4e4]])
    expected = np.array([float(np.asarray(function(np.array([c])))[0]) for c in at.ravel()])
    value, derivative = curve.value_and_derivative(at)
    np.testing.assert_allclose(value.ravel(), expected, rtol=1e-14)
    assert value.shape == derivative.shape == at.shape
    assert value.dtype == derivative.dtype == np.float64
    assert curve.value(np.empty(0)).shape == (0,)  # a rank without a point
    described = json.loads(json.dumps(describe(curve), allow_nan=False))
    assert described == describe(Curve(function=function, slope=slope, lower=1e4, upper=4e4))
    assert described["function"]
    assert fingerprint(curve) == fingerprint(replace(curve))


def test_a_table_makes_a_monotone_curve(tmp_path):
    """Catches points that are missed, overshoot between them, and an order that is not heeded."""
    filled = np.array([0.05, 0.2, 0.21, 0.8, 0.95, 1.0])
    voltage = np.array([4.4, 4.2, 3.8, 3.7, 3.5, 3.0])
    curve = Curve.from_table(filled, voltage, scale=4e4)
    assert (curve.lower, curve.upper) == (2e3, 4e4)
    assert curve.value(4e4 * filled) == pytest.approx(voltage, abs=1e-14)
    between = np.linspace(2e3, 4e4, 5001)
    assert np.all(curve.derivative(between) <= 0)
    assert np.all(np.diff(curve.value(between)) <= 0)
    assert Curve.from_table(4e4 * filled[::-1], voltage[::-1]) == curve
    path = tmp_path / "ocp.csv"
    texts = {", ": "x, U [V]\n", ";": "# measured\n", "\t": "", "  ": "c voltage\n"}
    for between_words, head in texts.items():
        rows = (f"{x}{between_words}{u}\n" for x, u in zip(filled, voltage, strict=True))
        path.write_text(head + "".join(rows), encoding="utf-8")
        assert Curve.from_table(path, scale=4e4) == curve
    path.write_text("x;U\n0,05;4,4\n1,0;3,0\n", encoding="utf-8")
    with pytest.raises(InputError, match="decimal commas"):
        Curve.from_table(path)
    described = describe(curve)
    assert described["function"]["values"] == voltage.tolist()


@pytest.mark.parametrize(
    ("table", "values", "message"),
    [
        ([1e3, 2e3, 2e3], [4.0, 3.8, 3.7], r"2000 mol/m3 follows 2000 mol/m3 in row 3"),
        ([1e3, 3e3, 2e3], [4.0, 3.8, 3.7], r"2000 mol/m3 follows 3000 mol/m3 in row 3"),
        ([1e3, 3e3], [4.0], "as many numbers, at least 2, got 2 and 1"),
        ([1e3, 3e3], [4.0, np.nan], r"values\[1\] = nan"),
        ([1e3, 3e5], [4.0, 3.0], r"concentrations\[1\] = 300000 mol/m3"),
        ([1e3, 2e3], None, "values is missing"),
        ("no.csv", None, "no such file"),
    ],
)
def test_points_that_make_no_curve_are_refused(table, values, message):
    """Catches a table with a fold, which no function goes through."""
    with pytest.raises(InputError, match=message):
        Curve.from_table(table, values)


def test_the_slope_of_a_formula_is_found():
    """Catches a step that is too long, and a function that forgets the imaginary part."""

    def formula(c):
        return 4 - 1e-5 * c + np.tanh(c / 1e4 - 2) + np.exp(-c / 3e3)

    curve = Curve.from_callable(formula, lower=1e3, upper=4e4)
    at = np.linspace(1e3, 4e4, 9)
    exact = -1e-5 + 1e-4 / np.cosh(at / 1e4 - 2) ** 2 - np.exp(-at / 3e3) / 3e3
    assert curve.derivative(at) == pytest.approx(exact, rel=1e-13)
    for function in (lambda c: np.abs(c), lambda c: np.interp(c, KNOTS, HEIGHTS)):
        with pytest.raises(InputError, match="takes no complex numbers"):
            Curve.from_callable(function, lower=1e4, upper=4e4)
    with pytest.raises(InputError, match=r"Curve\.slope = 0 "):
        Curve.from_callable(lambda c: c.real + 0 * c, lower=1e4, upper=4e4)


def test_a_curve_is_drawn():
    """Catches a figure without the points of the table, or elsewhere than on the axes given."""
    figure_module = pytest.importorskip("matplotlib.figure")
    curve = Curve.from_table([0.0, 2e4, 4e4], [4.2, 3.8, 3.0])
    figure = curve.plot(label="Voltage [V]")
    line, points = figure.axes[0].lines
    assert line.get_ydata()[[0, -1]] == pytest.approx([4.2, 3.0])
    assert points.get_xdata() == pytest.approx([0, 20, 40])
    axes = figure_module.Figure().add_subplot()
    assert curve.plot(axes) is axes.figure
    assert axes.lines


def test_curves_of_one_class_are_told_apart():
    """Catches a run that is resumed, or a result that is found again, with another table."""
    other = HEIGHTS.copy()
    other[17] += 1e-3
    words = set()
    for heights in (HEIGHTS, other):
        smooth = PchipInterpolator(KNOTS, heights)
        curve = Curve(function=smooth, slope=smooth.derivative(), lower=1e4, upper=4e4)
        words.add(fingerprint(curve))
    assert len(words) == 2
    narrow = np.exp(-(((np.linspace(1e4, 4e4, 3001) - 23_127) / 100) ** 2)) * 1e-2
    for bump in (0.0, 1.0):  # between the samples that are shown
        smooth = PchipInterpolator(np.linspace(1e4, 4e4, 3001), 2 + bump * narrow)
        curve = Curve(function=smooth, slope=smooth.derivative(), lower=1e4, upper=4e4)
        words.add(fingerprint(curve))
    assert len(words) == 4


@pytest.mark.parametrize(
    "slope",
    [
        lambda c: 1.002 * broken("left")(c),
        lambda c: np.interp(c, KNOTS, np.gradient(HEIGHTS, KNOTS)),
        lambda c: broken("left")(c) + 0.01 * (np.abs(c - 1e4) < 1),  # wrong at the end alone
        lambda c: broken("left")(c) + 0.01 * (np.abs(c - 4e4) < 1),
    ],
    ids=["scaled", "smoothed", "start", "end"],
)
def test_a_kink_hides_no_wrong_slope(slope):
    """Catches a check that lets everything pass because the line is broken."""
    with pytest.raises(InputError, match=r"Curve\.slope = "):
        Curve(function=partial(np.interp, xp=KNOTS, fp=HEIGHTS), slope=slope, lower=1e4, upper=4e4)


def test_a_function_that_fails_later_is_named_with_its_concentrations():
    """Catches a traceback of a user's table in the middle of a run."""

    class Late:
        fail = False

        def __call__(self, concentration):
            if self.fail:
                raise LookupError("no such row")
            return 1e-9 * concentration**2

    late = Late()
    curve = Curve(function=late, slope=lambda c: 2e-9 * c, lower=1e4, upper=4e4)
    late.fail = True
    with pytest.raises(InputError, match=r"Curve\.function fails .* 20000 to 20000 .* no such row"):
        curve.value(np.array([2e4]))


def test_a_constant_curve_is_allowed():
    """Catches a check that divides by the change of the function: no expansion is a limit."""
    flat = Curve(function=np.zeros_like, slope=np.zeros_like, lower=0, upper=4e4)
    active = replace(MATERIALS.active, expansion=flat)
    assert active.expansion.value(np.ones(2)) == pytest.approx(0)


# --- elasticity -------------------------------------------------------------------------------


def test_stiffness_gives_back_young_modulus_and_poisson_ratio():
    """Catches a factor of two in the shear rows, or lambda in the wrong place."""
    compliance = np.linalg.inv(
        Elasticity(young_modulus=140e9, poisson_ratio=0.3).stiffness_matrix()
    )
    strain = compliance @ np.array([1.0, 0, 0, 0, 0, 0])
    assert 1 / strain[0] == pytest.approx(140e9)
    assert -strain[1:3] / strain[0] == pytest.approx(0.3)
    assert 1 / compliance[3, 3] == pytest.approx(140e9 / 2.6)  # engineering shear
    first, shear = Elasticity(young_modulus=140e9, poisson_ratio=0.3).lame()
    assert shear == pytest.approx(140e9 / 2.6)
    assert first + 2 * shear / 3 == pytest.approx(140e9 / (3 * (1 - 2 * 0.3)))  # bulk modulus


def test_a_crystal_with_isotropic_constants_is_the_isotropic_material():
    """Catches two conventions of Voigt notation under one name."""
    isotropic = Elasticity(young_modulus=140e9, poisson_ratio=0.3).stiffness_matrix()
    crystal = CrystalElasticity(stiffness=isotropic)
    assert np.array_equal(crystal.stiffness_matrix(), isotropic)
    isotropic[0, 0] = 0.0  # the description must not change with the array it came from
    assert crystal.stiffness[0][0] > 1e11
    assert hash(crystal) == hash(replace(crystal))


def test_a_stiffness_that_is_no_stiffness_is_refused():
    """Catches a transposed table, a negative mode, and moduli in GPa."""
    good = Elasticity(young_modulus=140e9, poisson_ratio=0.3).stiffness_matrix()
    skew, soft = good.copy(), good.copy()
    skew[0, 1] *= 1.01
    soft[5, 5] = -1e9
    for wrong, message in (
        (skew, "symmetric"),
        (soft, "eigenvalue"),
        (good * 1e-9, "eigenvalue"),
        (good * 1e6, "eigenvalue"),
        (good[:5, :5], r"stiffness must hold 6 values, not 5"),
        (good[:, :5], r"stiffness\[0\] must hold 6 values, not 5"),
        (good * np.nan, r"stiffness\[0\]\[0\] = nan Pa"),
        ("stiff", r"6 tuples of 6 numbers \[Pa\], got 'stiff'"),
        (((1.0, 2.0), (1.0,)), "must hold 6 values, not 2"),
        (good.ravel(), "must hold 6 values, not 36"),
    ):
        with pytest.raises(InputError, match=message):
            CrystalElasticity(stiffness=wrong)


# --- cohesive law -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["normal", "shear"])
def test_an_interface_that_cannot_soften_is_refused_with_the_way_out(mode):
    """Catches K so small that the interface stores more than G at onset (traction would snap)."""
    other = {"normal": "shear", "shear": "normal"}[mode]
    law = replace(MATERIALS.cohesive, **{f"{other}_fracture_energy": 10.0})
    with pytest.raises(InputError, match=rf"{mode}_fracture_energy.*stiffness above 5e\+15 Pa/m"):
        replace(law, stiffness=4e15)
    replace(law, stiffness=5.01e15)  # what the message asks for is enough


def test_mixed_modes_must_soften_too():
    """Catches a mix between two sound pure modes where Benzeggagh-Kenane has not enough energy."""
    pure = {
        "normal_strength": 10e6,
        "shear_strength": 100e6,
        "normal_fracture_energy": 1.0,
        "shear_fracture_energy": 200.0,
        "stiffness": 5.1e13,
    }
    CohesiveLaw(**pure)
    with pytest.raises(InputError, match="stiffness") as caught:
        CohesiveLaw(**pure, mixed_mode="benzeggagh_kenane", mixed_mode_exponent=10.0)
    enough = float(str(caught.value).split("must exceed ")[1].split()[0])
    law = CohesiveLaw(
        **{**pure, "stiffness": 1.001 * enough},
        mixed_mode="benzeggagh_kenane",
        mixed_mode_exponent=10.0,
    )
    # and the law itself agrees: beyond onset every mix softens gradually
    angle = np.linspace(0, np.pi / 2, 91)
    unit = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(91)])
    level = np.hypot(unit[:, 0] / 10e6, unit[:, 1] / 100e6) * law.stiffness
    jump = unit / level[:, None] * (1 + 1e-7)
    damage = cohesive_traction(law, jump, np.zeros(91), np.zeros(91), jump, 1.0).damage
    assert np.all((damage > 0) & (damage < 1))


@pytest.mark.parametrize(
    "change",
    [
        {"normal_strength": math.inf},
        {"mixed_mode": "benzeggagh_kenane", "shear_fracture_energy": math.inf},
        {"stiffness": math.inf},
    ],
)
def test_half_infinite_interfaces_are_refused(change):
    """Catches infinities that cancel to NaN in the law."""
    with pytest.raises(InputError, match="CohesiveLaw"):
        replace(MATERIALS.cohesive, **change)


def test_a_solid_needs_no_more_than_a_name_and_a_density():
    """Catches an optional value that has become required, or None that is checked as a number."""
    assert Solid(name="wax", density=900.0).elasticity is None
    with pytest.raises(InputError, match="density"):
        Solid(name="wax", density=None)
