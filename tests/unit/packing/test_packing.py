"""A packing refuses what no packing can be, so that what takes one need not ask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Contacts, Packing


@pytest.fixture
def packing() -> Packing:
    """Two spheres that touch each other, one of them also the floor."""
    return Packing(
        positions=[[0.5, 0.5, 0.09], [0.5, 0.5, 0.28]],
        radii=[0.1, 0.1],
        phases=[0, 1],
        phase_names=("AM", "SE"),
        lower=[0, 0, 0],
        upper=[1, 1, 1],
        stress=np.zeros((2, 3, 3)),
        contacts=Contacts(
            first=[0, 0],
            second=[1, -1],
            branches=[[0, 0, 0.19], [0, 0, -0.09]],
            forces=[[0, 0, -1.0], [0, 0, 1.0]],
        ),
    )


def test_contacts_with_planes_and_spheres(packing):
    """Would catch a plane counted as the last sphere, which row -1 also is."""
    np.testing.assert_array_equal(packing.contacts.between_spheres, [True, False])


def test_a_packing_is_told_in_a_line(packing):
    """Would catch a screen full of coordinates where a user looks at what was read."""
    assert repr(packing) == (
        "<Packing of 2 spheres: 1 AM, 1 SE; 1e+06 x 1e+06 x 1e+06 um, without periodic sides>"
    )
    joined = replace(packing, contacts=None, periodic=(True, True, False))
    assert repr(joined).endswith("um, periodic across xy>")


def test_arrays_cannot_be_written(packing):
    """Would catch a result that a user's script changes behind the back of what was written."""
    for array in (packing.positions, packing.stress, packing.contacts.forces):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stress": np.zeros((2, 6))}, r"Packing.stress has shape \(2, 6\)"),
        ({"stress": np.full((2, 3, 3), np.nan)}, "Packing.stress holds values"),
        ({"stress": "high"}, "Packing.stress must be numbers"),
        ({"contacts": [(0, 1)]}, "Packing.contacts must be Contacts"),
        ({"radii": [0.1, -0.1]}, "smallest, -0.1"),
        ({"phases": [0, 2]}, "goes from 0 to 2"),
        ({"ids": [4, 4]}, "number of its own"),
        ({"upper": [1, 0, 1]}, "not above lower"),
        ({"periodic": (True, False)}, "three values"),
        ({"periodic": ("False", "no", "0")}, "must be True or False for each"),
        ({"periodic": (0, 1, 1)}, "must be True or False for each"),
        ({"periodic": {True, False}}, "three values"),
        ({"periodic": "yes"}, "three values"),
        ({"periodic": None}, "three values"),
        ({"phase_names": {"AM", "SE"}}, "phase_names = .* must be a tuple of names"),
        ({"phase_names": {"AM": 1, "SE": 2}}, "must be a tuple of names"),
        ({"phase_names": "AB"}, "must be a tuple of names"),
        ({"phase_names": ("AM", "")}, "must be a tuple of names"),
        ({"phase_names": ("AM", "AM")}, "none twice"),
        ({"phase_names": ()}, "one name or more"),
        ({"phases": [0, 0.5]}, "phases must be whole numbers"),
        ({"phases": [0, 2**40]}, "phases must be whole numbers"),
        ({"phases": [True, False]}, "phases must be numbers"),
        ({"radii": ["0.1", "0.1"]}, "radii must be numbers"),
        ({"radii": {0.1, 0.2}}, "radii must be numbers in an array"),
        ({"radii": 0.1}, "radii must be numbers in an array"),
        ({"radii": [0.1, 0.1 + 1j]}, "radii must be numbers"),
        ({"radii": np.ma.masked_array([0.1, 0.1], mask=[0, 1])}, "masked"),
        ({"radii": [0.1, None]}, "radii must be numbers"),
        ({"radii": [0.1]}, r"positions has shape \(2, 3\), expected \(1, 3\)"),
        ({"radii": [0.1, 50.0]}, r"goes from 0\.1 to 50 m.*in metres\?"),
        ({"radii": [0.1, 1e-13]}, r"in metres\?"),
        ({"positions": [[0.5, 0.5], [0.5, 0.5]]}, r"positions has shape \(2, 2\)"),
        ({"positions": [[0.5, 0.5, 9e9]] * 2}, r"beyond 1000 m: in metres\?"),
        ({"lower": [0, 0, np.nan]}, "lower holds values that are not finite"),
        ({"upper": 1.0}, "upper must be numbers in an array"),
        ({"upper": [-1, -1, -1]}, "not above lower"),
        ({"ids": ["a", "b"]}, "ids must be numbers"),
        ({"origin": "a file"}, "origin = 'a file' must be a mapping"),
        ({"origin": {1: "a"}}, "must be a mapping with words"),
        ({"origin": {"a": {1, 2}}}, "origin must be plain data"),
        ({"periodic": (True, True, True)}, "contacts with planes, but all sides"),
    ],
)
def test_bad_packing(packing, change, message):
    """Would catch a field that is taken unchecked."""
    with pytest.raises(InputError, match=message):
        replace(packing, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": [1]}, "Contacts.second has shape"),
        ({"second": [1, -2]}, "from -1 on"),
        ({"forces": [[0, 0, np.inf]] * 2}, "Contacts.forces holds values"),
        ({"memory": np.zeros((3, 4))}, "Contacts.memory has shape"),
        ({"memory": "none"}, "Contacts.memory must be numbers"),
        ({"first": 0}, "Contacts.first must be numbers in an array"),
        ({"first": [0.5, 0]}, "Contacts.first must be whole numbers"),
        ({"second": {1, -1}}, "Contacts.second must be numbers in an array"),
        ({"branches": np.zeros((2, 3))}, "has the length 0"),
    ],
)
def test_bad_contacts(packing, change, message):
    """Would catch contacts whose columns do not belong together."""
    with pytest.raises(InputError, match=message):
        replace(packing.contacts, **change)


def test_contact_of_a_sphere_that_is_not_there(packing):
    """Would catch contacts that were made for another packing."""
    contacts = replace(packing.contacts, second=[2, -1])
    with pytest.raises(InputError, match="names sphere 2, but there are only 2"):
        replace(packing, contacts=contacts)


def test_packings_are_themselves(packing):
    """Would catch a comparison that raises, or two packings taken for one."""
    assert packing == packing
    assert packing != replace(packing, radii=[0.1, 0.2])
    assert len({packing, replace(packing)}) == 2


def test_whole_numbers_may_be_written_as_others(packing):
    """Would catch a refusal of zeros(n) for phases, which is not wrong."""
    np.testing.assert_array_equal(replace(packing, phases=np.zeros(2)).phases, [0, 0])
