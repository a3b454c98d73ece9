"""Command lines made from the signature of a function."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from femssb import units
from femssb.errors import FemssbError, InputError


def command(main: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Run a function from the command line and return the exit code.

    Every parameter becomes an option, ``--c-rate`` from ``c_rate``; one without a default is
    positional. Its annotation says the type, and within `Annotated` the help text and, optionally
    and first, the unit of numbers on the command line, a name of `femssb.units`::

        def main(size: Annotated[float, "um", "element size"] = 0.5 * um) -> None: ...

    ``--size 0.8`` then calls ``main(size=0.8e-6)``. A bool is a pair of flags,
    ``--resume`` and ``--no-resume``.

    Args:
        main: The function. The first paragraph of its module's or own docstring is the help.
        arguments: Words of the command line; those of this process if left out.

    Returns:
        0, or 2 after one line on standard error that says what is wrong with the input.
    """
    return exit_code(lambda: main(**_parsed(main, arguments)))


def exit_code(work: Callable[[], object]) -> int:
    """Do some work and return 0, or 2 after the one line that says what is wrong."""
    try:
        work()
    except FemssbError as error:
        if _is_first_rank():
            sys.stderr.write(f"femssb: {error}\n")
        return 2
    return 0


class Parser(argparse.ArgumentParser):
    """Reads arguments; a wrong one is an `InputError` like any other bad input."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, which every rank would do."""
        raise InputError(f"{message} (see --help)")


def add_options(parser: argparse.ArgumentParser, function: Callable[..., object]) -> None:
    """Add an option to a parser for every parameter of a function: see `command`."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, unit, text = _said(hints.get(name, str))
        default = parameter.default
        options: dict[str, Any] = {"help": f"{text} [{unit}]" if unit else text}
        if kind is bool:
            options |= {"action": argparse.BooleanOptionalAction, "default": default}
            parser.add_argument(f"--{name.replace('_', '-')}", **options)
            continue
        if get_origin(kind) in (tuple, list):
            options["nargs"] = "+"
            kind = get_args(kind)[0]
        if get_origin(kind) is Literal:
            options["choices"] = get_args(kind)
            kind = str
        options["type"] = kind
        if default is inspect.Parameter.empty:
            parser.add_argument(name, **options)
            continue
        if default is not None:
            options["default"] = _shown(default, unit) if unit else default
        parser.add_argument(f"--{name.replace('_', '-')}", **options)


def read_options(options: argparse.Namespace, function: Callable[..., object]) -> dict[str, Any]:
    """Return the arguments of a function that `add_options` asked for, in SI units."""
    hints = get_type_hints(function, include_extras=True)
    values = {}
    for name in inspect.signature(function).parameters:
        kind, unit, _ = _said(hints.get(name, str))
        value = getattr(options, name)
        if get_origin(kind) is tuple and value is not None:
            value = tuple(value)
        values[name] = _scaled(value, _multiplier(unit)) if unit and value is not None else value
    return values


def _parsed(main: Callable[..., object], arguments: Sequence[str] | None) -> dict[str, Any]:
    module = inspect.getmodule(main)
    text = inspect.getdoc(main) or (module and inspect.getdoc(module)) or ""
    parser = Parser(
        description=text.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_options(parser, main)
    return read_options(parser.parse_args(arguments), main)


def _said(hint: Any) -> tuple[Any, str, str]:
    """Return type, unit and help text of an annotated parameter."""
    notes: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        notes = tuple(rest)
    members = [one for one in get_args(hint) if one is not type(None)]
    if len(members) == 1 and get_origin(hint) not in (tuple, list, Literal):
        hint = members[0]  # X | None
    if hint == str | Path:
        hint = Path
    unit = notes[0] if len(notes) == 2 else ""
    return hint, unit, notes[-1] if notes else ""


def _multiplier(unit: str) -> float:
    return float(getattr(units, unit))


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_scaled(one, factor) for one in value)
    return value * factor


def _shown(default: Any, unit: str) -> Any:
    """Return a default in the unit of the command line, without the roundoff of the division."""
    if isinstance(default, list | tuple):
        return type(default)(_shown(one, unit) for one in default)
    return float(f"{default / _multiplier(unit):.12g}")


def _is_first_rank() -> bool:
    """Return whether this process is the one that speaks; MPI is asked only if it is running."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is None or not mpi.Is_initialized() or mpi.COMM_WORLD.rank == 0
