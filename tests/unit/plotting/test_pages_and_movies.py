"""Pages, movies and views of a run: that they hold what they say, and refuse what they cannot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from femssb import library, plotting
from femssb.errors import EngineError, InputError
from femssb.inputs.case import describe
from femssb.plotting import inputs, movies, rendering
from femssb.units import um
from tests import made_up_runs

needs_opengl = pytest.mark.skipif(not rendering.can_render(), reason="VTK finds no OpenGL here")


@pytest.fixture
def run():
    """Return a made-up run with a warning and the inputs of a real one."""
    materials = library.yuan2023.materials()
    materials = replace(materials, temperature=310.0)
    case = {
        "model": {"mesh": {"size": 0.8e-6}, "materials": describe(materials)},
        "protocol": [{"class": "Charge", "c_rate": 1.0}],
        "tolerances": {"class": "Tolerances"},
    }
    return replace(
        made_up_runs.solution(spacing=2.5 * um, grains=4),
        case=json.loads(json.dumps(case, default=float)),
        warnings=("A quantity of 3 is above <its> bound of 2.",),
    )


def test_inputs_have_units_meanings_and_sources(run):
    """Catches a table that tells of a changed value that it is the one of the paper."""
    found = {row.place: row for row in inputs.rows(run.case)}
    rate = found["model.materials.cohesive.normal_strength"]
    assert (rate.value, rate.unit) == ("1e+08", "Pa")
    assert rate.source == "library.yuan2023: paper 3.3, baseline"
    assert found["model.materials.temperature"].source == ""  # the user's
    assert found["model.materials.kinetics.anodic_transfer"].source.endswith("assumed")
    decay = found["model.materials.resistance.decay_length"]
    assert decay.source.startswith("library.yuan2023: ")
    assert decay.meaning
    assert not any("digest" in place for place in found)


class _Page(HTMLParser):
    """What a page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "link", "img", "input"):
            self.open.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def test_a_page_holds_the_run_and_needs_nothing_else(run, tmp_path: Path):
    """Catches a page that loads from the network, is cut short, or leaves out a warning."""
    pytest.importorskip("plotly")
    path = plotting.report(run, tmp_path / "deep" / "page.html", title="A <run>")
    page = _Page()
    text = path.read_text(encoding="utf-8")
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.loads == []
    words = " ".join(page.texts)
    for sentence in ("A <run>", "A quantity of 3 is above <its> bound of 2.", "Charge 1C until 4.3",
                     "paper 3.3, baseline", "Coulombic efficiency [%]", "dolfinx"):  # fmt: skip
        assert sentence in words
    figures = re.findall(r'Plotly\.newPlot\(\s*"[^"]+",\s*(\[.*?\]),\s*\{', text)
    assert len(figures) == 9
    assert sum('"mesh3d"' in figure for figure in figures) == 3
    times = run.series["Time [s]"] / 3600
    assert any(str(round(times[-1], 6))[:6] in text or "bdata" in figure for figure in figures)


def test_a_page_without_fields_has_no_scenes(tmp_path: Path):
    """Catches a run without snapshots, whose page fails on the scenes."""
    pytest.importorskip("plotly")
    bare = made_up_runs.solution(spacing=2.5 * um, grains=4, snapshots=False)
    text = plotting.report(bare, tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="scenes"' not in text
    assert 'id="curves"' in text
    with pytest.raises(InputError, match=r"must end in \.html"):
        plotting.report(bare, tmp_path / "page.pdf")


def test_fields_between_snapshots_lie_on_a_line(run):
    """Catches shares that are swapped, and integers that are mixed."""
    one, other = run.snapshots[0], run.snapshots[1]
    found = movies.between([one, other], 0.75 * one.time + 0.25 * other.time)
    for name in ("Concentration [mol/m3]",):
        a, b = (each.particle.point_data[name] for each in (one, other))
        np.testing.assert_allclose(found.particle.point_data[name], 0.75 * a + 0.25 * b)
    grains = found.particle.cell_data["Grain [-]"]
    assert grains.dtype.kind == "i"
    assert (grains == one.particle.cell_data["Grain [-]"]).all()


@needs_opengl
@pytest.mark.parametrize("field", ["Von Mises stress [Pa]", "Concentration [mol/m3]"])
def test_a_movie_has_its_frames(run, field: str, tmp_path: Path):
    """Catches a movie of one picture, one that does not change, and none of the lithium."""
    image = pytest.importorskip("PIL.Image")
    target = tmp_path / "movies" / "cycle.gif"
    path = plotting.animate(run, target, field=field, cycle=1, frames=3)
    with image.open(path) as movie:
        pictures = []
        for row in range(movie.n_frames):
            movie.seek(row)
            pictures.append(np.asarray(movie.convert("RGB"), float))
    assert len(pictures) == 3
    assert np.abs(pictures[1] - pictures[0]).max() > 50


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "a.avi"}, "must end with one of"),
        ({"path": "a.gif", "cycle": 7}, "cycle = 7 is none"),
        ({"path": "a.gif", "frames": 1}, "frames"),
    ],
)
def test_a_movie_that_cannot_be_is_refused(run, tmp_path: Path, arguments, words):
    """Catches minutes of rendering before the wrong word is found."""
    given = arguments | {"path": tmp_path / arguments["path"]}
    with pytest.raises(InputError, match=words):
        plotting.animate(run, **given)


def test_a_view_needs_a_browser(run, monkeypatch: pytest.MonkeyPatch):
    """Catches a server that waits for ever where nobody can look."""
    monkeypatch.setattr("femssb.plotting.scenes.require", lambda *_, **__: None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineError, match="give a port"):
        plotting.view(run)
    with pytest.raises(InputError, match="no snapshots"):
        plotting.view(made_up_runs.solution(spacing=2.5 * um, grains=4, snapshots=False))


def test_curves_go_where_they_are_told(run):
    """Catches a figure that is made anew although axes are given, and units that are mixed."""
    from matplotlib.figure import Figure

    figure = Figure()
    left, right, below = figure.subplots(3)
    assert (
        plotting.draw(run, ["Voltage [V]"], against="Discharge capacity [C]", axes=left) is figure
    )
    np.testing.assert_allclose(left.lines[0].get_ydata(), run.series["Voltage [V]"])
    assert left.get_xlabel() == "Discharge capacity [µC]"
    assert plotting.voltage_and_gap(run, [right, below]) is figure
    assert len(right.lines) > 0
    drawn = plotting.draw(run, ["Mean gap [m]", "Maximum gap [m]"])
    assert drawn.axes[0].get_ylabel() == "[nm]"
    with pytest.raises(InputError, match="several units"):
        plotting.draw(run, ["Mean gap [m]", "Voltage [V]"])
    with pytest.raises(InputError, match="has no 'Volts'"):
        plotting.draw(run, ["Volts"])
    with pytest.raises(InputError, match="2 panels"):
        plotting.voltage_and_gap(run, [left])


def test_losses_and_cycles_go_where_they_are_told(run):
    """Catches a figure that is made anew, or panels that are filled in another order."""
    from matplotlib.figure import Figure

    figure = Figure()
    panels = figure.subplots(3, 2)
    assert plotting.losses(run, panels.ravel()) is figure
    assert len(figure.axes) == 6
    assert [one.get_title(loc="left") for one in panels[0]] == ["charge", "discharge"]
    assert panels[0, 0].get_ylabel() == "Voltage [V]"
    assert panels[2, 1].get_xlabel().startswith("Capacity")
    alone = plotting.losses(run)
    for one, other in zip(panels.ravel(), alone.axes, strict=True):
        for line, same in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), same.get_ydata())
    column = figure.add_subplot(), figure.add_subplot(), figure.add_subplot()
    assert plotting.cycles(run, column) is figure
    assert column[0].lines[0].get_xdata().tolist() == [1]
    for draw, count in ((plotting.losses, 6), (plotting.cycles, 3)):
        with pytest.raises(InputError, match=f"{count} panels"):
            draw(run, panels.ravel()[:2])
    with pytest.raises(InputError, match="neither a charge nor a discharge"):
        plotting.losses(replace(run, steps=()))
    with pytest.raises(InputError, match="no cycle"):
        plotting.cycles(replace(run, steps=()))
