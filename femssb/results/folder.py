"""A folder of results: its files, whether it holds any, and how new ones take their place."""

import shutil
import time
from pathlib import Path

from femssb.environment.files import newest, remove_leftovers, writing

DOCUMENTS = ("summary.json", "timeseries.csv", "cycles.csv", "case.json", "run.json")
CHECKPOINT, EARLIER_CHECKPOINT = "checkpoint.npz", "checkpoint.previous.npz"
FIELDS_FOLDER = "fields"
_STARTING = ".starting"  # folder of results that will be the first, or replace others


def results_in(folder: Path) -> str:
    """Return in words which results a folder holds, and since when; nothing if it holds none."""
    found = {name: newest(folder, name) for name in (*DOCUMENTS, CHECKPOINT, FIELDS_FOLDER)}
    times = {name: path.stat().st_mtime for name, path in found.items() if path.exists()}
    if not times:
        return ""
    last = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(times.values())))
    return f"{folder} holds results of a run ({', '.join(times)}; last written {last})"


def begin_anew(folder: Path) -> Path:
    """Return an empty folder within a folder of results, for those that will take their place.

    What killed runs left half done is removed.

    Raises:
        InputError: If that is not possible.
    """
    starting = folder / _STARTING
    with writing(folder):
        remove_leftovers(folder)
        if starting.exists():
            shutil.rmtree(starting)
        starting.mkdir()
    return starting
