"""If these fail, ``case.json`` does not say what was run."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from femssb import Charge, library
from femssb.inputs.case import describe, fingerprint


@dataclass(frozen=True)
class Described:
    """Something with every kind of value."""

    table: np.ndarray
    limit: float
    inner: object


def test_nothing_of_a_description_is_left_out() -> None:
    """Catches values that change the run but not the file."""
    given = Described(
        table=np.eye(2), limit=np.inf, inner=(Charge(c_rate=2, until_voltage=4.0), None)
    )
    assert describe(given) == {
        "class": "Described",
        "table": [[1.0, 0.0], [0.0, 1.0]],
        "limit": "inf",
        "inner": [
            {
                "class": "Charge",
                "fields": "both",
                "temperature": None,
                "until": [],
                "c_rate": 2,
                "current": None,
                "current_density": None,
                "power": None,
                "power_density": None,
                "until_voltage": 4.0,
                "until_duration": None,
                "until_capacity": None,
            },
            None,
        ],
    }


def test_materials_become_json_with_their_curves() -> None:
    """Catches functions, which JSON cannot hold, and curves of which only the address is kept."""
    materials = library.yuan2023.materials()
    plain = json.loads(json.dumps(describe(materials), allow_nan=False))
    curve = plain["active"]["open_circuit_voltage"]
    assert curve["function"].startswith("femssb.library.yuan2023.")
    at = np.array(curve["concentration [mol/m3]"])
    expected = materials.active.open_circuit_voltage.value(at)
    np.testing.assert_allclose(curve["value"], expected, rtol=1e-9)
    assert plain["active"]["maximum_concentration"] == materials.active.maximum_concentration


def test_mappings_get_names_that_json_can_hold() -> None:
    """Catches tags as keys, which JSON turns into text behind one's back."""
    assert describe({1: np.float64(2.0), "a": [np.nan]}) == {"1": 2.0, "a": ["nan"]}


@pytest.mark.parametrize("value", ["text", 3, True, None])
def test_plain_values_stay_as_they_are(value: object) -> None:
    """Catches numbers turned into text."""
    assert describe(value) is value


def test_fingerprint_of_arrays() -> None:
    """Catches arrays that are left out, or of which only the values count, not shape and kind."""
    given = Described(table=np.eye(2), limit=1.0, inner=None)
    others = [np.eye(2) + 1e-16, np.eye(2).reshape(4), np.eye(2, dtype=np.float32)]
    words = {fingerprint(given)} | {fingerprint(replace(given, table=a)) for a in others}
    assert len(words) == 4
    assert fingerprint(replace(given, table=np.eye(2).T)) == fingerprint(given)
