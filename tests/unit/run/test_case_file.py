"""If these fail, a case in a file is not the run that it describes.

Worth reading: `test_the_case_of_a_run_runs_again`.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import femssb
from femssb import (
    Charge,
    Couplings,
    Curve,
    Discharge,
    Drive,
    Hold,
    InputError,
    LinearSolver,
    Pressure,
    Profile,
    Rest,
    Simulation,
    Solution,
    library,
)
from femssb import __main__ as cli
from femssb.cell.coupling import Tolerances
from femssb.run.stepping import FixedSteps
from tests.runs import tiny_model

TEMPLATE = Path(femssb.__file__).parent / "run" / "template.toml"
SMALL = {"size": 2.5e-6, "cell": {"width": 9e-6, "cathode": 9e-6, "separator": 3e-6,
         "particles": [{"radius": 3e-6, "grains": 3}]}}  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    """Return the file of a small case, with changes."""
    case = {
        "model": {"mesh": SMALL, "materials": {"library": "yuan2023"}},
        "protocol": ["Charge at 2C for 20 s"],
        "stepping": {"class": "FixedSteps", "sizes": [5.0]},
    } | changes
    path = folder / "case.json"
    path.write_text(json.dumps(case), encoding="utf-8")
    return path


def test_the_case_of_a_run_runs_again(tmp_path: Path) -> None:
    """Catches an input that the file leaves out, or that is read as another."""
    start = library.nmc811.materials()
    table = Curve.from_table([2e3, 2e4, 4e4, 49195.0], [4.4, 3.9, 3.7, 3.2])
    open_ = library.yuan2023.materials()
    active = replace(
        start.active,
        open_circuit_voltage=table,
        expansion=(open_.active.expansion, *start.active.expansion[1:]),  # a method of values
        diffusivity_factor=library.ncm111_diffusivity_factor(49195.0),  # partials
        drift_volume=None,
    )
    model = femssb.Model(
        tiny_model().data,
        replace(start, active=active, temperature=310.0),
        anode=Pressure(pressure=5e6),
        couplings=Couplings(debonding=False),
        linear_solver={"mechanics": LinearSolver(method="direct")},
    )
    protocol = [
        Charge(c_rate=2, until_duration=20.0),
        Drive(c_rate=Profile(times=(0.0, 4.0, 4.0, 9.0), values=(1.0, 0.5, -1.0, -1.0))),
    ]
    given = {"tolerances": Tolerances(current=1e-10), "stepping": FixedSteps(sizes=(2.0, 5.0))}
    first = Simulation(model, protocol, **given).run(tmp_path / "run", progress=False)
    again = Simulation.from_case(tmp_path / "run" / "case.json")
    assert again.protocol == tuple(protocol)
    second = again.run(progress=False)
    assert (
        json.loads(json.dumps(second.case, default=float)) == Solution.load(tmp_path / "run").case
    )
    for name in ("Time [s]", "Voltage [V]", "Mean gap [m]", "99 % von Mises stress [Pa]"):
        np.testing.assert_allclose(second.series[name], first.series[name], rtol=1e-10)


def test_what_is_given_by_name_runs_again(tmp_path: Path) -> None:
    """Catches a support, a coverage or a crack that the file leaves out or reads as another."""
    model = femssb.Model(
        tiny_model().data,
        library.yuan2023.materials(),
        supports={"x_min": femssb.Symmetric(), "x_max": femssb.Spring(normal=1e16)},
        coverage={"interface": half, "anode": 0.5},
        damage={"interface": 0.25},
    )
    given = {"stepping": FixedSteps(sizes=(5.0,))}
    first = Simulation(model, [Charge(c_rate=2, until_duration=10.0)], **given)
    first = first.run(tmp_path / "run", progress=False)
    case = tmp_path / "run" / "case.json"
    with pytest.raises(InputError, match=r"model\.coverage\.interface.*name its module"):
        Simulation.from_case(case)
    second = Simulation.from_case(case, modules=[__name__]).run(progress=False)
    for name in ("Voltage [V]", "Mean gap [m]", "99 % von Mises stress [Pa]"):
        np.testing.assert_allclose(second.series[name], first.series[name], rtol=1e-9)
    assert json.loads(json.dumps(second.case, default=float)) == json.loads(case.read_text())


def half(points: Any) -> Any:
    """Return 1 above the middle of the particle, and 0 below."""
    return (points[:, 2] > 4.5e-6).astype(float)


def test_the_template_is_a_case(tmp_path: Path) -> None:
    """Catches a template that no longer fits the package, and comments that lie."""
    file = tmp_path / "new" / "case.toml"
    assert cli.main(["new", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == TEMPLATE.read_text(encoding="utf-8")
    assert cli.main(["new", str(file)]) == 2  # it is there
    text = file.read_text(encoding="utf-8")
    for before, after in {
        "size = 0.5e-6": "size = 2.5e-6", "width = 15e-6": "width = 9e-6",
        "cathode = 15e-6": "cathode = 9e-6", "separator = 10e-6": "separator = 3e-6",
        "radius = 5e-6": "radius = 3e-6", "grains = 53": "grains = 3",
        '"Charge at 1C until 4.3 V"': '"Charge at 2C for 5 s"',
        '"Discharge at 1C until 3 V"': '"Rest for 1 s"',
        "figures = true": "figures = false",
        'folder = "results/case"': f'folder = "{tmp_path / "out"}"',
    }.items():  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    file.write_text(text, encoding="utf-8")
    assert cli.main(["run", str(file)]) == 0
    run = Solution.load(tmp_path / "out")
    assert run.series["Time [s]"][-1] == pytest.approx(6.0)
    expected = library.yuan2023.materials()
    made = Simulation.from_case(file)
    assert made.model.materials == expected  # the values that it replaces are those of the set
    assert set(tomllib.loads(text)) == {"protocol", "output", "model", "stepping", "tolerances"}


def test_values_replace_those_of_a_set(tmp_path: Path) -> None:
    """Catches an override that resets its neighbours, and a table that is looked for elsewhere."""
    (tmp_path / "ocp.csv").write_text("0,4.4\n0.5,3.8\n1,3.0\n", encoding="utf-8")
    materials = {
        "library": "yuan2023",
        "temperature": 320,
        "cohesive": {"normal_strength": 5e7, "normal_fracture_energy": "inf"},
        "active": {"open_circuit_voltage": {"table": "ocp.csv", "scale": 49360.0}},
        "ecbd": {"elasticity": {"young_modulus": 2e10}},
    }
    path = written(tmp_path, model={"mesh": SMALL, "materials": materials})
    found, base = Simulation.from_case(path).model.materials, library.yuan2023.materials()
    assert found.active == replace(
        base.active,
        open_circuit_voltage=Curve.from_table(tmp_path / "ocp.csv", scale=49360.0),
    )
    assert found.cohesive == replace(
        base.cohesive, normal_strength=5e7, normal_fracture_energy=np.inf
    )
    elasticity = replace(base.ecbd.elasticity, young_modulus=2e10)
    assert found.ecbd == replace(base.ecbd, elasticity=elasticity)
    assert (found.temperature, found.kinetics) == (320, base.kinetics)


def test_steps_of_a_case_are_steps(tmp_path: Path) -> None:
    """Catches a kind of step that cannot be written, and a cycle that is read once."""
    hold = {"class": "Hold", "voltage": 4.2, "until_duration": 5}
    cycle = {"class": "Cycle", "count": 2, "steps": ["Rest for 1 s", hold]}
    path = written(tmp_path, protocol=[cycle, {"class": "Discharge", "power": 1e-10,
                                               "until_voltage": 3.0}])  # fmt: skip
    rest, held = Rest(until_duration=1.0), Hold(voltage=4.2, until_duration=5)
    last = Discharge(power=1e-10, until_voltage=3.0)
    assert Simulation.from_case(path).protocol == (rest, held, rest, held, last)


def own(concentration: np.ndarray, top: float) -> np.ndarray:
    return top - 2e-5 * concentration


def own_slope(concentration: np.ndarray) -> np.ndarray:
    return 0 * concentration - 2e-5


def test_functions_of_others_are_not_called_unasked(tmp_path: Path) -> None:
    """Catches a file that runs whatever it names, and one that runs a function that has changed."""
    curve = Curve(function=partial(own, top=4.3), slope=own_slope, lower=0, upper=49360.0)
    from femssb.inputs.case import describe

    plain = describe(curve)
    modules = [plain["slope"].rpartition(".")[0]]
    materials = {"library": "yuan2023", "active": {"open_circuit_voltage": plain}}
    path = written(tmp_path, model={"mesh": SMALL, "materials": materials})
    with pytest.raises(InputError, match=r"own.* is of none of the modules \['femssb'\]"):
        Simulation.from_case(path)
    if modules[0] != __name__:
        pytest.skip("pytest gave this module another name")
    found = Simulation.from_case(path, modules=modules)
    assert found.model.materials.active.open_circuit_voltage.value(np.zeros(1)) == 4.3
    plain["function"]["keywords"]["top"] = 4.4
    with pytest.raises(InputError, match="the function has changed since"):
        Simulation.from_case(
            written(tmp_path, model={"mesh": SMALL, "materials": materials}), modules=modules
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "Rest for 1 s"}, "protocol must be a list"),
        ({"protocol": [{"class": "Charg"}]}, r"protocol\[0\].class = 'Charg' is none of"),
        ({"protocol": [{"class": "Charge", "crate": 1}]}, "Charge has no 'crate'"),
        ({"protocol": [{"class": "Charge", "c_rate": -1}]}, r"protocol\[0\]: Charge.c_rate = -1"),
        ({"protocol": ["Wait"]}, "is not understood"),
        ({"stepping": {"largest": -1}}, "stepping: Stepping.largest = -1"),
        ({"steping": {}}, "has no 'steping'"),
        ({"output": {"folder": 3}}, "output.folder = 3"),
        ({"output": {"fields": ["Gap [m]", "Gap"]}}, "output.fields has 'Gap'"),
        ({"model": 3}, "model must be a table"),
        ({"model": {"mesh": SMALL}}, "model.materials: Materials lacks active, ecbd"),
        ({"model": {"mesh": {"size": 1e-6}, "materials": {"library": "nmc811"}}},
         "model.mesh needs a cell, or"),
        ({"model": {"mesh": SMALL, "materials": {"library": "own"}}}, "'own' is none of"),
        ({"model": {"mesh": SMALL, "materials": {"library": "yuan2023", "cohesive": {"K": 1}}}},
         "model.materials.cohesive: CohesiveLaw has no 'K'"),
        ({"model": {"mesh": SMALL, "materials": {"library": "yuan2023"}, "cells": 7}},
         "that of the run which wrote the case had 7"),
        ({"model": {"mesh": SMALL, "materials": {"library": "yuan2023"}, "anode": {}}},
         "model.anode.class is missing"),
    ],
)  # fmt: skip
def test_what_is_no_case_is_refused_by_its_place(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Catches a slip in a file that is passed over, and a traceback."""
    with pytest.raises(InputError, match=message):
        Simulation.from_case(written(tmp_path, **changes))
