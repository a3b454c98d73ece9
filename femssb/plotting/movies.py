"""A run as a movie: the opened cell at equal times, and the voltage beside it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.figure import Figure

from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.environment.packages import load
from femssb.errors import EngineError, InputError, check_number
from femssb.plotting import rendering
from femssb.plotting.fields import (
    AROUND,
    BARE,
    coloured,
    field_of,
    limits_of,
    opened_scene,
)
from femssb.plotting.style import STYLE, bare, colour_bar
from femssb.results.fields import FieldData, Snapshot
from femssb.results.solution import Solution
from femssb.units import hour

PIXELS = 500  # height of the cell
DOTS = 130  # of a frame, per inch
FORMATS = (".gif", ".mp4")


@checked
def animate(
    solution: Solution,
    path: str | os.PathLike[str],
    *,
    field: str = "Von Mises stress [Pa]",
    cycle: int | None = None,
    frames: int = 40,
    frames_per_second: float = 8.0,
) -> Path:
    """Write a movie of a cycle, or of the whole run, at equal times.

    The colours mean the same in all frames. Between two snapshots values lie on a straight line: a
    movie shows no more than the snapshots of the run do.

    Args:
        solution: The run; on ranks other than the first nothing is done.
        path: A .gif, or an .mp4 where ffmpeg is; its folder is made if it does not exist.
        field: Name of a scalar field of the particles, such as "Concentration [mol/m3]". What
            surrounds them has a scale of its own, or is grey where it does not have the field.
        cycle: Number of the cycle; None for the whole run.
        frames: Number of pictures.
        frames_per_second: Of the movie.

    Returns:
        The file.

    Raises:
        InputError: If the run has no such cycle or field, no two snapshots in it, or the file
            cannot be written.
        EngineError: If there is no ffmpeg for an .mp4, or VTK finds no OpenGL.
    """
    check_number("animate", "frames", frames, lower=2, upper=2000)
    check_number("animate", "frames_per_second", frames_per_second, lower=0.1, upper=60)
    target = Path(path)
    if target.suffix not in FORMATS:
        raise InputError(f"animate.path = {str(path)!r} must end with one of {', '.join(FORMATS)}")
    start, end = _span(solution, cycle)
    kept = np.array(solution.snapshot_times)
    inside = np.flatnonzero((kept >= start) & (kept <= end))
    if len(inside) < 2:
        raise InputError(
            f"animate.solution has {len(inside)} snapshots from {start:g} to {end:g} s; a movie "
            "needs two"
        )
    if not solution.first_rank:
        return target
    if not rendering.can_render():
        raise EngineError("no movie: VTK finds no OpenGL here (Debian: install libegl1)")
    with rc_context(dict(STYLE)):
        writer = _writer(target, frames_per_second)
        shots = [solution.snapshots[row] for row in inside.tolist()]
        make_folder(target.parent)
        with replacing(target) as temporary:
            beside = temporary.with_suffix(target.suffix)  # by which writers know the format
            _write(writer, beside, solution, shots, field, np.linspace(start, end, frames))
            beside.replace(temporary)
    return target


def _span(solution: Solution, cycle: int | None) -> tuple[float, float]:
    times = solution.series["Time [s]"]
    if cycle is None:
        return float(times[0]), float(times[-1])
    for one in solution.cycles:
        if one.number == cycle:
            steps = one.charge + one.discharge
            return min(s.start_time for s in steps), max(s.end_time for s in steps)
    known = [one.number for one in solution.cycles]
    raise InputError(f"animate.cycle = {cycle} is none of this run's: it has {known}")


def _writer(target: Path, rate: float) -> AbstractMovieWriter:
    if target.suffix == ".gif":
        load("PIL", extra="images")
        return PillowWriter(fps=rate)  # type: ignore[arg-type]  # takes any
    if not FFMpegWriter.isAvailable():
        try:  # its wheel brings a program
            from matplotlib import rcParams

            found = load("imageio_ffmpeg", extra="report").get_ffmpeg_exe()
            rcParams["animation.ffmpeg_path"] = found
        except Exception as error:
            raise EngineError(
                "no movie: there is no ffmpeg for an .mp4; install it, or write a .gif"
            ) from error
    options = {"codec": "libx264", "extra_args": ["-pix_fmt", "yuv420p"]}
    return FFMpegWriter(fps=rate, **options)  # type: ignore[arg-type]  # takes any


def _write(
    writer: AbstractMovieWriter,
    path: Path,
    solution: Solution,
    shots: list[Snapshot],
    name: str,
    times: np.ndarray[Any, Any],
) -> None:
    scenes = [opened_scene(shot) for shot in shots]
    inside, field = scenes[0].solids[-1].point_data, field_of(name)
    if name not in inside or inside[name].ndim != 1:
        able = sorted(n for n in inside if inside[n].ndim == 1)
        raise InputError(f"animate.field = {name!r} is none of {able}")
    fields = [field._replace(colours=AROUND), field][-len(scenes[0].values(field)) :]
    values = zip(*(scene.values(field) for scene in scenes), strict=True)
    scales = [limits_of(field, body) for field, body in zip(fields, values, strict=True)]
    looks = [coloured(field, limits) for field, limits in zip(fields, scales, strict=True)]
    looks = [BARE] * (len(scenes[0].solids) - len(looks)) + looks
    view = scenes[0].view
    figure = Figure(figsize=(6.4, 1.2 + 4.6 / max(view.aspect, 1.0)), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1])
    bare(above)
    words = ("around", "in particles") if len(fields) > 1 else ("",)
    for one, limits, where in zip(fields, scales, words, strict=True):
        label = f"{one.label}\n{where}".strip()
        colour_bar(figure, limits, one.unit, label, one.colours, ax=above, shrink=0.8)
    series = solution.series
    hours = series["Time [s]"] / hour
    below.plot(hours, series["Voltage [V]"], color="black")
    (dot,) = below.plot([], [], "o", color="#D55E00")
    below.set(xlabel="Time [h]", ylabel="Voltage [V]")
    picture = None
    with rendering.renderer(PIXELS) as draw, writer.saving(figure, str(path), DOTS):
        for time in times.tolist():
            scene = opened_scene(between(shots, time))
            pixels = draw(view, scene.layers(*looks))
            if picture is None:
                picture = above.imshow(pixels, extent=view.extent)
            picture.set_data(pixels)
            voltage = np.interp(time / hour, hours, series["Voltage [V]"])
            dot.set_data([time / hour], [voltage])
            above.set_title(f"{time / hour:.2f} h")
            writer.grab_frame()


def between(shots: list[Snapshot], time: float) -> Snapshot:
    """Return the fields at a time between snapshots, on straight lines."""
    times = np.array([shot.time for shot in shots])
    after = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1))
    one, other = shots[after - 1], shots[after]
    share = float(np.clip((time - one.time) / (other.time - one.time), 0.0, 1.0))

    def mixed(first: FieldData, second: FieldData) -> FieldData:
        def mix(a: Any, b: Any) -> Any:
            return {
                name: values if values.dtype.kind != "f" else (1 - share) * values + share * b[name]
                for name, values in a.items()
            }

        return FieldData(
            points=first.points,
            cells=first.cells,
            point_data=mix(first.point_data, second.point_data),
            cell_data=mix(first.cell_data, second.cell_data),
        )

    parts = {name: mixed(data, other.parts[name]) for name, data in one.parts.items()}
    return Snapshot(time=time, label="", **parts)
