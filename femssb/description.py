"""Frozen descriptions: the inputs of a user, checked field by field when they are made.

A description is a frozen dataclass whose fields carry their meaning, unit and bounds. The check,
the error message and the docstring all come from there::

    @description
    class Pressure:
        \"\"\"The face is pushed inwards by a dead load.\"\"\"

        pressure: float = field("positive compresses", unit="Pa", lower=-1e10, upper=1e10)

A check across fields stands in ``__post_init__``, which runs once every field is sound. A derived
description is checked as its bases are, then by its own ``__post_init__``.

The arguments of a function are checked in the same way, by their annotations, where it is
`checked`.
"""

import builtins
import dataclasses
import inspect
import numbers
import os
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from math import inf
from typing import (
    Any,
    Literal,
    TypeAliasType,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    overload,
)

from femssb.errors import InputError, check_number, shown

type Test = Callable[[Any], bool]
type Keep = Callable[[str, str, Any], Any]  # owner, field, value -> value as it is kept

_WORDS = {  # for one and for many
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    bool: ("True or False", "True or False"),
    str: ("a word", "words"),
    type(None): ("None", "None"),
}


def field(
    meaning: str,
    *,
    unit: str = "",
    lower: float | None = None,
    upper: float | None = None,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
) -> Any:
    """Declare a field of a `description`.

    Numbers must be finite. Bounds hold for every number in the field, also for those in a tuple,
    in an array and for the values of a mapping; anything else is checked by its annotation alone.
    A tuple of any length may be empty only where ``()`` is the default.

    Args:
        meaning: Words for the docstring.
        unit: SI unit of the numbers.
        lower: Smallest value allowed.
        upper: Largest value allowed.
        above: Bound that must be exceeded.
        below: Bound that must not be reached.
        infinite: Allow plus infinity, too.
        default: Value if none is given; without it the field is required.
        default_factory: Function that makes the value if none is given.
    """
    given = {"lower": lower, "upper": upper, "above": above, "below": below}
    bounds = {name: bound for name, bound in given.items() if bound is not None}
    metadata = {"meaning": meaning, "unit": unit, "bounds": bounds, "infinite": infinite}
    return dataclasses.field(default=default, default_factory=default_factory, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def description[Class: type](cls: Class) -> Class:
    """Make a class a frozen dataclass, with keywords only, that checks every field when made.

    Lists and arrays become tuples, mappings become dictionaries, and NumPy numbers plain ones, so
    that a description can be compared, and kept as text.

    Raises:
        InputError: When an instance is made with a field of the wrong kind or out of its bounds;
            the message names the field, the value and the bound.
    """
    found = (vars(base).get("__post_init__") for base in reversed(cls.__mro__))
    across = [getattr(check, "across", check) for check in found if check is not None]

    def check(self: Any) -> None:
        owner: Any = type(self)
        for name, keep in _keepers(owner):
            value = getattr(self, name)
            kept = keep(owner.__name__, name, value)
            if kept is not value:
                object.__setattr__(self, name, kept)
        for check_across in across:
            check_across(self)

    check.across = vars(cls).get("__post_init__", lambda _: None)  # type: ignore[attr-defined]
    cls.__post_init__ = check  # type: ignore[attr-defined]
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True, slots=True)(cls)
    made.__doc__ = _document(made)
    return made


@overload
def checked[Class: type](thing: Class) -> Class: ...


@overload
def checked[**P, R](thing: Callable[P, R]) -> Callable[P, R]: ...


def checked(thing: Any) -> Any:
    """Make a function check the kind of every argument by its annotation, before any work.

    Words and paths must not be empty; whatever NumPy makes an array of numbers of may stand for an
    array. Bounds are for the function itself to check, with `check_number`. Of a dataclass the
    fields are checked, in which words may be empty.

    Raises:
        InputError: When it is called with an argument of the wrong kind; the message names it.
    """
    if isinstance(thing, type):
        thing.__init__ = _checked(thing.__init__, of_data=True)  # type: ignore[misc]
        return thing
    return _checked(thing, of_data=False)


def _checked(function: Any, *, of_data: bool) -> Any:
    signature = inspect.signature(function)
    owner = function.__qualname__.removesuffix(".__init__")

    @cache
    def keepers() -> dict[str, Keep]:
        hints = typing.get_type_hints(function, localns=_Names(inspect.unwrap(function)))
        about = {"argument": True, "data": of_data}
        item: Any = dataclasses.field(default=(), metadata=about)
        return {name: _one_of(hint, item) for name, hint in hints.items() if name != "return"}

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named)
        known = keepers()
        for name, value in given.arguments.items():
            if name not in known:
                continue
            keep, kind = known[name], signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                value = tuple(keep(owner, f"{name}[{row}]", one) for row, one in enumerate(value))
            elif kind is inspect.Parameter.VAR_KEYWORD:
                value = {key: keep(owner, key, one) for key, one in value.items()}
            else:
                value = keep(owner, name, value)
            given.arguments[name] = value
        return function(*given.args, **given.kwargs)

    return call


class _Elsewhere(type):
    """Stands for a type of a package that is loaded for its types alone: anything may be one."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class _Names(dict[str, Any]):
    """The names that annotations use, those that the module does not load included."""

    def __init__(self, function: Any) -> None:
        super().__init__({one.__name__: Any for one in function.__type_params__})
        self.known = {*vars(builtins), *function.__globals__}

    def __missing__(self, name: str) -> Any:
        if name in self.known:
            raise KeyError(name)
        return _Elsewhere(name, (), {})


@cache
def _keepers(cls: Any) -> tuple[tuple[str, Keep], ...]:
    """Return name and check of each field; annotations are looked up once, at first use."""
    hints = typing.get_type_hints(cls)
    return tuple((item.name, _one_of(hints[item.name], item)) for item in dataclasses.fields(cls))


def _one_of(hint: Any, item: dataclasses.Field[Any]) -> Keep:
    """Return the check of an annotation: the first alternative that a value passes counts."""
    kinds = [_kind(kind, item) for kind in _alternatives(hint)]
    unit = f" [{item.metadata['unit']}]" if item.metadata.get("unit") else ""
    wanted = " or ".join(_worded(kind) for kind in _alternatives(hint)) + unit

    def keep(owner: str, name: str, value: Any) -> Any:
        error = None
        for fits, keep_as in kinds:
            if fits(value):
                try:
                    return keep_as(owner, name, value)
                except InputError as found:
                    error = found
        raise error or InputError(f"{owner}.{name} must be {wanted}, got {shown(value)}")

    return keep


def _alternatives(hint: Any) -> list[Any]:
    """Return the kinds that an annotation allows."""
    if _scalar(hint) is not None:
        return [hint]
    if isinstance(hint, TypeAliasType):
        return _alternatives(hint.__value__)
    if get_origin(hint) in (Union, types.UnionType):
        return [kind for one in get_args(hint) for kind in _alternatives(one)]
    return [hint]


def _kind(kind: Any, item: dataclasses.Field[Any]) -> tuple[Test, Keep]:
    """Return the test of whether a value is of a kind, and the check of its parts and bounds."""
    import numpy as np  # with the first description that is made: importing femssb stays quick

    origin, parts = get_origin(kind) or kind, get_args(kind)
    scalar = _scalar(kind)
    if scalar is not None and item.metadata.get("argument"):
        return lambda value: True, _array_of(scalar)
    if scalar is not None:
        return lambda value: isinstance(value, np.ndarray), _array(item)
    if kind is float and item.metadata.get("argument"):
        keep = _number(item)
        return lambda value: _is(value, numbers.Real), lambda *given: float(keep(*given))
    if kind is float:
        return lambda value: _is(value, numbers.Real), _number(item)
    if kind is int:
        return lambda value: _is(value, numbers.Integral), _number(item)
    if kind is bool:
        return lambda value: isinstance(value, bool | np.bool_), lambda *given: bool(given[-1])
    if kind is str:
        return lambda value: isinstance(value, str), _word(item.metadata.get("data", False))
    if origin is tuple:
        rows = (list, tuple, np.ndarray)
        return lambda v: isinstance(v, rows) and getattr(v, "ndim", 1) > 0, _tuple(parts, item)
    if origin is Sequence:
        return _is_sequence, _tuple((*parts, ...), item)
    if isinstance(origin, type) and issubclass(origin, os.PathLike):
        return lambda value: isinstance(value, origin), _path
    if origin in (Mapping, dict):
        return lambda value: isinstance(value, Mapping), _mapping(parts, item)
    if origin is Literal:
        return lambda value: any(type(value) is type(w) and value == w for w in parts), _as_it_is
    if origin is Callable:
        return callable, _as_it_is
    return lambda value: kind is Any or isinstance(value, origin), _as_it_is


def _scalar(hint: Any) -> Any:
    """Return the type of the numbers in an array, by its annotation; None if it is no array."""
    import numpy as np

    origin, parts = get_origin(hint), get_args(hint)
    if getattr(hint, "__module__", "") == "femssb.arrays":
        return np.complexfloating if hint.__name__ == "Complexes" else np.floating
    if isinstance(origin, TypeAliasType) and origin.__name__ == "NDArray":
        return parts[0]
    return (get_args(parts[1]) or (Any,))[0] if origin is np.ndarray else None


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_sequence(value: Any) -> bool:
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        return False
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) > 0


def _as_it_is(owner: str, name: str, value: Any) -> Any:
    return value


def _number(item: dataclasses.Field[Any]) -> Keep:
    unit, bounds = item.metadata.get("unit", ""), item.metadata.get("bounds", {})
    infinite, argument = (item.metadata.get(name) for name in ("infinite", "argument"))
    low = max(bounds.get("lower", -inf), bounds.get("above", -inf))
    high = min(bounds.get("upper", inf), bounds.get("below", inf))

    def keep(owner: str, name: str, value: Any) -> Any:
        if type(value) is float and low < value < high:  # nearly always
            return value
        whole = isinstance(value, numbers.Integral)
        free = argument and not (whole and abs(int(value)) > sys.float_info.max)
        if not (free or (infinite and value == inf)):
            check_number(owner, name, value, unit=unit, **bounds)
        return int(value) if whole else float(value)

    return keep


def _word(or_none: bool) -> Keep:
    def keep(owner: str, name: str, value: Any) -> Any:
        if not (value or or_none) or "\0" in value or not _writable(value):
            raise InputError(f"{owner}.{name} must be a word, got {shown(value)}")
        return value

    return keep


def _path(owner: str, name: str, value: Any) -> Any:
    _word(False)(owner, name, os.fsdecode(value))
    return value


def _writable(text: str) -> bool:
    """Return whether a text can be written to a file: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tuple(parts: tuple[Any, ...], item: dataclasses.Field[Any]) -> Keep:
    any_length = parts[-1] is Ellipsis
    checks = [_one_of(part, item) for part in parts if part is not Ellipsis]

    def keep(owner: str, name: str, value: Any) -> Any:
        if any_length and not len(value) and item.default != ():
            raise InputError(f"{owner}.{name} is empty; it needs at least one")
        if not any_length and len(value) != len(checks):
            raise InputError(
                f"{owner}.{name} must hold {len(checks)} values, not {len(value)}: {shown(value)}"
            )
        each = checks * len(value) if any_length else checks
        return tuple(
            check(owner, f"{name}[{row}]", part)
            for row, (check, part) in enumerate(zip(each, value, strict=True))
        )

    return keep


def _array(item: dataclasses.Field[Any]) -> Keep:
    check_extreme = _number(item)

    def keep(owner: str, name: str, value: Any) -> Any:
        if value.dtype.kind not in "fiu" or not value.size:
            raise InputError(f"{owner}.{name} must hold numbers, got {shown(value)}")
        for extreme in (value.min(), value.max()):  # NaN is both
            check_extreme(owner, name, float(extreme))
        return value

    return keep


def _array_of(scalar: Any) -> Keep:
    """Return the check of an argument that NumPy makes an array of."""
    import numpy as np

    scalar = scalar if isinstance(scalar, type) else np.generic  # Any
    bases = {np.floating: "iuf", np.integer: "iu", np.bool: "b", np.complexfloating: "iufc"}
    kinds = next((kinds for base, kinds in bases.items() if issubclass(scalar, base)), "biufc")
    words = {"b": "True and False", "iu": "whole numbers"}.get(kinds, "numbers")

    def keep(owner: str, name: str, value: Any) -> Any:
        try:
            array = np.asanyarray(value)
        except Exception as error:  # rows of different lengths, or an object that pretends
            raise InputError(f"{owner}.{name} must hold {words}, got {shown(value)}") from error
        if array.dtype.kind not in kinds:
            raise InputError(f"{owner}.{name} must hold {words}, got {shown(value)}")
        return array.astype(np.float64) if kinds == "iuf" and array.dtype.kind != "f" else array

    return keep


def _mapping(parts: tuple[Any, ...], item: dataclasses.Field[Any]) -> Keep:
    # The bounds are those of the values.
    about = {"argument": True, "data": True} if item.metadata.get("argument") else {}
    check_key = _one_of(parts[0], dataclasses.field(metadata=about))
    check_value = _one_of(parts[1], item)

    def keep(owner: str, name: str, value: Any) -> Any:
        return {
            check_key(owner, f"{name} (key)", key): check_value(owner, f"{name}[{key!r}]", part)
            for key, part in value.items()
        }

    return keep


def _worded(kind: Any, many: bool = False) -> str:
    """Return a kind in words."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return f"one of {parts}"
    if origin is tuple:
        count = "one or more" if parts[-1] is Ellipsis else len(parts)
        inner = " or ".join(_worded(part, many=True) for part in _alternatives(parts[0]))
        return f"{'tuples' if many else 'a tuple'} of {count} {inner}"
    if origin in (Callable, Mapping, dict):
        return "a function" if origin is Callable else "a mapping"
    if origin is Sequence:
        return f"a list of {_worded(parts[0], many=True)}"
    if isinstance(origin, type) and issubclass(origin, os.PathLike):
        return "a path"
    if _scalar(kind) is not None:
        return "arrays" if many else "an array"
    return _WORDS[kind][many] if kind in _WORDS else getattr(origin, "__name__", str(kind))


def _document(cls: Any) -> str:
    """Return the docstring of a class with meaning, range, unit and default of each field."""
    text, _, across = inspect.cleandoc(cls.__doc__ or "").partition("\n\nRaises:\n")
    wrapper = textwrap.TextWrapper(92, " " * 4, " " * 8, break_on_hyphens=False)
    fields = "\n".join(wrapper.fill(_documented(item)) for item in dataclasses.fields(cls))
    raised = "\n    InputError: If a field is of the wrong kind or out of its bounds.\n"
    return f"{text}\n\nAttributes:\n{fields}\n\nRaises:{raised}{across}" if fields else text


def _documented(item: dataclasses.Field[Any]) -> str:
    """Return a field in words, as ``name: meaning [unit] (range, default)``."""
    unit, bounds = item.metadata.get("unit", ""), item.metadata.get("bounds", {})
    words = {"lower": "at least", "above": "above", "upper": "at most", "below": "below"}
    notes = [f"{words[name]} {bound:g}" for name, bound in bounds.items()]
    if bounds.keys() == {"lower", "upper"}:
        notes = [f"{bounds['lower']:g} to {bounds['upper']:g}"]
    if item.metadata.get("infinite"):
        notes.append("or inf")
    if item.default is not dataclasses.MISSING:
        value = item.default
        notes.append(f"default {f'{value:g}' if isinstance(value, float) else shown(value)}")
    meaning = f"{item.metadata.get('meaning', '')}{f' [{unit}]' if unit else ''}"
    return f"{item.name}: {meaning}{f' ({", ".join(notes)})' if notes else ''}"
