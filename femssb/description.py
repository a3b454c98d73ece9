"""Frozen descriptions: what a user says, checked field by field when it is said.

A description is a frozen dataclass whose fields carry their meaning, unit and bounds. The check,
the error message and the docstring all come from there::

    @description
    class Pressure:
        \"\"\"The face is pushed inwards by a dead load.\"\"\"

        pressure: float = field("positive compresses", unit="Pa", lower=-1e10, upper=1e10)

A class that must check more than its fields does so in ``__post_init__``, after them.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeAliasType, Union, dataclass_transform, get_args, get_origin

import numpy as np

from femssb.errors import InputError, check_number, interval

_LISTS = (list, tuple)


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

    Bounds hold for every number in the field: a tuple, an array, or a union with None, is checked
    item by item. What is not a number is checked by its annotation alone.

    Args:
        meaning: In words; it becomes part of the docstring.
        unit: SI unit of the numbers.
        lower: Smallest value allowed.
        upper: Largest value allowed.
        above: Bound that must be exceeded.
        below: Bound that must not be reached.
        infinite: Whether infinity is allowed beyond the bounds.
        default: Value where none is given; without it the field is required.
        default_factory: Makes that value anew each time.
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

    Raises:
        InputError: When an instance is made with a field of the wrong kind or out of its bounds;
            the message names the field, the value and the bound.
    """
    more = getattr(cls, "__post_init__", None)
    if not getattr(more, "checks_fields", False):

        def check(self: Any) -> None:
            check_fields(self)
            if more is not None:
                more(self)

        check.checks_fields = True  # type: ignore[attr-defined]
        cls.__post_init__ = check  # type: ignore[attr-defined]
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True, slots=True)(cls)
    made.__doc__ = _document(made)
    return made


def check_fields(owner: Any) -> None:
    """Check every field of a description by its annotation and its bounds.

    Lists become tuples and NumPy numbers plain ones, so that a description can be kept as text.

    Raises:
        InputError: If a field is of the wrong kind, or out of its bounds.
    """
    hints = _hints(type(owner))  # type: ignore[arg-type]
    for item in dataclasses.fields(owner):
        value = getattr(owner, item.name)
        checked = _checked(type(owner).__name__, item.name, value, hints[item.name], item)
        if checked is not value:
            object.__setattr__(owner, item.name, checked)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _checked(owner: str, name: str, value: Any, hint: Any, item: dataclasses.Field[Any]) -> Any:
    """Return a value as it is kept, or raise."""
    member = next((one for one in _members(hint) if _is_of(value, one)), None)
    if member is None:
        unit = item.metadata.get("unit", "")
        wanted = " or ".join(_worded(one) for one in _members(hint))
        raise InputError(
            f"{owner}.{name} must be {wanted}{f' [{unit}]' if unit else ''}, got {value!r}"
        )
    kinds = get_args(member)
    bounds, unit = item.metadata.get("bounds", {}), item.metadata.get("unit", "")
    if member in (float, int):
        value = value.item() if hasattr(value, "item") else value
        if not (item.metadata.get("infinite") and value == float("inf")):
            check_number(owner, name, value, unit=unit, **bounds)
    elif isinstance(value, np.ndarray) and bounds:
        if value.dtype.kind not in "fiu" or not value.size:
            raise InputError(f"{owner}.{name} must hold numbers, got {value!r}")
        inner = value[value != np.inf] if item.metadata["infinite"] else value
        for extreme in (inner.min(), inner.max()) if inner.size else ():  # NaN is both
            check_number(owner, name, float(extreme), unit=unit, **bounds)
    elif get_origin(member) is tuple:
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
            if not value and item.default != ():
                raise InputError(f"{owner}.{name} is empty; it needs at least one")
        elif len(value) != len(kinds):
            raise InputError(f"{owner}.{name} must hold {len(kinds)} values, got {value!r}")
        return tuple(
            _checked(owner, f"{name}[{row}]", part, kind, item)
            for row, (part, kind) in enumerate(zip(value, kinds, strict=True))
        )
    elif isinstance(value, Mapping) and kinds:
        for key, part in value.items():
            _checked(owner, f"{name} (key)", key, kinds[0], item)
            _checked(owner, f"{name}[{key!r}]", part, kinds[1], item)
    elif member is str and not value:
        raise InputError(f"{owner}.{name} must be a word, got {value!r}")
    return value


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of an annotation."""
    alias = get_origin(hint) or hint  # NDArray is an alias that takes an argument
    if isinstance(alias, TypeAliasType):
        return _members(alias.__value__)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(member for one in get_args(hint) for member in _members(one))
    return (hint,)


def _is_of(value: Any, member: Any) -> bool:
    """Return whether a value is of the kind of an annotation, whatever its bounds."""
    origin = get_origin(member) or member
    if member is Any:
        return True
    if origin is Literal:
        return any(value == word and type(value) is type(word) for word in get_args(member))
    if member in (float, int):
        kind = numbers.Real if member is float else numbers.Integral
        return isinstance(value, kind) and not isinstance(value, bool)
    if origin is tuple:
        return isinstance(value, _LISTS)
    if origin is Callable:
        return callable(value)
    return isinstance(value, origin)


def _worded(member: Any) -> str:
    """Return an annotation in words."""
    words = {float: "a number", int: "a whole number", bool: "True or False", str: "a word"}
    origin = get_origin(member)
    if origin is np.ndarray:
        return "an array"
    if origin is Literal:
        return f"one of {get_args(member)}"
    if origin is tuple:
        inner = get_args(member)
        many = "one or more" if inner[-1] is Ellipsis else str(len(inner))
        return f"a tuple of {many} ({' or '.join(_worded(m) for m in _members(inner[0]))})"
    if origin is Callable:
        return "a function"
    if member is type(None):
        return "None"
    return words.get(member, getattr(origin or member, "__name__", str(member)))


def _document(cls: Any) -> str:
    """Return the docstring of a class with a line for each field: meaning, unit, range, default."""
    text = inspect.cleandoc(cls.__doc__ or "")
    lines = ["", "", "Attributes:"]
    for item in dataclasses.fields(cls):
        meaning = item.metadata.get("meaning", "")
        unit, bounds = item.metadata.get("unit", ""), item.metadata.get("bounds", {})
        notes = [interval(**bounds) + (f" {unit}" if unit else "")] if bounds else []
        if not bounds and unit:
            notes.append(unit)
        if item.default is not dataclasses.MISSING:
            notes.append(f"default {item.default!r}")
        lines.append(f"    {item.name}: {meaning}{f' ({"; ".join(notes)})' if notes else ''}")
    if "Raises:" not in text:
        lines += [
            "",
            "Raises:",
            "    InputError: If a field is of the wrong kind or out of bounds.",
        ]
    return text + "\n".join(lines) + "\n"
