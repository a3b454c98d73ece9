"""Everything public that can be called, found by the names that the package lists."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import femssb

ROOT = Path(femssb.__file__).parent


@dataclass(frozen=True)
class Public:
    """A class or a function that the package lists."""

    name: str
    thing: Callable[..., Any]

    @property
    def is_class(self) -> bool:
        """Whether calling it makes an instance."""
        return inspect.isclass(self.thing)


def packages() -> list[str]:
    """Return the packages that list public names."""
    stubs = sorted(ROOT.rglob("__init__.pyi"))
    return [".".join(("femssb", *stub.parent.relative_to(ROOT).parts)) for stub in stubs]


def callables() -> dict[str, Public]:
    """Return all classes and functions that are public, each once, by their full names."""
    found: dict[str, Public] = {}
    seen: set[int] = set()
    for package in packages()[1:] + packages()[:1]:  # where a name is listed twice, its own folder
        module = importlib.import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.ismodule(thing) or not callable(thing) or id(thing) in seen:
                continue
            seen.add(id(thing))
            full = f"{package}.{name}".removeprefix("femssb.")
            found[full] = Public(full, thing)
    return found


def methods(public: Public) -> list[str]:
    """Return the full names of the public methods of a class that take arguments."""
    found = []
    if not public.is_class:
        return found
    for name, member in vars(public.thing).items():
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if (name.startswith("_") and name != "__call__") or not inspect.isfunction(function):
            continue
        if len(inspect.signature(function).parameters) > 1:
            found.append(f"{public.name}.{name}")
    return found


def is_error(public: Public) -> bool:
    """Return whether it is an exception: those are raised, not called by users."""
    return inspect.isclass(public.thing) and issubclass(public.thing, BaseException)
