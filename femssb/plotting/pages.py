"""A run as one page of HTML that needs nothing else: curves to point at, scenes to turn, tables.

The curves and scenes are those of plotly, whose script is a part of the page: it opens without a
network, in any browser of the last years.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb._version import __version__
from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.plotting.inputs import rows
from femssb.plotting.style import BLUE, GREEN, ORANGE, SEQUENCE, VERMILION
from femssb.results.fields import Snapshot
from femssb.results.quantities import LOSSES, SUMMARY, on_axis
from femssb.results.solution import Solution
from femssb.units import hour

MOST_TIMES = 5  # of a scene: each brings its own colours
HEIGHT = 460  # of a figure [pixels]

Figure = Any  # of plotly, which need not be there

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --ink: #222; --page: #fff; --rule: #ddd; --link: #0072b2; --warning: #fff3d6; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #ddd; --page: #17191c; --rule: #444; --link: #56b4e9; --warning: #4a3a10; }}
}}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; max-width: 70rem; padding: 1rem; }}
a {{ color: var(--link); }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; margin-bottom: 1rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid var(--rule); }}
td.number {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.warnings li {{ background: var(--warning); border-left: .3rem solid #e69f00; padding: .3rem .6rem;
  margin: .3rem 0; list-style: none; }}
.warnings {{ padding: 0; }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr));
  gap: 1rem; }}
.figures > div {{ min-width: 0; }}
summary {{ cursor: pointer; color: var(--link); }}
nav a {{ margin-right: 1rem; }}
</style>
<script>{script}</script>
</head>
<body>
<h1>{title}</h1>
<p>{line}</p>
<nav>{links}</nav>
{body}
<p><small>Made by femssb {version}.</small></p>
<script>{paint}</script>
</body>
</html>
"""

# Figures take the colours of the page, which follow those that the reader has chosen.
_PAINT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink"), rule = style.getPropertyValue("--rule");
  const page = style.getPropertyValue("--page");
  for (const graph of document.querySelectorAll(".js-plotly-plot")) {
    const axis = {gridcolor: rule, zerolinecolor: rule, backgroundcolor: page};
    const changes = {"font.color": ink, paper_bgcolor: page, plot_bgcolor: page};
    const scene = graph.layout.scene ? "scene." : "";
    for (const name of scene ? ["xaxis", "yaxis", "zaxis"] : ["xaxis", "yaxis"]) {
      for (const key in axis) {
        if (scene || key !== "backgroundcolor") changes[scene + name + "." + key] = axis[key];
      }
    }
    if (graph.layout.updatemenus) changes["updatemenus[0].bgcolor"] = page;
    Plotly.relayout(graph, changes);
    const black = [...graph.data.keys()].filter((row) => {
      const line = graph.data[row].line;
      return line && (line.color === "black" || line.wasBlack);
    });
    if (black.length) Plotly.restyle(graph, {"line.color": ink, "line.wasBlack": true}, black);
  }
}
dark.addEventListener("change", paint);
addEventListener("load", paint);
"""


@checked
def report(solution: Solution, path: str | os.PathLike[str], *, title: str = "Half-cell") -> Path:
    """Write a run as one page of HTML.

    It has the warnings, the steps and cycles, curves that tell their values where one points, the
    opened cell, the lithium and the gap as scenes that one can turn, at up to five times, and
    every input with its unit, meaning and source. Of several ranks call it on the first.

    Args:
        solution: The run, as computed or as loaded.
        path: The page, which ends in .html; its folder is made if it does not exist.
        title: Its heading.

    Returns:
        The page.

    Raises:
        InputError: If the page cannot be written, or does not end in .html.
        EngineError: If plotly or, where there are fields, PyVista is missing.
    """
    target = Path(path)
    if target.suffix != ".html":
        raise InputError(f"report.path = {str(path)!r} must end in .html")
    offline = load("plotly.offline", extra="report")
    parts = [
        ("Warnings", _warnings(solution)),
        ("Steps", _steps(solution)),
        ("Curves", _figures(_curves(solution))),
        ("Scenes", _figures(_scenes(solution))),
        ("Numbers", _numbers(solution)),
        ("Inputs", _inputs(solution)),
        ("Versions", _versions(solution)),
    ]
    parts = [(name, content) for name, content in parts if content]
    page = _PAGE.format(
        title=escape(title),
        line=escape(repr(solution).strip("<>").replace("Solution of", "A run of")),
        script=offline.get_plotlyjs().replace("</script", "<\\/script"),
        paint=_PAINT,
        links=" ".join(f'<a href="#{name.lower()}">{name}</a>' for name, _ in parts),
        body="\n".join(
            f'<section id="{name.lower()}">\n<h2>{name}</h2>\n{content}\n</section>'
            for name, content in parts
        ),
        version=__version__,
    )
    make_folder(target.parent)
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _warnings(solution: Solution) -> str:
    if not solution.warnings:
        return "<p>None.</p>"
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in solution.warnings)
    return f'<ul class="warnings">{items}</ul>'


def _table(head: Sequence[str], body: Iterable[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        text = f"{value:.5g}" if isinstance(value, float) else str(value)
        kind = ' class="number"' if isinstance(value, int | float) else ""
        return f"<td{kind}>{escape(text)}</td>"

    lines = "".join(f"<tr>{''.join(map(cell, row))}</tr>\n" for row in body)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="scroll"><table><tr>{names}</tr>\n{lines}</table></div>'


def _folded(words: str, content: str) -> str:
    return f"<details><summary>{escape(words)}</summary>{content}</details>"


def _steps(solution: Solution) -> str:
    voltage = solution.series["Voltage [V]"]
    steps = _table(
        ["step", "from [s]", "to [s]", "voltage [V]", "ended by"],
        [
            (s.description, s.start_time, s.end_time, float(voltage[s.end_row]), s.ended_by)
            for s in solution.steps
        ],
    )
    (capacity, charge), (gap, length) = on_axis("Capacity [C]"), on_axis("Mean gap [m]")
    columns = {
        f"charge, {capacity}": ("charge_capacity", charge),
        f"discharge, {capacity}": ("discharge_capacity", charge),
        "Coulombic efficiency [%]": ("coulombic_efficiency", 0.01),
        f"{gap}, charge end": ("gap_mean_charge_end", length),
        f"{gap}, discharge end": ("gap_mean_discharge_end", length),
    }
    cycles = [
        (
            cycle.number,
            *(
                "" if (value := cycle.numbers[key]) is None else value / unit
                for key, unit in columns.values()
            ),
        )
        for cycle in solution.cycles
    ]
    return steps + (_table(["cycle", *columns], cycles) if cycles else "")


def _numbers(solution: Solution) -> str:
    found = solution.summary
    body = [
        (key, found[key], meaning)
        for key, meaning in SUMMARY.items()
        if key not in ("warnings", "versions") and found[key] is not None
    ]
    return _folded(f"{len(body)} numbers of the run", _table(["key", "value", "meaning"], body))


def _inputs(solution: Solution) -> str:
    body = rows(solution.case)
    head = ["input", "value", "unit", "meaning", "source"]
    own = [row for row in body if row.place.startswith("model.materials")]
    rest = [row for row in body if row not in own]
    return (
        "<p>A source that is empty is the user.</p>"
        + _folded(f"Materials: {len(own)} values", _table(head, own))
        + _folded(f"Cell, protocol and solver: {len(rest)} values", _table(head, rest))
    )


def _versions(solution: Solution) -> str:
    versions = solution.performance.get("versions") or {}
    return _table(["package", "version"], list(versions.items()))


def _figures(figures: Iterable[Figure]) -> str:
    io = load("plotly.io", extra="report")
    parts = [
        io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            config={"responsive": True, "displaylogo": False},
            default_height=f"{HEIGHT}px",
        )
        for figure in figures
    ]
    return f'<div class="figures">\n{"".join(parts)}\n</div>' if parts else ""


def _figure(title: str, x: str, y: str) -> Figure:
    figure = load("plotly.graph_objects", extra="report").Figure()
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        template="plotly_white",
        margin={"l": 60, "r": 10, "t": 70, "b": 90},
        xaxis_title=x,
        yaxis_title=y,
        legend={"orientation": "h", "y": -0.22},
        hovermode="closest",
    )
    return figure


def _line(figure: Figure, x: Any, y: Any, name: str, colour: str, **more: Any) -> None:
    graph = load("plotly.graph_objects", extra="report")
    figure.add_trace(
        graph.Scatter(x=x, y=y, name=name, mode="lines", line={"color": colour}, **more)
    )


def _curves(solution: Solution) -> list[Figure]:
    """Return the curves of a run."""
    series = solution.series
    times = series["Time [s]"] / hour
    figures = []

    def over_time(title: str, columns: Mapping[str, tuple[str, str]]) -> None:
        label, unit = on_axis(next(iter(columns)))
        figure = _figure(title, "time [h]", f"[{label.partition(' [')[2]}")
        for column, (name, colour) in columns.items():
            _line(figure, times, series[column] / unit, name, colour)
        figure.update_layout(showlegend=len(columns) > 1)
        figures.append(figure)

    over_time("Voltage", {"Voltage [V]": ("voltage", "black")})
    capacity, charge = on_axis("Capacity [C]")
    figure = _figure("Voltage against capacity", capacity, "Voltage [V]")
    for cycle in solution.cycles:
        for kind, half, colour in (
            ("charge", cycle.charge, VERMILION),
            ("discharge", cycle.discharge, BLUE),
        ):
            if not half:
                continue
            chosen = np.concatenate([np.arange(s.start_row + 1, s.end_row + 1) for s in half])
            start = series["Discharge capacity [C]"][half[0].start_row]
            passed = np.abs(series["Discharge capacity [C]"][chosen] - start) / charge
            name = f"cycle {cycle.number} {kind}"
            _line(figure, passed, series["Voltage [V]"][chosen], name, colour)
    if figure.data:
        figures.append(figure)
    over_time(
        "Gap of the interface",
        {"Maximum gap [m]": ("largest", VERMILION), "Mean gap [m]": ("mean", BLUE)},
    )
    over_time(
        "Von Mises stress",
        {
            "Maximum von Mises stress [Pa]": ("largest", VERMILION),
            "99.9 % von Mises stress [Pa]": ("99.9th percentile", ORANGE),
            "99 % von Mises stress [Pa]": ("99th percentile", GREEN),
            "Mean von Mises stress [Pa]": ("mean", BLUE),
        },
    )
    lost = zip(LOSSES.items(), SEQUENCE, strict=False)
    over_time("Power lost", {column: (name, colour) for (column, name), colour in lost})
    figures.append(_any_column(solution, times))
    return figures


def _any_column(solution: Solution, times: NDArray[np.float64]) -> Figure:
    """Return a figure of one column at a time, chosen from a list."""
    names = [name for name in solution.series if name != "Time [s]"]
    first = names.index("Lithium [mol]")
    figure = _figure("", "time [h]", on_axis(names[first])[0])
    buttons = []
    for row, name in enumerate(names):
        label, unit = on_axis(name)
        visible = [other == row for other in range(len(names))]
        _line(figure, times, solution.series[name] / unit, name, "black", visible=row == first)
        buttons.append(
            {
                "label": name,
                "method": "update",
                "args": [{"visible": visible}, {"yaxis.title.text": label}],
            }
        )
    place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(
        updatemenus=[{"buttons": buttons, "active": first, "direction": "down", **place}],
        showlegend=False,
    )
    return figure


def _scenes(solution: Solution) -> list[Figure]:
    """Return the scenes of a run; none without fields."""
    if not len(solution.snapshots):
        return []
    load("pyvista", extra="plot")
    from femssb.plotting import fields

    shots = _chosen(solution)
    return [
        _scene("Opened cell", shots, fields.STRESS, fields.opened_faces),
        _scene("Lithium in the particles", shots, fields.FIELDS[0], fields.halved_faces),
        _scene("Gap on the particles", shots, fields.GAP, fields.gap_faces),
    ]


def _chosen(solution: Solution) -> list[Snapshot]:
    """Return the snapshots at the ends of the cycles first, then others, in time."""
    times = np.array(solution.snapshot_times)
    even = np.linspace(times[0], times[-1], MOST_TIMES)
    near = [int(np.argmin(np.abs(times - t))) for t in even]
    ends = [half[-1].end_time for half in (solution.charge, solution.discharge) if half]
    near = [int(np.argmin(np.abs(times - t))) for t in ends] + near
    kept = list(dict.fromkeys([*near[: len(ends)], 0, *near]))[:MOST_TIMES]
    return [solution.snapshots[row] for row in sorted(kept)]


def _scene(
    title: str,
    shots: Sequence[Snapshot],
    field: Any,
    faces: Callable[[Snapshot], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
) -> Figure:
    """Return triangles that a field colours, at several times to choose from."""
    graph = load("plotly.graph_objects", extra="report")
    drawn = [faces(shot) for shot in shots]
    values = np.concatenate([value for *_, value in drawn]) / field.unit
    low, high = np.percentile(values, (0.1, 99.9))
    if field.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    figure = graph.Figure()
    words, _, unit = field.label.partition(" [")
    ends = [row for row, shot in enumerate(shots) if shot.label == "charge end"]
    first = ends[-1] if ends else len(shots) - 1  # where gaps and stresses are largest
    for row, (shot, (points, corners, value)) in enumerate(zip(shots, drawn, strict=True)):
        x, y, z = points.astype(np.float32).T
        i, j, k = corners.astype(np.int32).T
        figure.add_trace(
            graph.Mesh3d(
                x=x, y=y, z=z, i=i, j=j, k=k,
                intensity=(value / field.unit).astype(np.float32),
                cmin=float(low), cmax=float(high if high > low else low + 1.0),
                colorscale=_SCALES.get(field.colours, "Viridis"),
                colorbar={"title": {"text": f"{words}<br>[{unit}", "side": "top"}, "len": 0.75,
                          "thickness": 14},
                name=shot.label or f"{shot.time:.0f} s",
                hovertemplate="%{intensity:.4g}<br>x %{x:.2f}, y %{y:.2f}, z %{z:.2f} µm"
                "<extra></extra>",
                lighting={"ambient": 0.95, "diffuse": 0.1, "specular": 0.0},
                flatshading=False,
                visible=row == first,
            )
        )  # fmt: skip
    steps = [
        {
            "label": f"{shot.label} {shot.time:.0f} s".strip(),
            "method": "restyle",
            "args": ["visible", [other == row for other in range(len(shots))]],
        }
        for row, shot in enumerate(shots)
    ]
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        margin={"l": 10, "r": 0, "t": 40, "b": 30},
        scene={
            "aspectmode": "data",
            "xaxis_title": "x [µm]",
            "yaxis_title": "y [µm]",
            "zaxis_title": "z [µm]",
            "camera": {"eye": {"x": -1.4, "y": 1.3, "z": 0.9}},
        },
        sliders=[
            {
                "steps": steps,
                "active": first,
                "currentvalue": {"prefix": ""},
                "x": 0.05,
                "len": 0.85,
                "pad": {"t": 10, "b": 30},
                "font": {"size": 10},
            }
        ],
    )
    return figure


_SCALES = {"magma_r": "Magma_r", "viridis": "Viridis", "cividis": "Cividis"}
