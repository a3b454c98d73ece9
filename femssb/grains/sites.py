"""Grains from plain tables of sites."""

import csv
from pathlib import Path

import numpy as np

from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.grains.rotations import rotations
from femssb.inputs.geometry import Grain
from femssb.tables import LARGEST_UNIT, SMALLEST_UNIT, numbers, read_text
from femssb.units import um

COLUMNS = ("x", "y", "z", "weight", "qw", "qx", "qy", "qz")


@checked
def read_sites(path: str | Path, *, unit: float = um) -> tuple[Grain, ...]:
    """Read a table of sites with the columns x, y, z, perhaps weight, perhaps qw, qx, qy, qz.

    The first line may name the columns; without it there are 3, 4, 7 or 8 in this order. Sites are
    given from the centre of the particle; quaternions describe the rotation whose matrix has the
    crystal axes as columns. Grains without one get a random orientation.

    Args:
        path: A CSV file; lines that begin with # are left out.
        unit: Length of the unit of the file [m]; weights are in its square.

    Raises:
        InputError: If the file is missing or damaged, or a column is unknown.
    """
    check_number("read_sites", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    path = Path(path)
    lines = [line.strip() for line in read_text(path).split("\n")]
    try:
        reader = csv.reader(line for line in lines if line and not line.startswith("#"))
        rows = [[item.strip() for item in row] for row in reader]
    except csv.Error as error:
        raise InputError(f"{path.name} is not a table: {error}") from error
    if not rows:
        raise InputError(f"{path.name} is empty")
    names = [name.lower() for name in rows[0]]
    if not set(names).isdisjoint(COLUMNS):
        rows = rows[1:]
    else:
        by_count = {3: COLUMNS[:3], 4: COLUMNS[:4], 7: COLUMNS[:3] + COLUMNS[4:], 8: COLUMNS}
        names = list(by_count.get(len(names), ()))
    unknown = sorted(set(names) - set(COLUMNS))
    missing = [name for name in COLUMNS[:3] if name not in names]
    if not set(names).isdisjoint(COLUMNS[4:]):
        missing += [name for name in COLUMNS[4:] if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if unknown or missing or twice:
        raise InputError(
            f"{path.name}: missing columns {missing}, unknown columns {unknown}, columns given "
            f"twice {twice}; allowed are {', '.join(COLUMNS)}"
        )
    if not rows:
        raise InputError(f"{path.name} has no sites")
    table = numbers(f"{path.name}: table", rows, len(names))
    column = {name: table[:, index] for index, name in enumerate(names)}
    points = np.stack([column[name] for name in COLUMNS[:3]], axis=1) * unit
    weights = column.get("weight", np.zeros(len(table))) * unit**2
    orientations = None
    if "qw" in column:
        quaternions = np.stack([column[name] for name in COLUMNS[4:]], axis=1)
        orientations = rotations(path.name, "quaternion", quaternions).as_matrix()
    return tuple(
        Grain(
            point=points[row],
            weight=weights[row],
            orientation=None if orientations is None else orientations[row],
        )
        for row in range(len(table))
    )
