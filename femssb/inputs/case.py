"""Inputs as plain data, for ``case.json``, and their fingerprint, by which results are found."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from inspect import ismethod
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.inputs.curves import Curve
from femssb.inputs.interpolation import Table
from femssb.inputs.protocol import Drive

_SAMPLES = 25  # of a property curve, so that a case shows what its functions were
_DENSE = 2049  # of those that the digest of a curve is made of


def describe(value: Any, *, digest: bool = False) -> Any:
    """Return a description as plain data.

    Dataclasses become dictionaries that also name their class; a function becomes its name, and a
    property curve its points or the names of its functions, samples, and a digest of many more of
    them and of the slope, which tells interpolators of one class apart; so does the function that a
    drive follows, without samples; arrays become lists; infinity a string.

    Args:
        value: A description: dataclass, mapping, sequence, array, number, string or None.
        digest: Whether arrays become a hash of their bytes instead, which is fast.
    """
    inner = partial(describe, digest=digest)
    if isinstance(value, Curve):
        at = np.linspace(value.lower, value.upper, _SAMPLES)
        return {
            "class": "Curve",
            **({} if isinstance(value.function, Table) else {"slope": inner(value.slope)}),
            "function": inner(value.function),
            "lower": value.lower,
            "upper": value.upper,
            "concentration [mol/m3]": at.tolist(),
            # the last digits differ between processors
            "value": [float(f"{number:.10g}") for number in value.value(at)],
            "digest": _digest(value),
        }
    if isinstance(value, partial):
        given = {"arguments": inner(value.args), "keywords": inner(value.keywords)}
        return {"class": "partial", "function": inner(value.func), **given}
    if ismethod(value) and is_dataclass(value.__self__):
        return {"class": "method", "function": function_name(value), "of": inner(value.__self__)}
    if callable(value) and not is_dataclass(value):
        return function_name(value)
    if is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Drive) and value.function is not None:
            known = {"function": plain[value.quantity], "digest": _digest_of_drive(value)}
            plain[value.quantity] = known
        return {"class": type(value).__name__, **plain}
    if isinstance(value, Mapping):
        return {str(key): inner(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and digest:
        return [value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, np.ndarray):
        return inner(value.tolist())
    if isinstance(value, list | tuple):
        return [inner(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def fingerprint(*values: Any) -> str:
    """Return a word of 16 letters that changes with anything that `describe` returns for values."""
    text = json.dumps(describe(values, digest=True), sort_keys=True, default=float)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def function_name(function: Any) -> str:
    """Return where a function is defined, or the class of an object that is called."""
    if isinstance(function, partial):
        return f"functools.partial({function_name(function.func)})"
    named = function if hasattr(function, "__qualname__") else type(function)
    module = getattr(named, "__module__", None) or "builtins"
    if module in ("__main__", "__mp_main__"):  # the script itself, and in processes it starts
        spec = getattr(sys.modules[module], "__spec__", None)
        module = "__main__" if spec is None else spec.name  # python -m gives what an import gives
    return f"{module}.{named.__qualname__}"


def _digest(curve: Curve) -> str:
    """Return a word that changes with function or slope."""
    at = np.linspace(curve.lower, curve.upper, _DENSE)
    return _digest_of(*curve.value_and_derivative(at))


def _digest_of_drive(drive: Drive) -> str:
    """Return a word that changes with the function that is followed, also beside its kinks."""
    near = [kink * side for kink in drive.kinks for side in (1 - 1e-6, 1 + 1e-6)]
    at = [*np.linspace(0.0, drive.duration, _DENSE).tolist(), *near]
    return _digest_of(np.array([drive.at(time) for time in at]))


def _digest_of(*parts: Array) -> str:
    """Return a word of 16 letters that changes with numbers, alike on any processor."""
    whole = [
        np.round(1e7 * values / max(float(np.abs(values).max()), 1e-300)).astype(np.int64)
        for values in parts
    ]
    return hashlib.sha256(np.concatenate(whole).tobytes()).hexdigest()[:16]
