"""Frozen descriptions: the inputs of a user, checked field by field when they are made.

A description is a frozen dataclass whose fields carry their meaning, unit and bounds. The check,
the error message and the docstring all come from there::

    @description
    class Pressure:
        \"\"\"The face is pushed inwards by a dead load.\"\"\"

        pressure: float = field("positive compresses", unit="Pa", lower=-1e10, upper=1e10)

A check across fields stands in ``__post_init__``, which runs once every field is sound. A derived
description is checked as its bases are, then by its own ``__post_init__``.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from math import inf
from typing import Any, Literal, TypeAliasType, Union, dataclass_transform, get_args, get_origin

import numpy as np

from femssb.errors import InputError, check_number

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

    Numbers must be finite. Bounds hold for every number in the field, also for those in a tuple
    and for the values of a mapping; anything else is checked by its annotation alone. A tuple of
    any length may be empty only where ``()`` is the default.

    Args:
        meaning: Words for the docstring.
        unit: SI unit of the numbers.
        lower: Smallest value allowed.
        upper: Largest value allowed.
        above: Bound that must be exceeded.
        below: Bound that must not be reached.
        infinite: Whether plus infinity is allowed, too.
        default: Value if none is given; without it the field is required.
        default_factory: Function that makes the value if none is given.
    """
    given = {"lower": lower, "upper": upper, "above": above, "below": below}
    bounds = {name: bound for name, bound in given.items() if bound is not None}
    metadata = {"meaning": meaning, "unit": unit, "bounds": bounds, "infinite": infinite}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


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
        for name, hint, item in _fields(type(self)):
            value = getattr(self, name)
            kept = _kept(type(self).__name__, name, value, hint, item)
            if kept is not value:
                object.__setattr__(self, name, kept)
        for check_across in across:
            check_across(self)

    check.across = vars(cls).get("__post_init__", lambda _: None)  # type: ignore[attr-defined]
    cls.__post_init__ = check  # type: ignore[attr-defined]
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True, slots=True)(cls)
    made.__doc__ = _document(made)
    return made


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any, dataclasses.Field[Any]], ...]:
    """Return name, annotation and declaration of each field; annotations are found at first use."""
    hints = typing.get_type_hints(cls)
    return tuple((item.name, hints[item.name], item) for item in dataclasses.fields(cls))


def _kept(owner: str, name: str, value: Any, hint: Any, item: dataclasses.Field[Any]) -> Any:
    """Return a value as it is kept, or raise."""
    members = _members(hint)
    fitting = [member for member in members if _fits(value, member)]
    if not fitting:
        unit = f" [{item.metadata['unit']}]" if item.metadata.get("unit") else ""
        wanted = " or ".join(_worded(member) for member in members)
        raise InputError(f"{owner}.{name} must be {wanted}{unit}, got {_shown(value)}")
    for member in fitting[:-1]:  # two kinds of tuples, say
        with suppress(InputError):
            return _kept_as(owner, name, value, member, item)
    return _kept_as(owner, name, value, fitting[-1], item)


def _kept_as(owner: str, name: str, value: Any, member: Any, item: dataclasses.Field[Any]) -> Any:
    """Return a value of the kind of an annotation as it is kept, or raise."""
    origin, kinds = _taken_apart(member)
    if member is float or member is int:
        if type(value) is not float and type(value) is not int:
            value = int(value) if isinstance(value, numbers.Integral) else float(value)
        unit, bounds = item.metadata.get("unit", ""), item.metadata.get("bounds", {})
        if not (item.metadata.get("infinite") and value == inf):
            check_number(owner, name, value, unit=unit, **bounds)
    elif origin is tuple:
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
            if not kinds and item.default != ():
                raise InputError(f"{owner}.{name} is empty; it needs at least one")
        elif len(value) != len(kinds):
            raise InputError(
                f"{owner}.{name} must hold {len(kinds)} values, not {len(value)}: {_shown(value)}"
            )
        return tuple(
            _kept(owner, f"{name}[{row}]", part, kind, item)
            for row, (part, kind) in enumerate(zip(value, kinds, strict=True))
        )
    elif origin is Mapping:
        plain = dataclasses.field()  # bounds are those of the values
        return {
            _kept(owner, f"{name} (key)", key, kinds[0], plain): _kept(
                owner, f"{name}[{key!r}]", part, kinds[1], item
            )
            for key, part in value.items()
        }
    elif member is bool:
        return bool(value)
    elif member is str and not value:
        raise InputError(f"{owner}.{name} must be a word, got {value!r}")
    return value


@cache
def _members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of an annotation."""
    if isinstance(hint, TypeAliasType):
        return _members(hint.__value__)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(member for one in get_args(hint) for member in _members(one))
    return (hint,)


@cache
def _taken_apart(member: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(member) or member, get_args(member)


def _fits(value: Any, member: Any) -> bool:
    """Return whether a value is of the kind of an annotation, whatever its parts and bounds."""
    origin, words = _taken_apart(member)
    if member is float or member is int:
        kind = numbers.Real if member is float else numbers.Integral
        return isinstance(value, kind) and not isinstance(value, bool)
    if member is bool:
        return isinstance(value, bool | np.bool_)
    if origin is Literal:
        return any(type(value) is type(word) and value == word for word in words)
    if origin is tuple:
        return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    if origin is Callable:
        return callable(value)
    return member is Any or isinstance(value, origin)


def _worded(member: Any, many: bool = False) -> str:
    """Return an annotation in words."""
    origin, kinds = _taken_apart(member)
    if origin is Literal:
        return f"one of {kinds}"
    if origin is tuple:
        count = "one or more" if kinds[-1] is Ellipsis else len(kinds)
        parts = " or ".join(_worded(part, many=True) for part in _members(kinds[0]))
        return f"{'tuples' if many else 'a tuple'} of {count} {parts}"
    if origin is Callable:
        return "a function"
    return _WORDS[member][many] if member in _WORDS else getattr(origin, "__name__", str(member))


def _shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, and not all of a material or a table."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _document(cls: Any) -> str:
    """Return the docstring of a class with meaning, range, unit and default of each field."""
    text, _, across = inspect.cleandoc(cls.__doc__ or "").partition("\n\nRaises:\n")
    fields = "\n".join(
        textwrap.fill(
            _documented(item),
            width=96,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )
        for item in dataclasses.fields(cls)
    )
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
        notes.append(f"default {f'{value:g}' if isinstance(value, float) else _shown(value)}")
    meaning = f"{item.metadata.get('meaning', '')}{f' [{unit}]' if unit else ''}"
    return f"{item.name}: {meaning}{f' ({", ".join(notes)})' if notes else ''}"
