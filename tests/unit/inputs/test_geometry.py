"""Shapes that cannot be: if one slipped through, a run would fail hours later or mean nothing.

Worth reading: `test_slip_of_units_is_named` and `test_given_grains_must_fit_the_particle`.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.inputs.geometry import Grain, HalfCell, Polycrystal
from femssb.units import nm, um

SMALL = Polycrystal(radius=2 * um, centre=(3 * um, 0.0, 5 * um))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("radius", 5.0),
        ("radius", 5e-12),
        ("radius", -5 * um),
        ("radius", float("nan")),
        ("radius", "5"),
        ("radius", None),
        ("grains", 0),
        ("grains", 201),
        ("grains", 5.5),
        ("grains", True),
        ("grains", ()),
        ("grains", ("grain",)),
        ("seed", -1),
        ("seed", 1.5),
        ("centre", (0.0, 0.0)),
        ("centre", 1.0),
        ("centre", (0.0, float("inf"), 0.0)),
        ("size_spread", -0.1),
        ("size_spread", 2.0),
    ],
)
def test_bad_polycrystal_is_refused_by_field(field: str, value: object) -> None:
    """Would catch a field that is not checked, or an error that does not say which it was."""
    with pytest.raises(InputError, match=rf"Polycrystal\.{field}"):
        Polycrystal(**{field: value})


@pytest.mark.parametrize("field", ["width", "cathode", "separator"])
@pytest.mark.parametrize("value", [15.0, 15e-12, -15 * um, 0.0, "15 um"])
def test_slip_of_units_is_named(field: str, value: object) -> None:
    """Would catch lengths in um or a negative thickness taken for metres."""
    with pytest.raises(InputError, match=rf"HalfCell\.{field}.* m"):
        HalfCell(**{field: value})


def test_message_holds_value_bound_and_unit() -> None:
    """Would catch a message that leaves the user to guess what is allowed."""
    with pytest.raises(InputError, match=r"radius = 5 m is outside \[1e-08, 0.001\] m"):
        Polycrystal(radius=5.0)


@pytest.mark.parametrize(
    ("centre", "face"),
    [
        ((3 * um, 0.0, 7.5 * um), "x_max"),
        ((-9 * um, 0.0, 7.5 * um), "x_min"),
        ((0.0, 2.5 * um, 7.5 * um), "y_max"),
        ((0.0, -2.5 * um, 7.5 * um), "y_min"),
        ((0.0, 0.0, 5.0 * um), "the collector"),
        ((0.0, 0.0, 10.05 * um), "the separator"),
    ],
)
def test_particle_outside_or_touching_is_refused(
    centre: tuple[float, float, float], face: str
) -> None:
    """Would catch a particle that sticks out of the cathode, or touches a face of it."""
    with pytest.raises(InputError, match=rf"particles\[0\].*{face}.*must leave at least"):
        HalfCell(particles=(Polycrystal(centre=centre),))


def test_overlapping_particles_are_refused() -> None:
    """Would catch particles that overlap or touch: their surfaces would cross."""
    other = replace(SMALL, centre=(-0.9 * um, 0.0, 5 * um))
    with pytest.raises(InputError, match=r"particles\[0\] and \[1\] overlap"):
        HalfCell(particles=(SMALL, other))
    with pytest.raises(InputError, match=r"more than 4\.04e-06 m apart"):
        HalfCell(particles=(SMALL, replace(SMALL, centre=(-1.0 * um, 0.0, 5 * um))))
    HalfCell(particles=(SMALL, replace(SMALL, centre=(-1.1 * um, 0.0, 5 * um))))


@pytest.mark.parametrize("particles", [(), "particle", (1,), Polycrystal()])
def test_particles_must_be_polycrystals(particles: object) -> None:
    """Would catch a half-cell without particles, or with things that are none."""
    with pytest.raises(InputError, match=r"HalfCell\.particles"):
        HalfCell(particles=particles)  # type: ignore[arg-type]


def test_list_of_particles_is_kept_as_tuple() -> None:
    """Would catch a description that stays mutable and cannot be hashed."""
    cell = HalfCell(particles=[SMALL])  # type: ignore[arg-type]
    assert cell.particles == (SMALL,)
    assert hash(cell) == hash(HalfCell(particles=(SMALL,)))
    assert asdict(cell)["particles"][0]["radius"] == SMALL.radius


def test_default_centre_is_the_middle_of_the_cathode() -> None:
    """Would catch a particle centred in the whole box instead of the cathode layer."""
    cell = HalfCell(cathode=20 * um, separator=4 * um)
    assert cell.centre(0) == (0.0, 0.0, 10 * um)
    assert HalfCell(particles=(SMALL,)).centre(0) == SMALL.centre


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"point": (0.0, 0.0)}, "point"),
        ({"point": (0.0, 0.0, float("nan"))}, "point"),
        ({"weight": float("inf")}, "weight"),
        ({"orientation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))}, r"Grain\.orientation must hold 3"),
        ({"orientation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))}, "determinant"),
        ({"orientation": ((2.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "no rotation"),
        ({"orientation": ((1.0, 0.1, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "no rotation"),
    ],
)
def test_bad_grain_is_refused(fields: dict[str, object], message: str) -> None:
    """Would catch a mirrored or stretched orientation, which would change volumes and stiffness."""
    with pytest.raises(InputError, match=message):
        Grain(**{"point": (0.0, 0.0, 0.0), **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_given_grains_must_fit_the_particle(scale: float) -> None:
    """Would catch sites in another unit: one grain would own all, or cells be slivers."""
    points = scale * um * np.random.default_rng(1).normal(size=(5, 3))
    grains = tuple(Grain(point=tuple(point)) for point in points.tolist())
    with pytest.raises(InputError, match=r"Polycrystal\.grains"):
        Polycrystal(radius=5 * um, grains=grains)


def test_number_of_given_grains() -> None:
    """Would catch a count that ignores given grains."""
    assert Polycrystal(grains=7).number_of_grains == 7
    assert Polycrystal(grains=(Grain(point=(0.0, 0.0, 0.0)),)).number_of_grains == 1


def test_cell_of_nanometres_is_refused() -> None:
    """Would catch lengths in um that were multiplied by nm: every field is within its bounds."""
    particle = Polycrystal(radius=40 * nm)
    with pytest.raises(InputError, match=r"HalfCell: width = 1e-07 m.*1.2e-07 m, outside \[2e-07"):
        HalfCell(width=100 * nm, cathode=100 * nm, separator=20 * nm, particles=(particle,))


def test_grains_that_end_in_the_particle_are_refused() -> None:
    """Would catch a particle that is larger than the tessellation it is cut from."""
    grain = Grain(point=(0.0, 0.0, 0.0), reach=3 * um)
    assert Polycrystal(radius=3 * um, grains=(grain,)).number_of_grains == 1
    with pytest.raises(InputError, match=r"radius = 4e-06 m is outside \(0, 3e-06\] m"):
        Polycrystal(radius=4 * um, grains=(grain,))
