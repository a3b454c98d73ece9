"""If these fail, a figure shows the wrong place, colour or unit, or there is none at all.

Worth reading: `test_a_place_in_the_scene_is_that_place_in_the_picture` and
`test_colours_of_a_section_are_those_of_the_colour_bar`.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import pyvista as pv
from matplotlib.figure import Figure
from PIL import Image

from femssb import plotting
from femssb.errors import InputError
from femssb.plotting import Reference, curves, fields, rendering, runs
from femssb.plotting.rendering import View
from femssb.plotting.style import STYLE
from femssb.results.fields import FieldData, Snapshots
from femssb.results.quantities import COLUMNS
from femssb.tetrahedra import volumes
from femssb.units import GPa, nm, pmol, um

CURVES = ["voltage_and_gap.png", "lithium.png", "stress_and_strain.png", "losses.png"]
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
    monkeypatch.setattr(fields, "PIXELS", 80)


def two_tetrahedra(**values) -> FieldData:
    """Return two tetrahedra that share a face; the second is twice as tall."""
    return FieldData(
        points=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -2]]) * um,
        cells=np.array([[0, 1, 2, 3], [0, 2, 1, 4]]),
        point_data={},
        cell_data=values,
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
def test_many_particles_are_drawn_together(made_up_run, tmp_path, small_pictures, monkeypatch):
    """Catches a picture for each of many particles, and lithium of another one."""
    monkeypatch.setattr(runs, "MANY", 1)
    run = made_up_run(particles=2)
    written = runs._pictures(run, [run.charge, run.discharge], tmp_path, "")
    assert [path.name for path in written] == ["particles.png"]
    with Image.open(written[-1]) as picture:
        assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 100
    last = run.snapshots[-1]
    _, surface, _ = fields._mean_lithium(last)
    shown = np.unique(surface.point_data["Lithium [-]"].round(9))
    data, volume = last.particle, volumes(last.particle.points, last.particle.cells)
    lithium = volume * data.point_data["Concentration [mol/m3]"][data.cells].mean(axis=1)
    mean = lithium.sum() / volume.sum()
    owner = data.cell_data["Particle [-]"]
    own = [lithium[owner == k].sum() / volume[owner == k].sum() / mean - 1 for k in (0, 1)]
    assert shown == pytest.approx(np.unique(np.round(own, 9)), abs=1e-8)


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


def test_the_probe_takes_a_crash_for_a_no(monkeypatch):
    """Catches a probe that takes the crash of its process for a yes."""
    rendering.can_render.cache_clear()
    monkeypatch.setattr(rendering, "_PROBE", "import os; os.abort()")
    assert rendering.can_render() is False
    rendering.can_render.cache_clear()


def test_a_figure_of_the_user_is_saved_in_the_style(tmp_path):
    """Catches figures of users in another style, and a style that stays for good."""
    before = dict(mpl.rcParams)

    def draw(colour):
        figure = Figure(figsize=(2, 1))
        axes = figure.subplots()
        axes.plot([1, 2], color=colour)
        assert axes.xaxis.label.get_fontsize() == STYLE["font.size"]
        assert not axes.spines["top"].get_visible()
        return figure

    path = plotting.save(tmp_path / "new" / "figure.png", draw, plotting.BLUE, dots_per_inch=100)
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as picture:
        assert picture.size == (200, 100)
    assert dict(mpl.rcParams) == before
    with pytest.raises(InputError, match=r"figure\.jpg' must end with one of \.png"):
        plotting.save("figure.jpg", draw, "black")


def test_a_folder_that_cannot_be_made_is_an_input_error(made_up_run, tmp_path):
    """Catches an OSError where the user should read what is wrong."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        plotting.cycle(made_up_run(), tmp_path / "file")


def test_curves_are_in_the_units_of_their_axes(made_up_run):
    """Catches a curve in metres on an axis in nanometres, and a column drawn twice."""
    run = made_up_run(particles=2, snapshots=False)
    figures = (
        curves.voltage_and_gap(run),
        curves.lithium(run),
        curves.stress_and_strain(run),
    )
    expected = {
        "Voltage [V]": {1.0: ["Voltage [V]"]},
        "Interface gap [nm]": {nm: ["Maximum gap [m]", "Mean gap [m]"]},
        "Lithium in particle [pmol]": {
            pmol: ["Lithium in particle 1 [mol]", "Lithium in particle 2 [mol]"]
        },
        "Von Mises stress [GPa]": {
            GPa: [name for name in COLUMNS if "von Mises stress" in name],
        },
        "Volumetric strain [%]": {
            0.01: [name for name in COLUMNS if "volumetric strain" in name][::-1],
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
    run, charge_only = made_up_run(), made_up_run(charge_only=True)
    assert runs._chosen_rows(run, [run.charge, run.discharge]) == [0, 1, 2, 3, 4]
    assert runs._chosen_rows(run, [run.discharge]) == [2, 3, 4]
    assert runs._chosen_rows(charge_only, [charge_only.charge]) == [0, 1, 2]
    assert runs._chosen_rows(charge_only, []) == [0, 1, 2]


@needs_opengl
def test_the_last_cycle_is_drawn_too(made_up_run, tmp_path, monkeypatch):
    """Catches pictures of the first cycle only, or of the last one under the name of the first."""
    run = made_up_run()
    times, rows = run.series["Time [s]"], (0, 20, 40, 60, 80)
    ends = {"start_row": rows[:-1], "end_row": rows[1:]}
    steps = [
        replace(run.steps[k % 2], start_row=a, end_row=b, start_time=times[a], end_time=times[b])
        for k, (a, b) in enumerate(zip(*ends.values(), strict=True))
    ]
    drawn = {}

    def watched(snapshots):
        drawn[len(drawn)] = [snapshot.time for snapshot in snapshots]
        return Figure()

    monkeypatch.setattr(fields, "gap", watched)
    for name in ("sections", "opened_cell"):
        monkeypatch.setattr(fields, name, lambda *_: Figure())
    written = plotting.cycle(replace(run, steps=tuple(steps)), tmp_path)
    names = [f"{name}{end}.png" for end in ("", "_cycle_2") for name in ("sections", "cell", "gap")]
    assert [path.name for path in written] == [*CURVES, "cycles.png", *names]
    assert drawn[0][0] == 0.0
    assert drawn[0][-1] == drawn[1][0] == times[40]
    assert drawn[1][-1] == times[80]


def scaled(solution, factor):
    """Return a run whose stress and gap are larger by a factor, in series and fields."""
    series = {
        name: values * (factor if "stress" in name or "gap" in name else 1)
        for name, values in solution.series.items()
    }
    snapshots = []
    for snapshot in solution.snapshots:
        data = dict(snapshot.particle.cell_data)
        data[STRESS] = factor * data[STRESS]
        snapshots.append(replace(snapshot, particle=replace(snapshot.particle, cell_data=data)))
    return replace(solution, series=series, snapshots=tuple(snapshots))


STRESS, GAP = "Von Mises stress [Pa]", "Mean gap [m]"
REFERENCE = (
    Reference(run="b", column=GAP, when="charge end", value=14.3 * nm, source="paper"),
    Reference(run="a", column=GAP, when=2200.0, value=0.3 * nm, source="experiment"),
)


def curves_of(axes):
    return [line for line in axes.lines if line.get_marker() == "None"]


def marks_of(axes):
    return [line for line in axes.lines if line.get_marker() != "None"]


def test_runs_are_compared_in_the_units_of_the_axes(made_up_run):
    """Catches curves of another run, time or unit than labels and colours say."""
    run = made_up_run(snapshots=False)
    runs = {"a": run, "b": scaled(run, 2)}
    columns = ["Voltage [V]", GAP, "Minimum volumetric strain [-]", "Lithium [mol]"]
    nominal = {"a": 3600.0, "b": 1800.0}
    figure = curves.comparison(runs, columns, nominal, REFERENCE)
    units = {"Voltage [V]": 1, "Mean gap [nm]": nm, "Minimum volumetric strain [%]": 0.01}
    units["Lithium [pmol]"] = pmol
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(units)
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", *["Time / nominal time [-]"] * 2]
    (legend,) = figure.legends
    named = {
        text.get_text(): line.get_color()
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert list(named) == ["a", "b", "paper", "experiment"]
    for axes, column, unit in zip(figure.axes, columns, units.values(), strict=True):
        for line, (name, solution) in zip(curves_of(axes), runs.items(), strict=True):
            assert line.get_color() == named[name]
            np.testing.assert_allclose(line.get_ydata(), solution.series[column] / unit)
            np.testing.assert_allclose(
                line.get_xdata(), solution.series["Time [s]"] / nominal[name]
            )
    found = {
        mark.get_color(): (mark.get_xdata(), mark.get_ydata()) for mark in marks_of(figure.axes[1])
    }
    np.testing.assert_allclose(found[named["a"]], [[2200 / 3600], [0.3]])
    np.testing.assert_allclose(found[named["b"]], [[3103 / 1800], [14.3]])
    assert not marks_of(figure.axes[0])


def test_particles_of_one_run_have_colours_and_of_several_line_styles(made_up_run):
    """Catches particles that look like each other or like those of another run."""
    run = made_up_run(particles=2, snapshots=False)
    column = "Maximum gap of particle k [m]"
    mark = Reference(
        run="one", column="Maximum gap of particle 2 [m]", when="charge end", value=nm, source="x"
    )
    figure = curves.comparison({"one": run}, [column, "Voltage [V]"], None, [mark])
    gaps, voltage = figure.axes
    lines = curves_of(gaps)
    for number, line in enumerate(lines, start=1):
        expected = run.series[f"Maximum gap of particle {number} [m]"] / nm
        np.testing.assert_allclose(line.get_ydata(), expected)
    colours = [line.get_color() for line in (*lines, *curves_of(voltage))]
    assert len(set(colours)) == 3
    assert [line.get_color() for line in marks_of(gaps)] == [colours[1]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["one", "particle 1", "particle 2", "x"]
    two = curves.comparison({"one": run, "other": run}, [column], None, [])
    looks = [(line.get_color(), line.get_linestyle()) for line in curves_of(two.axes[0])]
    assert looks[0][0] == looks[1][0] != looks[2][0] == looks[3][0]
    assert looks[0][1] == looks[2][1] != looks[1][1] == looks[3][1]


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_every_run_has_its_own_colour(made_up_run, count):
    """Catches the second of many runs in the colour of the first."""
    run = made_up_run(snapshots=False)
    runs = {f"seed {row}": run for row in range(count)}
    lines = curves_of(curves.comparison(runs, ["Voltage [V]"], None, []).axes[0])
    assert len({mpl.colors.to_hex(line.get_color()) for line in lines}) == count


@pytest.mark.parametrize("name", ["figure.png", "figure.pdf", "figure.svg"])
def test_comparisons_are_written_by_the_first_rank_only(made_up_run, tmp_path, name):
    """Catches ranks that write one file at once, and a PNG under another name."""
    run = made_up_run(snapshots=False)
    path = tmp_path / "new" / name
    elsewhere = replace(run, first_rank=False)
    assert plotting.compare({"a": elsewhere}, [GAP], path) == []
    assert not path.parent.exists()
    assert plotting.compare({"a": run, "b": run}, [GAP], path, reference=REFERENCE) == [path]
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[path.suffix]
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solutions": {}}, "solutions = {} must hold at least one"),
        ({"columns": GAP}, "columns must be a list of words, got 'Mean gap"),
        ({"columns": ["Gap"]}, "run 'a' has no 'Gap'"),
        ({"columns": ["Mean gap of particle k [m]"]}, "run 'a' has no 'Mean gap of particle k"),
        ({"nominal_times": {"b": 3600.0}}, "nominal_times has no time of run 'a'"),
        ({"nominal_times": {"a": 0.0}}, r"nominal_times.'a' = 0 s is outside"),
        ({"columns": ["Voltage [V]"]}, "column 'Mean gap .* none of the panels"),
        ({"reference": [replace(REFERENCE[1], run="c")]}, "run 'c' is none of"),
        ({"reference": [replace(REFERENCE[1], when="noon")]}, "moment = 'noon'"),
        ({"path": "figure.docx"}, "figure.docx' must end with one of .png, .pdf, .svg"),
    ],
)
def test_comparisons_say_what_is_wrong(made_up_run, tmp_path, changes, message):
    """Catches a KeyError where the user should read which run lacks what."""
    arguments = {
        "solutions": {"a": made_up_run(snapshots=False)},
        "columns": [GAP],
        "path": tmp_path / "a.png",
        "reference": REFERENCE[1:],
    }
    with pytest.raises(InputError, match=message):
        plotting.compare(**(arguments | changes))
    assert not list(tmp_path.iterdir())


def test_references_are_numbers():
    """Catches NaN from an empty field of a table, drawn nowhere without a word."""
    with pytest.raises(InputError, match=r"Reference\.value = nan"):
        Reference(run="a", column=GAP, when=0.0, value=float("nan"), source="paper")
    with pytest.raises(InputError, match=r"Reference\.when = inf"):
        Reference(run="a", column=GAP, when=float("inf"), value=1.0, source="paper")


@needs_opengl
def test_sections_of_a_row_share_their_colours(made_up_run, small_pictures, monkeypatch):
    """Catches pictures next to each other in which one colour means two values."""
    ranges = []
    original = fields.coloured
    monkeypatch.setattr(
        fields,
        "coloured",
        lambda field, limits: ranges.append((field.name, *limits)) or original(field, limits),
    )
    run = made_up_run()
    runs = {"a": run, "three times as much": scaled(run, 3)}
    moments = ["charge end", "discharge end"]
    figure = fields.compared_sections(runs, [STRESS, "Hydrostatic stress [Pa]"], moments, "x-y", 0)
    assert ranges[::2] == ranges[1::2]  # those of the two pictures of each row
    ranges = ranges[::2]
    assert [name for name, *_ in ranges] == [STRESS] * 2 + ["Hydrostatic stress [Pa]"] * 2
    bars = [axes for axes in figure.axes if "[" in axes.get_ylabel()]
    for bar, (_, low, high) in zip(bars, ranges, strict=True):
        np.testing.assert_allclose(bar.get_ylim(), (low / GPa, high / GPa))
    stress = run.snapshot_at("charge end").particle.cell_data[STRESS]
    assert 0.8 * 3 * stress.max() < ranges[0][2] <= 3 * stress.max()
    panels = [axes for axes in figure.axes if axes.get_images()]
    middle = [axes.get_images()[0].get_array()[40, 40].astype(float) for axes in panels]
    assert len(panels) == 8
    assert np.abs(middle[0] - middle[1]).max() > 20  # three times the stress: another colour
    np.testing.assert_array_equal(middle[4], middle[5])  # the same hydrostatic stress
    assert [axes.get_title() for axes in panels[:2]] == list(runs)
    assert [axes.get_ylabel() for axes in panels[::2]] == moments * 2


@needs_opengl
def test_fields_of_several_runs_are_drawn(made_up_run, tmp_path, small_pictures, capfd):
    """Catches a comparison that fails for cells of other sizes, or from files."""
    run, other = made_up_run(), made_up_run(charge_only=True, particles=2)
    other.save(tmp_path)
    runs = {"one": run, "two": type(other).load(tmp_path)}
    sections, cells = tmp_path / "sections.png", tmp_path / "cells.png"
    moments = ["charge end"]
    assert plotting.compare_sections(runs, [STRESS], sections, moments=moments) == [sections]
    assert plotting.compare_cells(runs, cells) == [cells]
    for path in (sections, cells):
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 100
    assert capfd.readouterr() == ("", "")
    for arguments, message in (
        ({"fields": ["Stress [Pa]"]}, r"'Stress \[Pa\]' is not in run 'one', which has \['Conc"),
        ({"fields": [STRESS], "plane": "y-x"}, "plane = 'y-x' is none of"),
        ({"fields": [STRESS], "particle": 2}, "particle = 2 is not in run 'one'"),
        ({"fields": [STRESS], "moments": ["discharge end"]}, "moment = 'discharge end'"),
        ({"fields": []}, "fields = .* must hold"),
    ):
        with pytest.raises(InputError, match=message):
            plotting.compare_sections(runs, path=sections, **({"moments": moments} | arguments))
    with pytest.raises(InputError, match=r"'Concentration .* is not in run 'one'"):
        plotting.compare_cells(runs, cells, field="Concentration [mol/m3]")


def test_fields_of_several_runs_need_opengl(made_up_run, tmp_path, monkeypatch, caplog):
    """Catches the crash of VTK in a study on a compute node without graphics libraries."""
    monkeypatch.setattr(rendering, "can_render", lambda: False)
    runs, path = {"a": made_up_run()}, tmp_path / "a.png"
    with caplog.at_level(logging.WARNING):
        assert plotting.compare_sections(runs, [STRESS], path) == []
        assert plotting.compare_cells(runs, path) == []
    assert caplog.text.count("no OpenGL") == 2
    assert not path.exists()


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
    options = fields.coloured(fields.GAP, (0.0, 8 * nm)) | {"lighting": False}
    with rendering.renderer(50) as draw:
        pixel = draw(view, [(cut, options)])[25, 25]
    shown = 255 * np.array(mpl.colormaps[fields.GAP.colours](0.75))[:3]
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
    low, high = fields.limits_of(fields.STRESS, [values])
    assert low == 0
    assert high == pytest.approx(2 * GPa, rel=2e-3)
    low, high = fields.limits_of(fields.FIELDS[1], [np.full(5, -0.02)])
    assert (low, high) == (-0.02, 0)
    low, high = fields.limits_of(fields.GAP, [np.zeros(5)])
    assert low < high
