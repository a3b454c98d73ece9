"""If these fail, a figure shows the wrong place, colour or unit, or there is none at all.

Worth reading: `test_a_place_in_the_scene_is_that_place_in_the_picture` and
`test_colours_of_a_section_are_those_of_the_colour_bar`.
"""

from __future__ import annotations

import logging

import matplotlib as mpl
import numpy as np
import pytest
import pyvista as pv
from PIL import Image

from femssb import pictures, plotting, rendering
from femssb.errors import InputError
from femssb.rendering import View
from femssb.snapshot import FieldData
from femssb.solution import Snapshots
from femssb.units import GPa, nm, pmol, um

CURVES = ["voltage_and_gap.png", "lithium.png", "stress_and_strain.png"]
VIEWS = {
    "x-y": View(focus=(1, 2, 3), towards=(0, 0, 1), up=(0, 1, 0), half_height=5.0),
    "z-y": View(focus=(1, 2, 3), towards=(-2, 0, 0), up=(0, 3, 0), half_height=5.0),
    "oblique": View(
        focus=(1, 2, 3), towards=(-1, 0.8, -0.6), up=(0, 1, 0), half_height=5.0, aspect=2
    ),
}
needs_opengl = pytest.mark.skipif(not rendering.can_render(), reason="no OpenGL on this machine")


@pytest.fixture
def small_pictures(monkeypatch):
    """Render small pictures: what is tested does not depend on their size."""
    monkeypatch.setattr(pictures, "PIXELS", 80)


def two_tetrahedra(**fields) -> FieldData:
    """Return two tetrahedra that share a face; the second is twice as tall."""
    return FieldData(
        points=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -2]]) * um,
        cells=np.array([[0, 1, 2, 3], [0, 2, 1, 4]]),
        point_data={},
        cell_data=fields,
    )


@needs_opengl
def test_a_cycle_is_drawn_without_a_display(made_up_run, tmp_path, small_pictures, capfd):
    """Catches a figure that is missing, empty, or drawn with complaints of VTK on the terminal."""
    written = plotting.cycle(made_up_run(), tmp_path / "new")
    names = [*CURVES, "sections.png", "cell.png", "gap.png"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) > 400
            assert min(picture.info["dpi"]) > 150
            assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 100
    assert capfd.readouterr() == ("", "")


@needs_opengl
def test_fields_can_be_drawn_from_a_folder(made_up_run, tmp_path, small_pictures):
    """Catches a redraw of an old run that needs more than its files; charge only, two particles."""
    run = made_up_run(charge_only=True, particles=2)
    run.save(tmp_path)
    loaded = type(run).load(tmp_path)
    assert isinstance(loaded.snapshots, Snapshots)
    names = [path.name for path in plotting.cycle(loaded, tmp_path)]
    assert names == [
        *CURVES,
        "sections_particle_1.png",
        "sections_particle_2.png",
        "cell.png",
        "gap.png",
    ]


def test_without_snapshots_only_curves_are_drawn(made_up_run, tmp_path):
    """Catches a run without fields that ends in an error after all was computed."""
    written = plotting.cycle(made_up_run(snapshots=False), tmp_path)
    assert [path.name for path in written] == CURVES


def test_without_opengl_only_curves_are_drawn(made_up_run, tmp_path, monkeypatch, caplog):
    """Catches the crash of VTK on a compute node without graphics libraries."""
    monkeypatch.setattr(rendering, "can_render", lambda: False)
    with caplog.at_level(logging.WARNING):
        written = plotting.cycle(made_up_run(), tmp_path)
    assert [path.name for path in written] == CURVES
    assert "no OpenGL" in caplog.text


def test_the_probe_tells_a_crash_from_a_window(monkeypatch):
    """Catches a probe that takes the crash of its process for a yes."""
    rendering.can_render.cache_clear()
    monkeypatch.setattr(rendering, "_PROBE", "import os; os.abort()")
    assert rendering.can_render() is False
    rendering.can_render.cache_clear()


def test_a_folder_that_cannot_be_made_is_an_input_error(made_up_run, tmp_path):
    """Catches an OSError where the user should read what is wrong."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        plotting.cycle(made_up_run(), tmp_path / "file")


def test_curves_are_in_the_units_of_their_axes(made_up_run):
    """Catches a curve in metres on an axis in nanometres, and a column drawn twice."""
    run = made_up_run(particles=2, snapshots=False)
    figures = (
        plotting._voltage_and_gap(run),
        plotting._lithium(run),
        plotting._stress_and_strain(run),
    )
    expected = {
        "Voltage [V]": {1.0: ["Voltage [V]"]},
        "Interface gap [nm]": {nm: ["Maximum gap [m]", "Mean gap [m]"]},
        "Lithium in particle [pmol]": {
            pmol: ["Lithium in particle 1 [mol]", "Lithium in particle 2 [mol]"]
        },
        "Von Mises stress [GPa]": {
            GPa: [name for name in run.series if "von Mises stress" in name],
        },
        "Volumetric strain [%]": {
            0.01: [name for name in run.series if "volumetric strain" in name][::-1],
        },
    }
    drawn = {axes.get_ylabel(): axes for figure in figures for axes in figure.axes}
    assert list(drawn) == list(expected)
    for label, ((unit, names),) in ((key, value.items()) for key, value in expected.items()):
        lines = [line for line in drawn[label].lines if len(line.get_xdata()) > 2]
        assert len(lines) == len(names)
        for line, name in zip(lines, names, strict=True):
            np.testing.assert_allclose(line.get_ydata(), run.series[name] / unit)
            np.testing.assert_allclose(line.get_xdata(), run.series["Time [s]"])


def test_snapshots_are_chosen_by_the_protocol(made_up_run):
    """Catches columns of the figure that show other times than middle and end of each half."""
    assert plotting._chosen_rows(made_up_run()) == [0, 1, 2, 3, 4]
    assert plotting._chosen_rows(made_up_run(charge_only=True)) == [0, 1, 2]


@needs_opengl
@pytest.mark.parametrize("name", VIEWS)
def test_a_place_in_the_scene_is_that_place_in_the_picture(name):
    """Catches a mirrored or shifted picture: the sections would swap left and right."""
    view = VIEWS[name]
    spot = np.array([0.2, 3.5, 4.1])
    with rendering.renderer(200) as draw:
        for height in (0, 1):  # the second picture of a window must not show the first one's view
            centre = spot + np.array([0, height, 0])
            ball = pv.Sphere(radius=0.3, center=centre)
            picture = draw(view, [(ball, {"color": "black", "lighting": False})])
            rows, columns = np.nonzero(picture.max(axis=2) < 128)
            left, right, bottom, top = view.extent
            x = left + (columns.mean() + 0.5) / picture.shape[1] * (right - left)
            y = top - (rows.mean() + 0.5) / picture.shape[0] * (top - bottom)
            np.testing.assert_allclose((x, y), view.place(centre[None])[0], atol=0.05)
            assert picture.shape == (200, round(200 * view.aspect), 3)


def test_sections_have_the_axes_they_are_named_after():
    """Catches a z-y section whose z axis points left or up."""
    axes = np.eye(3) + np.array([1, 2, 3])
    np.testing.assert_allclose(VIEWS["x-y"].place(axes), [[1, 0], [0, 1], [0, 0]], atol=1e-14)
    np.testing.assert_allclose(VIEWS["z-y"].place(axes), [[0, 0], [0, 1], [1, 0]], atol=1e-14)


def test_a_view_of_points_holds_them_all():
    """Catches a picture that cuts off a corner of the cell."""
    corners = np.array(np.meshgrid([0, 15], [-7, 8], [0, 25.0])).reshape(3, -1).T
    view = View.of(corners, towards=(-1, 0.8, -0.6), up=(0, 1, 0))
    places = view.place(corners)
    left, right, bottom, top = view.extent
    assert left <= places[:, 0].min() < 0.9 * left
    assert 0.9 * right < places[:, 0].max() <= right
    assert bottom <= places[:, 1].min() < 0.9 * bottom
    assert 0.9 * top < places[:, 1].max() <= top


@needs_opengl
def test_colours_of_a_section_are_those_of_the_colour_bar():
    """Catches shading or a shifted range: a value read off the colour bar would be wrong."""
    data = two_tetrahedra(**{"Gap [m]": np.array([6 * nm, 6 * nm]), "g": np.array([0, 0])})
    cut = rendering.grid(data, "g").slice(normal="z", origin=(0, 0, 0.3))
    view = View(focus=(0.2, 0.2, 0.3), towards=(0, 0, 1), up=(0, 1, 0), half_height=0.1)
    options = pictures._coloured(pictures.GAP, (0.0, 8 * nm)) | {"lighting": False}
    with rendering.renderer(50) as draw:
        pixel = draw(view, [(cut, options)])[25, 25]
    shown = 255 * np.array(mpl.colormaps[pictures.GAP.colours](0.75))[:3]
    np.testing.assert_allclose(pixel, shown, atol=4)  # 256 colours: half a step


def test_fields_are_smooth_within_a_grain_and_jump_between_grains():
    """Catches values of one grain that smear into its neighbour, and a mean without volumes."""
    data = two_tetrahedra(**{"value": np.array([1.0, 4.0]), "g": np.array([5, 9])})
    apart = rendering.grid(data, "g")
    assert apart.n_points == 8
    np.testing.assert_allclose(np.sort(apart.point_data["value"]), [1.0] * 4 + [4.0] * 4)
    assert rendering.walls(apart).n_cells == 8
    data = two_tetrahedra(**{"value": np.array([1.0, 4.0]), "g": np.array([5, 5])})
    joined = rendering.grid(data, "g")
    assert joined.n_points == 5
    np.testing.assert_allclose(joined.points, data.points / um)
    # Volumes are as 1 to 2: the shared points show (1 + 2 * 4) / 3.
    np.testing.assert_allclose(joined.point_data["value"], [3, 3, 3, 1, 4])
    assert rendering.walls(joined).n_cells == 6


def test_seams_are_where_grains_meet_on_the_surface():
    """Catches lines inside the particle, or none, or one around every triangle."""
    apart = rendering.seams(two_tetrahedra(g=np.array([0, 1])), "g")
    assert apart.n_cells == 3
    np.testing.assert_allclose(apart.points[np.unique(apart.lines.reshape(-1, 3)[:, 1:])][:, 2], 0)
    assert rendering.seams(two_tetrahedra(g=np.array([1, 1])), "g").n_cells == 0


def test_surface_fields_may_sit_on_points_or_cells():
    """Catches a gap stored per triangle that cannot be drawn."""
    skin = FieldData(
        points=np.eye(3) * um,
        cells=np.array([[0, 1, 2]]),
        point_data={"a": np.array([1.0, 2.0, 3.0])},
        cell_data={"b": np.array([5.0])},
    )
    surface = rendering.surface(skin)
    np.testing.assert_allclose(surface.point_data["a"], [1, 2, 3])
    np.testing.assert_allclose(surface.point_data["b"], [5, 5, 5])


def test_ranges_of_colours_leave_outliers_to_the_arrow():
    """Catches one spoiled point that drains the colour from a whole figure."""
    values = np.append(np.linspace(1, 2, 10_000), 1e6) * GPa
    low, high = pictures._limits(pictures.STRESS, [values])
    assert low == 0
    assert high == pytest.approx(2 * GPa, rel=2e-3)
    low, high = pictures._limits(pictures.FIELDS[1], [np.full(5, -0.02)])
    assert (low, high) == (-0.02, 0)
    low, high = pictures._limits(pictures.GAP, [np.zeros(5)])
    assert low < high
