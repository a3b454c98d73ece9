"""Figures of a run, and of several next to each other, written to files. Computes nothing.

The figures themselves are in `femssb.plotting.curves` and `femssb.plotting.fields`. Matplotlib and
PyVista are loaded with the first figure, not with this module, which every rank imports.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from femssb.description import checked
from femssb.environment.files import make_folder
from femssb.plotting import curves
from femssb.plotting.curves import Reference, check_many
from femssb.plotting.style import check_format, save
from femssb.results.fields import Snapshot
from femssb.results.solution import Solution, StepRecord

MANY = 6  # particles that are not drawn one by one

logger = logging.getLogger(__name__)


@checked
def cycle(solution: Solution, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw a run: curves against time, losses against capacity, particles, opened cell, gap.

    Of many particles one picture, ``particles.png``, takes the place of sections, gap and cell.
    Pictures of fields are those of the first cycle and, in files named ``..._cycle_N.png``, of the
    last one, where there are several; ``cycles.png`` shows what each of them passed then.
    Renderings need snapshots; where VTK finds no OpenGL they are left out, with a warning.

    Args:
        solution: The run, as computed or as loaded.
        folder: Where the figures go; made if it does not exist.

    Returns:
        The files written; none on ranks other than the first.

    Raises:
        InputError: If the folder cannot be made, or a file of the fields is damaged.
    """
    if not solution.first_rank:
        return []
    target = make_folder(Path(folder))
    over_time = (curves.voltage_and_gap, curves.lithium, curves.stress_and_strain)
    written = [save(target / f"{draw.__name__}.png", draw, solution) for draw in over_time]
    if solution.charge or solution.discharge:
        written.append(save(target / "losses.png", curves.losses, solution))
    cycles = solution.cycles
    if len(cycles) > 1:
        written.append(save(target / "cycles.png", curves.cycles, solution))
    if not len(solution.snapshots) or not _can_render():
        return written
    written += _pictures(solution, [solution.charge, solution.discharge], target, "")
    if len(cycles) > 1:
        last = cycles[-1]
        halves = [last.charge, last.discharge]
        written += _pictures(solution, halves, target, f"_cycle_{last.number}")
    return written


def _pictures(
    solution: Solution, halves: Sequence[Sequence[StepRecord]], target: Path, suffix: str
) -> list[Path]:
    """Draw the fields of a cycle, given its charge and its discharge; return the files."""
    from femssb.plotting import fields

    halves = sorted((half for half in halves if half), key=lambda half: half[0].start_time)
    snapshots = [solution.snapshots[row] for row in _chosen_rows(solution, halves)]
    numbers = np.unique(snapshots[0].particle.cell_data["Particle [-]"]).tolist()
    written = []
    if len(numbers) > MANY:
        ends = [_nearest(snapshots, half[-1].end_time) for half in halves] or snapshots[-1:]
        return [save(target / f"particles{suffix}.png", fields.particles, ends)]
    for number in numbers:
        name = "sections" if len(numbers) == 1 else f"sections_particle_{number + 1}"
        draw = fields.sections, snapshots, int(number)
        written.append(save(target / f"{name}{suffix}.png", *draw))
    charged = next((half for half in halves if half[0].kind == "charge"), None)
    peak = charged[-1].end_time if charged else snapshots[-1].time
    nearest = _nearest(snapshots, peak)
    written.append(save(target / f"cell{suffix}.png", fields.opened_cell, nearest))
    written.append(save(target / f"gap{suffix}.png", fields.gap, snapshots))
    return written


def _nearest(snapshots: Sequence[Snapshot], time: float) -> Snapshot:
    return min(snapshots, key=lambda snapshot: abs(snapshot.time - time))


@checked
def compare(
    solutions: Mapping[str, Solution],
    columns: Sequence[str],
    path: str | os.PathLike[str],
    *,
    nominal_times: Mapping[str, float] | None = None,
    reference: Sequence[Reference] = (),
) -> list[Path]:
    """Draw time series of several runs: a panel per column, a curve per run.

    Args:
        solutions: Label -> run.
        columns: Names of columns. One of `PARTICLE_COLUMNS`, as it is written there with its "k",
            shows a curve per particle.
        path: The figure: a .png, .pdf or .svg file; its folder is made if it does not exist.
        nominal_times: Label -> time that the time axis of the run is divided by [s].
        reference: Values from elsewhere to compare with.

    Returns:
        The file written; none on ranks other than the first.

    Raises:
        InputError: If a run lacks a column or a nominal time, a reference belongs to no run, panel
            or moment, or the file cannot be written.
    """
    curves.check_comparison(solutions, columns, nominal_times, reference)
    if not _wanted(solutions, path):
        return []
    return [save(path, curves.comparison, solutions, columns, nominal_times, reference)]


@checked
def compare_sections(
    solutions: Mapping[str, Solution],
    fields: Sequence[str],
    path: str | os.PathLike[str],
    *,
    moments: Sequence[str] = ("charge end", "discharge end"),
    plane: str = "z-y",
    particle: int = 1,
) -> list[Path]:
    """Draw sections of a particle in several runs: a row per field and moment, a column per run.

    The colours of a row mean the same in all its pictures.

    Args:
        solutions: Label -> run.
        fields: Names of scalar fields of the particles, such as "Von Mises stress [Pa]".
        path: The figure: a .png, .pdf or .svg file; its folder is made if it does not exist.
        moments: Names of moments that `Solution.time_of` knows.
        plane: Through the middle of the particle: "x-y", "z-y" or "z-x" (right-up).
        particle: Its number, from 1.

    Returns:
        The file written; none on ranks other than the first, nor, with a warning, where VTK finds
        no OpenGL.

    Raises:
        InputError: If a run lacks a field, a moment or the particle, there is no such plane, or the
            file cannot be written.
    """
    check_many("solutions", solutions)
    check_many("fields", fields)
    check_many("moments", moments)
    if not _wanted(solutions, path) or not _can_render():
        return []
    from femssb.plotting.fields import compared_sections

    return [save(path, compared_sections, solutions, fields, moments, plane, particle - 1)]


@checked
def compare_cells(
    solutions: Mapping[str, Solution],
    path: str | os.PathLike[str],
    *,
    field: str = "Von Mises stress [Pa]",
    moments: Sequence[str] = ("charge end",),
) -> list[Path]:
    """Draw the whole cell, opened, in several runs: a row per moment, a column per run.

    The colours of a row mean the same in all its pictures.

    Args:
        solutions: Label -> run.
        path: The figure: a .png, .pdf or .svg file; its folder is made if it does not exist.
        field: Name of a scalar field of the particles and of what surrounds them.
        moments: Names of moments that `Solution.time_of` knows.

    Returns:
        The file written; none on ranks other than the first, nor, with a warning, where VTK finds
        no OpenGL.

    Raises:
        InputError: If a run lacks the field or a moment, or the file cannot be written.
    """
    check_many("solutions", solutions)
    check_many("moments", moments)
    if not _wanted(solutions, path) or not _can_render():
        return []
    from femssb.plotting.fields import compared_cells

    return [save(path, compared_cells, solutions, field, moments)]


def _wanted(solutions: Mapping[str, Solution], path: str | os.PathLike[str]) -> bool:
    """Check the path of a figure and return whether this rank draws it, its folder being made."""
    target = check_format(path)
    first = all(solution.first_rank for solution in solutions.values())
    if first:
        make_folder(target.parent)
    return first


def _can_render() -> bool:
    from femssb.plotting import rendering

    if not rendering.can_render():
        logger.warning("no renderings: VTK finds no OpenGL here (Debian: install libegl1)")
        return False
    return True


def _chosen_rows(solution: Solution, halves: Sequence[Sequence[StepRecord]]) -> list[int]:
    """Return the snapshots nearest to start, middle and end of half-cycles."""
    available = np.array(solution.snapshot_times)
    targets = [halves[0][0].start_time] if halves else []
    for half in halves:
        start, end = half[0].start_time, half[-1].end_time
        targets += [(start + end) / 2, end]
    if not targets:
        targets = list(np.linspace(available[0], available[-1], 5))
    return sorted({int(np.argmin(np.abs(available - target))) for target in targets})
