"""Tables of Yade: ``export.text`` and its kin, which name their columns, and ``SpherePack.save``.

Spheres that are joined to clumps are refused: they are the parts of particles of another shape.
"""

from pathlib import Path

import numpy as np

from femssb.errors import InputError
from femssb.packing.files.spheres import Spheres, numbers
from femssb.tables import read_text

_FORMAT, _PERIODIC = "#format ", "##PERIODIC::"
_OF_PACK = "x_y_z_r_clumpId"  # columns of SpherePack.save, which does not name them
_NEEDED, _KNOWN = ("x", "y", "z", "r"), ("id", "matId", "clumpId", "attrs")


def spheres_in(path: Path, style: str | None) -> Spheres:
    """Return the spheres of a table, whose columns are those of its format, or of `style`."""
    lines = read_text(path).splitlines()
    named = [line.removeprefix(_FORMAT).strip() for line in lines[:1] if line.startswith(_FORMAT)]
    cell = [line.removeprefix(_PERIODIC) for line in lines if line.startswith(_PERIODIC)]
    named += [_OF_PACK] * len(cell)
    if not named and style is None:
        raise InputError(
            f"read: {path.name} does not begin with '#format' or '##PERIODIC::', as tables of Yade "
            f"do: give style={_OF_PACK!r} or 'x_y_z_r' if it is one"
        )
    if named and style is not None and named[0] != style:
        raise InputError(f"read: style = {style!r}, but {path.name} says {named[0]!r}")
    columns = (named[0] if named else str(style)).split("_")
    if not {*_NEEDED} <= {*columns} <= {*_NEEDED, *_KNOWN} or len({*columns}) < len(columns):
        raise InputError(
            f"read: {path.name} has the format {'_'.join(columns)!r}, expected x_y_z_r with or "
            f"without {', '.join(_KNOWN)}"
        )
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    width = len(columns)
    if "attrs" in columns:  # the last column stands for any number of them
        columns = columns[:-1]
        width = len(rows[0]) if rows else len(columns)
    table = numbers(path, rows, width, range(len(columns)))
    found = dict(zip(columns, table.T, strict=True))
    joined = np.count_nonzero(found.get("clumpId", np.full(1, -1.0)) >= 0)
    if joined:
        raise InputError(
            f"read: {path.name} has {joined} spheres that are joined to clumps: these are no "
            "spheres"
        )
    corners = sides = None
    if cell:
        corners = np.array([np.zeros(3), [float(word) for word in cell[0].split()]])
        sides = (True, True, True)
    return Spheres(
        positions=np.column_stack([found[axis] for axis in "xyz"]),
        radii=found["r"],
        ids=found.get("id"),
        types=found.get("matId"),
        corners=corners,
        sides=sides,
    )
