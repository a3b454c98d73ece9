"""Particles that are no spheres, by the names that programs give to what makes them so."""

import re
from collections.abc import Iterable
from pathlib import Path

from femssb.errors import InputError

# Columns and arrays of LAMMPS, LIGGGHTS and OVITO.
_NO_SPHERES = re.compile(
    r"shape|quat|orient|blockiness|roundness|corner|ellips|superq|c_q\[|clump|multisphere|"
    r"^body|id_ms",
    re.IGNORECASE,
)


def check_spheres(path: Path, names: Iterable[str]) -> None:
    """Raise InputError if a file has columns that only other particles have."""
    if odd := [name for name in names if _NO_SPHERES.search(name)]:
        raise InputError(f"read: {path.name} has the columns {odd}: its particles are no spheres")
