"""If these fail, a cathode from a BPX file is another one than the file describes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from femssb import InputError, library
from femssb.inputs.formula import Formula
from femssb.units import FARADAY, GAS_CONSTANT

FULL = 50000.0
OCP = "4.5 - 0.8 * x - 0.1*tanh(20 * (x - 0.9)) + exp(-(x / 0.1) ** 2) / 10"


def ocp(x: Any) -> Any:
    return 4.5 - 0.8 * x - 0.1 * np.tanh(20 * (x - 0.9)) + np.exp(-((x / 0.1) ** 2)) / 10


def written(folder: Path, **changes: Any) -> Path:
    """Return a file with a positive electrode; a change of None takes a key out."""
    electrode = {
        "Particle radius [m]": 4e-6,
        "Thickness [m]": 5e-5,
        "Diffusivity [m2.s-1]": {"x": [0.0, 0.5, 1.0], "y": [2e-14, 4e-14, 1e-14]},
        "Diffusivity activation energy [J.mol-1]": 15000,
        "OCP [V]": OCP,
        "Entropic change coefficient [V.K-1]": "-1e-4 * x",
        "Reaction rate constant [mol.m-2.s-1]": 2e-5,
        "Reaction rate constant activation energy [J.mol-1]": 35000,
        "Minimum stoichiometry": 0.3,
        "Maximum stoichiometry": 0.95,
        "Maximum concentration [mol.m-3]": FULL,
    } | changes
    document = {
        "Header": {"BPX": "1.0.0", "Title": "A cathode", "Model": "DFN"},
        "Parameterisation": {
            "Cell": {"Reference temperature [K]": 298.15},
            "Positive electrode": {k: v for k, v in electrode.items() if v is not None},
        },
    }
    path = folder / "cell.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_cathode_is_what_its_file_says(tmp_path: Path) -> None:
    """Catches a rate constant per mole, a table in stoichiometry, and a capacity of all lithium."""
    found = library.read_bpx(written(tmp_path))
    x = np.array([0.3, 0.5, 0.77, 0.95])
    assert found.open_circuit_voltage.value(x * FULL) == pytest.approx(ocp(x), rel=1e-12)
    assert found.diffusivity == pytest.approx(4e-14)
    factor = found.diffusivity_factor
    assert factor is not None
    assert factor.value(np.array([0.5 * FULL])) == pytest.approx(1.0)
    base = library.yuan2023.materials()
    materials = found.materials(base)
    assert materials.active.capacity == pytest.approx(0.65 * FULL)
    assert materials.active.initial_concentration == pytest.approx(0.95 * FULL)
    assert materials.cohesive == base.cohesive
    # i0 = F K sqrt(x (1 - x)) half full
    exchange = FARADAY * materials.kinetics.rate_constant * FULL / 2
    assert exchange == pytest.approx(FARADAY * 2e-5 / 2)
    assert {"active.expansion", "cohesive", "ecbd"} <= set(found.lacks)
    assert found.temperature == found.reference_temperature == 298.15


def test_a_warm_cathode_is_faster(tmp_path: Path) -> None:
    """Catches Arrhenius' law with the wrong sign, and an entropic term that is left out."""
    path = written(tmp_path)
    found = library.read_bpx(path, temperature=318.15)
    materials = found.materials(library.yuan2023.materials())
    assert (materials.temperature, materials.reference_temperature) == (318.15, 298.15)
    cold, warm = materials.at(298.15), materials.at(318.15)
    share = (1 / 298.15 - 1 / 318.15) / GAS_CONSTANT
    assert warm.active.diffusivity[0] / cold.active.diffusivity[0] == pytest.approx(
        np.exp(15000 * share)
    )
    assert warm.kinetics.rate_constant / cold.kinetics.rate_constant == pytest.approx(
        np.exp(35000 * share)
    )
    x = np.array([0.4, 0.9])
    voltages = [at.active.open_circuit_voltage.value(x * FULL) for at in (cold, warm)]
    assert voltages[1] - voltages[0] == pytest.approx(-2e-3 * x, abs=1e-9)
    assert not any("left out" in name for name in found.lacks)


def test_one_material_of_a_blend_is_chosen(tmp_path: Path) -> None:
    """Catches a blend that is taken for its first material."""
    path = written(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    electrode = document["Parameterisation"]["Positive electrode"]
    document["Parameterisation"]["Positive electrode"] = {
        "Particle": {"fine": electrode, "coarse": electrode | {"Particle radius [m]": 9e-6}}
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    assert library.read_bpx(path, particle="coarse").radius == 9e-6
    with pytest.raises(InputError, match=r"is a blend of \['fine', 'coarse'\]"):
        library.read_bpx(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"OCP [V]": None}, r"has no 'OCP \[V\]'"),
        ({"OCP [V]": "__import__('os').system('true')"}, "is no formula of x"),
        ({"OCP [V]": "x.real"}, "is no formula of x"),
        ({"OCP [V]": "4 +"}, "is no formula of x"),
        ({"OCP [V]": "log(x - 0.5)"}, "finite"),
        ({"OCP [V]": {"x": [0.0, 1.0]}}, "KeyError"),
        ({"Minimum stoichiometry": 0.99}, "are no range"),
        ({"Diffusivity [m2.s-1]": -1e-14}, "Diffusivity"),
        ({"Maximum concentration [mol.m-3]": "much"}, "must be a number"),
    ],
)
def test_what_is_no_cathode_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Catches code in a file that is run, and a slip that shows only as a strange voltage."""
    with pytest.raises(InputError, match=message):
        library.read_bpx(written(tmp_path, **changes))
    with pytest.raises(InputError, match="'fine': cell"):
        library.read_bpx(written(tmp_path), particle="fine")


def test_formulas_follow_the_rules_of_arithmetic() -> None:
    """Catches powers from the left, and a minus that binds more than a power."""
    x = np.array([0.2, 0.7])
    for text, value in {
        "-x ** 2": -(x**2), "2 ** 3 ** x": 2 ** (3**x), "1 - x - x": 1 - x - x, "7": 7 + 0 * x,
        "sqrt(x) * +1e-2 / (1 + x)": np.sqrt(x) * 1e-2 / (1 + x),
    }.items():  # fmt: skip
        assert Formula(text=text, maximum=1e4)(x * 1e4) == pytest.approx(value, rel=1e-14)
    assert replace(Formula(text="x", maximum=1e4), text="2 * x")(np.array([1e4])) == 2.0
