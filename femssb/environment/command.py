"""Command lines made from the signatures of functions."""

import argparse
import errno
import inspect
import os
import signal
import sys
import time
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, TypeAliasType, Union, get_args, get_origin

from femssb import units
from femssb.description import checked
from femssb.errors import FemssbError, InputError, Interrupted, shown

# Errors that a library meets when the disk is full or read-only, or too many files are open.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # set by mpirun


@checked
def command(main: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Run a function from the command line and return the exit code.

    Every parameter becomes an option, ``--c-rate`` from ``c_rate``; one without a default is
    positional, and a bool is a pair of flags, ``--resume`` and ``--no-resume``. The annotation
    gives the type and, within `Annotated`, the help text and, before it, the unit of numbers on
    the command line, a name of `femssb.units`::

        def main(size: Annotated[float, "um", "element size"] = 0.5 * um) -> None: ...

    ``--size 0.8`` then calls ``main(size=0.8e-6)``; the default of the function holds without it.

    Args:
        main: The function; its parameters are numbers, words, paths, `Literal`, bool, or tuples
            or lists of these, or None. The first paragraph of its docstring, or of that of its
            module, is the help.
        arguments: Words of the command line; those of this process if left out.

    Returns:
        0; 2 after one line on standard error that names the wrong input; 130 or 143 after one that
        says by which signal the work was stopped.
    """

    def work() -> None:
        parser = Parser(description=summary(main))
        add_options(parser, main)
        main(**read_options(parser.parse_args(arguments), main))

    return exit_code(work)


def exit_code(work: Callable[[], object]) -> int:
    """Do some work and return the exit code: see `command`."""
    try:
        work()
    except Interrupted as stop:  # on all ranks; who raised it has said so
        return stop.code
    except KeyboardInterrupt:
        return _fail("stopped by SIGINT", 128 + signal.SIGINT)
    except FemssbError as error:
        return _fail(str(error), 2)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        return _fail(f"cannot write {error.filename or 'a file'}: {error.strerror}", 2)
    return 0


def _fail(message: str, code: int) -> int:
    """Say why this process fails, in one line, and return its exit code.

    Of several ranks that fail together one speaks; one that fails alone ends the others.
    """
    mpi, alone = _running_mpi(), False
    if mpi is not None and mpi.COMM_WORLD.size > 1:
        from femssb.environment.ranks import fails_alone  # with NumPy, which commands do not need

        alone = fails_alone(mpi.COMM_WORLD)
    if alone or _is_first_rank():
        sys.stderr.write(f"femssb: {message}\n")
        sys.stderr.flush()
    if mpi is not None and alone:
        time.sleep(1.0)  # mpirun must have passed the message on before it ends
        mpi.COMM_WORLD.Abort(code)
    return code


class Parser(argparse.ArgumentParser):
    """Reads arguments; a wrong one is an `InputError` like any other bad input."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, which every rank would do."""
        raise InputError(f"{message} (see --help)")


def summary(thing: object) -> str:
    """Return the first paragraph of the docstring of a function or module, or of its module."""
    text = inspect.getdoc(thing) or inspect.getdoc(inspect.getmodule(thing)) or ""
    return text.split("\n\n")[0]


def add_options(parser: argparse.ArgumentParser, function: Callable[..., object]) -> None:
    """Add an option to a parser for every parameter of a function except ``**``: see `command`."""
    for name, parameter, kind, unit, text in _parameters(function):
        default = parameter.default
        if unit:
            text = f"{text} [{unit}]"
        if default is not inspect.Parameter.empty and default is not None:
            text = f"{text} (default: {_shown(default, unit)})"
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            if get_origin(kind) in (tuple, list):
                options["nargs"] = "+"
                kind = _kind(get_args(kind)[0])
            if get_origin(kind) is Literal:
                options["choices"] = get_args(kind)
                kind = type(get_args(kind)[0])
            options["type"] = kind
        positional = default is inspect.Parameter.empty
        parser.add_argument(name if positional else f"--{name.replace('_', '-')}", **options)


def read_options(options: argparse.Namespace, function: Callable[..., object]) -> dict[str, Any]:
    """Return those arguments of a function that were given, in SI units: see `add_options`."""
    values = {}
    for name, _, kind, unit, _ in _parameters(function):
        if hasattr(options, name):
            given = getattr(options, name)
            many = given if isinstance(given, list) else [given]
            scaled = [one * _factor(unit) for one in many] if unit else many
            values[name] = get_origin(kind)(scaled) if many is given else scaled[0]
    return values


def _parameters(
    function: Callable[..., object],
) -> Iterator[tuple[str, inspect.Parameter, Any, str, str]]:
    """Yield name, parameter, type, unit and help text of every parameter of a function."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError, NameError) as error:  # not written in Python, or not understood
        raise InputError(f"command.main = {shown(function)} has no signature: {error}") from error
    for name, parameter in parameters.items():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            hint = hints.get(name, str)
            kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
            unit = notes[0] if len(notes) == 2 else ""
            yield name, parameter, _kind(kind), unit, notes[-1]


def _kind(hint: Any) -> Any:
    """Return the type of an annotation without its alternative None."""
    if isinstance(hint, TypeAliasType):
        return _kind(hint.__value__)
    if get_origin(hint) in (Union, UnionType):
        members = [one for one in get_args(hint) if one is not type(None)]
        return Path if Path in members else _kind(members[0])
    return hint


def _factor(unit: str) -> float:
    return float(getattr(units, unit))


def _shown(default: Any, unit: str) -> str:
    """Return a default as it would be typed, in the unit of the command line."""
    if isinstance(default, list | tuple):
        return " ".join(_shown(one, unit) for one in default)
    return f"{default / _factor(unit):.6g}" if unit else str(default)


def _is_first_rank() -> bool:
    """Return whether this process is the one that speaks; MPI is not started for it."""
    mpi = _running_mpi()
    if mpi is not None:
        return bool(mpi.COMM_WORLD.rank == 0)
    return all(os.environ.get(variable, "0") == "0" for variable in RANK_VARIABLES)


def _running_mpi() -> Any:
    """Return the module of MPI if that has been started, else None."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized() else None
