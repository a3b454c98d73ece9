"""Descriptions from plain data: the way back from `femssb.inputs.case.describe`.

A case may also be written by hand: a class is named where several would fit, fields left out keep
their defaults, or what a set of the library has there. Functions are found by name, in femssb and
in modules that the user names; no other code is called.
"""

import importlib
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import partial, reduce
from pathlib import Path
from types import UnionType
from typing import Any, TypeAliasType, Union, get_args, get_origin

import numpy as np

from femssb.errors import InputError, shown
from femssb.inputs.case import describe
from femssb.inputs.curves import Curve
from femssb.inputs.formula import Formula
from femssb.inputs.interpolation import ComplexStep, Table
from femssb.inputs.protocol import Drive

_INFINITE = {"inf": math.inf, "-inf": -math.inf}
# What `describe` says of a curve, and what one may write by hand.
_OF_A_CURVE = {
    "class", "slope", "function", "lower", "upper", "concentration [mol/m3]", "value", "digest",
    "table", "concentrations", "values", "scale",
}  # fmt: skip
_OF_A_FUNCTION = {"function", "digest"}  # and of one that a drive follows


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Makes descriptions of plain data.

    Attributes:
        folder: Where the tables that it names lie.
        modules: Modules whose functions may be called, besides those of femssb.
    """

    folder: Path
    modules: Sequence[str] = ()

    def value(self, plain: Any, hint: Any, where: str, base: Any = None) -> Any:
        """Return the value of a field.

        Args:
            plain: What the file has for it.
            hint: Annotation of the field.
            where: Its place in the file, for messages.
            base: What is there where the file says nothing.

        Raises:
            InputError: If it is none.
        """
        kinds = _kinds(hint)
        if (
            isinstance(plain, str)
            and str not in kinds
            and any(get_origin(kind) is Callable for kind in kinds)
        ):
            return self._named(plain)
        if isinstance(plain, str) and plain in _INFINITE and float in kinds:
            return _INFINITE[plain]
        if isinstance(plain, Mapping) and plain.keys() == _OF_A_FUNCTION:
            return self._function(plain["function"])
        if isinstance(plain, Mapping):
            classes = [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]
            if not classes:
                return self._mapping(plain, kinds, where)
            return self.description(plain, classes, where, base)
        if isinstance(plain, list | tuple):
            tuples = [kind for kind in kinds if get_origin(kind) in (tuple, Sequence)]
            if not tuples:
                return np.asarray(plain)
            parts = get_args(tuples[0])
            each = [parts[0]] * len(plain) if parts[-1] is Ellipsis else [*parts]
            each += [Any] * (len(plain) - len(each))  # too many: the description says so
            return tuple(
                self.value(part, kind, f"{where}[{row}]")
                for row, (part, kind) in enumerate(zip(plain, each, strict=False))
            )
        return plain

    def description(
        self, plain: Mapping[str, Any], classes: Sequence[type], where: str, base: Any = None
    ) -> Any:
        """Return the description that a mapping is, of one of several classes."""
        cls = self._class(plain, classes, where, base)
        if cls is Curve:
            return self._curve(plain, where)
        given = {key: value for key, value in plain.items() if key != "class"}
        known = [one.name for one in fields(cls)]
        if unknown := [key for key in given if key not in known]:
            raise InputError(f"{where}: {cls.__name__} has no {unknown[0]!r}; it has {known}")
        hints = typing.get_type_hints(cls)
        same: Any = base if type(base) is cls else None
        values = {
            key: self.value(value, hints[key], f"{where}.{key}", getattr(same, key, None))
            for key, value in given.items()
        }
        needed = [
            one.name
            for one in fields(cls)
            if one.default is one.default_factory is MISSING and one.name not in values
        ]
        if needed and same is None:
            raise InputError(f"{where}: {cls.__name__} lacks {', '.join(needed)}")
        try:
            made = cls(**values) if same is None else replace(same, **values)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if isinstance(made, Drive):
            self._check_drive(made, given, where)
        return made

    def _check_drive(self, made: Drive, given: Mapping[str, Any], where: str) -> None:
        """Check that the function which a drive follows is what it was."""
        followed = given[made.quantity]
        if isinstance(followed, Mapping) and followed.keys() == _OF_A_FUNCTION:
            where = f"{where}.{made.quantity}"
            if describe(made)[made.quantity]["digest"] != followed["digest"]:
                raise InputError(f"{where} is not what it was: the function has changed since")

    def _class(
        self, plain: Mapping[str, Any], classes: Sequence[type], where: str, base: Any
    ) -> type:
        names = {cls.__name__: cls for cls in classes}
        name = plain.get("class")
        if name is None:
            if type(base) in classes:
                return type(base)
            if len(classes) > 1:
                raise InputError(f"{where}.class is missing: one of {list(names)}")
            return classes[0]
        if name not in list(names):  # which may be anything
            raise InputError(f"{where}.class = {shown(name)} is none of {list(names)}")
        return names[name]

    def _mapping(self, plain: Mapping[str, Any], kinds: Sequence[Any], where: str) -> Any:
        parts = next((get_args(k) for k in kinds if get_origin(k) in (Mapping, dict)), (str, Any))
        return {key: self.value(v, parts[1], f"{where}.{key}") for key, v in plain.items()}

    def _curve(self, plain: Mapping[str, Any], where: str) -> Curve:
        if unknown := [key for key in plain if key not in _OF_A_CURVE]:
            raise InputError(f"{where}: a curve has no {unknown[0]!r}")
        try:
            curve = self._read_curve(plain, where)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where} is no curve: {type(error).__name__} {error}") from error
        if "digest" in plain and describe(curve)["digest"] != plain["digest"]:
            raise InputError(f"{where} is not what it was: the function has changed since")
        return curve

    def _read_curve(self, plain: Mapping[str, Any], where: str) -> Curve:
        scale = float(plain.get("scale", 1.0))
        if "table" in plain:
            return Curve.from_table(self.folder / str(plain["table"]), scale=scale)
        if "concentrations" in plain:
            given = np.asarray(plain["concentrations"], float), np.asarray(plain["values"], float)
            return Curve.from_table(*given, scale=scale)
        function = self._function(plain["function"])
        if isinstance(function, Table):
            return Curve.from_table(np.array(function.concentrations), np.array(function.values))
        ends = {"lower": float(plain["lower"]), "upper": float(plain["upper"])}
        if "slope" not in plain:
            return Curve.from_callable(function, **ends)
        return Curve(function=function, slope=self._function(plain["slope"]), **ends)

    def _function(self, plain: Any) -> Any:
        """Return what `describe` gave the name, or the parts, of."""
        if isinstance(plain, str):
            return self._named(plain)
        kind, inner = plain["class"], plain.get("function")
        if kind == "Table":
            return self.description(plain, [Table], "points")
        if kind == "Formula":
            return self.description(plain, [Formula], "formula")
        if kind == "ComplexStep":
            return ComplexStep(function=self._function(inner))
        if kind == "partial":
            arguments = [np.asarray(v) if isinstance(v, list) else v for v in plain["arguments"]]
            keywords = {
                key: np.asarray(value) if isinstance(value, list) else value
                for key, value in plain["keywords"].items()
            }
            return partial(self._function(inner), *arguments, **keywords)
        if kind == "method":
            owner, _, name = str(inner).rpartition(".")
            return getattr(self.description(plain["of"], [self._named(owner)], owner), name)
        raise InputError(f"a function of the kind {shown(kind)} cannot be read")

    def function(self, name: str, where: str) -> Any:
        """Return a function by its name.

        Raises:
            InputError: If there is none, or it is of a module that may not be used.
        """
        try:
            return self._named(name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _named(self, name: str) -> Any:
        """Return a function or class of femssb, or of a module that may be used."""
        parts = name.split(".")
        allowed = ("femssb", *self.modules)
        if not any(name.startswith(f"{module}.") for module in allowed):
            raise InputError(
                f"the function {name!r} is of none of the modules {list(allowed)}: name its module"
                " (modules=), or give a table"
            )
        for count in range(len(parts) - 1, 0, -1):
            try:
                module = importlib.import_module(".".join(parts[:count]))
                return reduce(getattr, parts[count:], module)
            except (ImportError, AttributeError):
                continue
        raise InputError(
            f"there is no function {name!r}"
            + (": one without a name cannot be read again" if "<" in name else "")
        )


def _kinds(hint: Any) -> list[Any]:
    """Return the kinds that an annotation allows."""
    if isinstance(hint, TypeAliasType):
        return _kinds(hint.__value__)
    if get_origin(hint) in (Union, UnionType):
        return [kind for one in get_args(hint) for kind in _kinds(one)]
    return [hint]
