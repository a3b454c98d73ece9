"""If these fail, a picture of a packing shows the wrong sphere, colour, place or stress.

Worth reading: `test_spheres_are_where_they_are` and `test_profiles_show_the_mean_of_each_phase`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from femssb.errors import InputError
from femssb.packing import Contacts, Packing
from femssb.plotting import packings, profiles, rendering
from femssb.units import MPa, um

needs_opengl = pytest.mark.skipif(not rendering.can_render(), reason="no OpenGL on this machine")


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Render small pictures: what is tested does not depend on their size."""
    monkeypatch.setattr(packings, "PIXELS", 200)
    monkeypatch.setattr(packings, "FRAME_DOTS", 50)


def two_layers() -> Packing:
    """Return 4 x 4 AM spheres below and SE spheres above; the stress of AM rises along x."""
    grid = np.array([(x, y) for x in range(4) for y in range(4)]) * 2.0 + 1
    centres = np.vstack([np.insert(grid, 2, z, axis=1) for z in (1.0, 3.0)])
    stress = np.zeros((32, 3, 3))
    stress[:16, 2, 2] = -100 * MPa * grid[:, 0]
    stress[16:, 2, 2] = -50 * MPa
    stress[:, 0, 0] = -10 * MPa
    return Packing(
        positions=centres * um,
        radii=np.full(32, 1.0) * um,
        phases=[0] * 16 + [1] * 16,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.array([8, 8, 4]) * um,
        periodic=(True, True, False),
        stress=stress,
        contacts=Contacts(
            first=[0, 0, 1],
            second=[16, 1, -1],
            branches=np.array([[0, 0, 2.0], [0, 2.0, 0], [0, 0, -1.0]]) * um,
            forces=np.array([[0, 0, -3e-3], [0, -1e-3, 0], [0, 0, 9e-3]]),
        ),
    )


def test_spheres_are_where_they_are():
    """Catches centres that are not moved into the box, wrong radii, and normals that point in."""
    packing = two_layers()
    moved = replace(packing, positions=packing.positions + np.array([8, -16, 0]) * um)
    ball = packings._spheres(moved, moved.ids == 5)
    centre = packing.positions[5] / um
    away = np.asarray(ball.points) - centre
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(ball.active_normals, away, atol=1e-6)


@needs_opengl
def test_phases_have_the_colours_of_the_legend():
    """Catches phases exchanged: below AM is seen, above SE, each in its own colour."""
    figure = packings.by_phase({"pressed": two_layers()})
    (axes,) = figure.axes
    pixels = np.asarray(axes.images[0].get_array()) / 255
    row, column = np.nonzero(pixels.max(axis=2) - pixels.min(axis=2) > 0.2)
    hue = pixels[row, column] / pixels[row, column].max(axis=1, keepdims=True)
    height = {}
    for patch in figure.legends[0].get_patches():
        wanted = np.array(to_rgb(patch.get_facecolor()))
        own = np.abs(hue - wanted / wanted.max()).max(axis=1) < 0.2
        assert own.sum() > 0.2 * len(row)
        height[patch.get_label()] = -row[own].mean()
    assert height["AM"] < height["SE"]
    assert "8 \N{MULTIPLICATION SIGN} 8 \N{MULTIPLICATION SIGN} 4" in axes.get_title()


@needs_opengl
def test_stress_has_the_colour_of_its_size():
    """Catches the stress of another axis, a wrong sign, or values given to the wrong sphere."""
    figure = packings.by_stress({"pressed": two_layers()})
    x, y, z = (np.asarray(axes.images[0].get_array()) / 255.0 for axes in figure.axes[:3])
    yellow = [np.count_nonzero((p[..., 0] > 0.6) & (p[..., 2] < 0.3)) for p in (x, y, z)]
    assert yellow[0] == yellow[1] == 0 < yellow[2]  # only along z does anything reach the end
    *_, bar = figure.axes
    assert bar.get_ylim()[1] == pytest.approx(700, rel=0.1)


@needs_opengl
def test_tension_has_a_colour_of_its_own():
    """Catches spheres in tension drawn as if they bore nothing: a relaxed, sticky packing."""
    pressed = two_layers()
    pulled = replace(pressed, stress=-pressed.stress)
    assert packings._limits({"": pressed})[0] == 0.0
    low, high = packings._limits({"": pulled})
    assert low < -100 * MPa
    assert high >= 0.0


@needs_opengl
def test_a_distribution_holds_pictures_and_profiles(tmp_path):
    """Catches a figure that loses its lower or upper half, or cannot be saved."""
    packing = two_layers()
    figure = packings.stress_distribution({"pressed": packing, "relaxed": packing}, bins=4)
    assert sum(len(axes.images) for axes in figure.axes) == 6
    assert sum(len(axes.lines) for axes in figure.axes) == 24
    figure.savefig(tmp_path / "figure.png", dpi=40)


@needs_opengl
def test_chains_leave_out_weak_contacts_and_planes(monkeypatch):
    """Catches chains to planes, weak contacts drawn, or a threshold that nothing passes."""
    drawn = []
    monkeypatch.setattr(packings, "show", lambda axes, draw, view, layers: drawn.extend(layers))
    packings.chains(two_layers())
    _, (tubes, _) = drawn
    low, high = np.asarray(tubes.bounds).reshape(3, 2).T
    np.testing.assert_allclose((low + high) / 2, [1, 1, 2], atol=1e-3)  # from sphere 0 to 16
    with pytest.raises(InputError, match="above = 10"):
        packings.chains(two_layers(), above=10)


@needs_opengl
@pytest.mark.parametrize("by", ["phase", "z"])
def test_frames_of_a_movie_fit_together(by, tmp_path):
    """Catches frames of different size or view: the same packing must give the same pixels."""
    packing = two_layers()
    larger = replace(packing, upper=packing.upper * 1.2)
    written = packings.frames({"a": packing, "b": larger, "c": packing}, tmp_path / "new", by=by)
    assert [path.name for path in written] == [f"frame_{n:04d}.png" for n in range(3)]
    first, second, third = (np.array(Image.open(path)) for path in written)
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    title = len(first) // 6
    np.testing.assert_array_equal(first[title:], third[title:])


def test_profiles_show_the_mean_of_each_phase():
    """Catches phases, axes or the sign exchanged, and the stress of all instead of a phase."""
    figure = profiles.stress_profiles({"pressed": two_layers()}, bins=2)
    panels = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in panels[2].lines}
    np.testing.assert_allclose(lines["AM"], 400)
    np.testing.assert_allclose(lines["SE"], 50)
    lines = {line.get_label(): line.get_ydata() for line in panels[3].lines}
    np.testing.assert_allclose(lines["AM"], 10)


def test_a_map_shows_stress_where_it_is():
    """Catches x and y exchanged, or the map upside down: stress rises along x."""
    figure = profiles.heat_maps({"M1": {"pressed": two_layers()}}, bins=4)
    shown = np.asarray(figure.axes[0].images[0].get_array())  # rows are y
    assert np.all(np.diff(shown, axis=1) > 0)
    np.testing.assert_allclose(shown, np.tile(shown[0], (4, 1)))
    np.testing.assert_allclose(shown[0], [75, 175, 275, 375])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda packing: packings.by_phase({}), "no packing"),
        (lambda packing: profiles.stress_profiles({}), "1 to 4 packings"),
        (lambda packing: profiles.heat_maps({"M1": {}}), "equally many"),
        (lambda packing: profiles.heat_maps({"M1": {"a": packing}}, axis=3), "axis = 3"),
        (
            lambda packing: packings.frames({"a": packing}, "new", by="size"),
            "by must be one of",
        ),
        (lambda packing: packings.by_stress({"a": replace(packing, stress=None)}), "no stress"),
        (lambda packing: packings.chains(replace(packing, contacts=None)), "no contacts"),
    ],
)
def test_what_cannot_be_drawn_is_an_input_error(draw, message):
    """Catches a traceback from deep inside a plotting library."""
    with pytest.raises(InputError, match=message):
        draw(two_layers())
