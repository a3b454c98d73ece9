"""The folder in which compiled code is kept, which nobody but the user may write into.

What is loaded from it runs with the rights of the user: it is never that of the current folder, and
never one that others can change.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from femssb.errors import EngineError


def home() -> Path | None:
    """Return the folder of caches: ``$XDG_CACHE_HOME``, or ``~/.cache``; None without a home.

    The XDG Base Directory Specification has an empty or a relative path ignored.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    own = os.path.expanduser("~")
    return Path(own) / ".cache" if os.path.isabs(own) else None


def ignore_relative_home() -> None:
    """Have the libraries of this process ignore empty and relative folders of the XDG, too.

    DOLFINx and Numba would load what they compiled, and how to compile, from the current folder.
    """
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if not os.path.isabs(os.environ.get(variable, "/")):
            del os.environ[variable]


def private_folder() -> Path | None:
    """Return the folder of femssb's own cache, made if need be; None where none can be written.

    Raises:
        EngineError: If it is there, but belongs to others, can be written by them, or is a link.
    """
    above = home()
    if above is None:
        return None
    folder = above / "femssb"
    try:
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found, around = folder.lstat(), above.stat().st_mode
    except OSError:  # no permission, a full or read-only disk, a file in the place of a folder
        return None
    wrong = None
    if not stat.S_ISDIR(found.st_mode):
        wrong = "is a link or a file, not a folder"
    elif found.st_uid != os.geteuid():
        wrong = f"belongs to user {found.st_uid}, not to user {os.geteuid()}"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        wrong = f"can be written by others (mode {stat.S_IMODE(found.st_mode):o})"
    elif around & stat.S_IWOTH and not around & stat.S_ISVTX:
        wrong = "is in a folder in which everyone can replace it"
    if wrong:
        raise EngineError(
            f"the cache {folder} {wrong}: compiled code in it may not be yours. Remove it, or name "
            "a folder of your own by XDG_CACHE_HOME"
        )
    with suppress(OSError):
        folder.chmod(0o700)
    return folder
