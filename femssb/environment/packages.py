"""Packages that only some of femssb needs, loaded where they are needed."""

from importlib import import_module
from typing import Any

from femssb.errors import EngineError


def load(module: str, *, extra: str) -> Any:
    """Return a module of a package that may be missing.

    Args:
        module: Its dotted name.
        extra: The extra of femssb that installs it.

    Raises:
        EngineError: If it cannot be imported; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        lost = isinstance(error, ModuleNotFoundError) and error.name in (None, package, module)
        raise EngineError(
            f"{package} {'is missing' if lost else f'does not load ({error})'}: install it with "
            f"`pip install '.[{extra}]'` in the folder of femssb, or from conda-forge"
        ) from error
