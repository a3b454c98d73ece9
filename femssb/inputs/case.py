"""Inputs as plain data, for ``case.json``, and their fingerprint, by which results are found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np

from femssb.inputs.materials import Curve

_SAMPLES = 25  # of a property curve, so that a case shows what its functions were


def describe(value: Any, *, digest: bool = False) -> Any:
    """Return a description as plain data.

    Dataclasses become dictionaries that also name their class; a property curve becomes the
    name of its function and samples of it; arrays become lists; infinity becomes a string.

    Args:
        value: A description: dataclass, mapping, sequence, array, number, string or None.
        digest: Whether arrays become a hash of their bytes instead, which is fast.
    """
    inner = partial(describe, digest=digest)
    if isinstance(value, Curve):
        at = np.linspace(value.lower, value.upper, _SAMPLES)
        return {
            "class": "Curve",
            "function": f"{value.function.__module__}.{value.function.__qualname__}",
            "concentration [mol/m3]": at.tolist(),
            "value": value.value(at).tolist(),
        }
    if is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
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
