"""Values that are wrong, and right ones spoiled."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st


class Nameless:
    """An object that nothing can be made of, not even a text."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


def _endless(kind: type) -> Any:
    """Return a list or dictionary that holds itself."""
    made: Any = kind()
    if kind is list:
        made.append(made)
    else:
        made["self"] = made
    return made


NUMBERS: list[Any] = [
    0, -1, 1, 2, 3, 7, -7, 1000, 10**6, 10**9, -(10**9), 2**31, 2**63, -(2**63), 2**64, 10**30,
    10**400, 0.0, -0.0, 0.5, 1.0, -1.0, 1e-300, 5e-324, 1e-12, 1e-6, 1e-3, 1e3, 1e6, 1e12, 1e300,
    -1e-9, -1e300, math.nan, math.inf, -math.inf, True, False, Fraction(1, 3), Decimal("0.1"),
    np.float64(0.5), np.float32(1e30), np.float16(0.1), np.int8(-3), np.uint64(2**63), np.bool_(1),
    np.longdouble(2), np.array(3), np.array(0.5), np.array(math.nan), 1j, np.complex128(1 + 1j),
    10**5000,
]  # fmt: skip
TEXTS: list[Any] = [
    "", " ", "a", "0", "1.0", "nan", "True", "False", "no", "None", "AM", "SE", "void", "x", "z",
    "\0", "\n", "\ud800", "é漢🙂", "a" * 5000, "a/b", "..", ".", "/dev/null/x", "%s%n{}", "*", "?",
    "file.npy", "nowhere.h5", "x.vti", "x.msh", "x.csv", "x.tess", "~", "-1", "[]", "{}",
    b"", b"bytes", b"\0", bytearray(b"ab"), memoryview(b"ab"), Path("nowhere"), Path("/dev/null"),
    Path("a\0b"), Path("x" * 300),
]  # fmt: skip
OTHERS: list[Any] = [
    None, [], (), {}, set(), frozenset({1}), {1, 2}, [None], [[]], [[], [1]], ["a", 1], [1, [2]],
    {"a": 1}, {None: None}, {1: "a"}, {(): ()}, {"AM": {}}, range(3), iter([1, 2]), object(),
    Nameless(), Nameless, int, float, type, print, len, np.sin, lambda: None, lambda x: x,
    lambda *a, **k: None, Exception("x"), Ellipsis, NotImplemented, slice(3), {"a": 1}.items(),
    np.array([]), np.array([1.0, math.nan]), np.array([[1, 2], [3, 4]]), np.zeros((2, 3, 4)),
    np.zeros((3, 3)), np.array(["a", "b"]), np.array([b"a"]), np.array([None, 1], dtype=object),
    np.array([1j, 2]), np.array(["2020-01-01"], dtype="datetime64[D]"), np.zeros(3, dtype=bool),
    np.zeros(2, dtype=[("a", float)]), np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    np.zeros((0, 3)), np.full(3, math.inf), np.arange(3)[::-1], np.ones((1, 1)).view(np.matrix),
    [1, 2, 3], (1.0, 2.0, 3.0), [True, False, True], ("AM", "SE"), [0.0, 0.0, 0.0], ["False"] * 3,
    [1e-6] * 3, (10**400,), [math.nan] * 3, (math.inf, 1, 1), [-1] * 3, [[1] * 3] * 3,
    _endless(list), _endless(dict),
]  # fmt: skip


def _one_of(values: list[Any]) -> st.SearchStrategy[Any]:
    """Return one of some values; hypothesis would ask each for a text, which not all have."""
    return st.integers(0, len(values) - 1).map(lambda place: values[place])


NUMBER = st.one_of(
    _one_of(NUMBERS),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.floats(-1, 1, width=32).map(np.float32),
    st.integers(-10, 10),
)
TEXT = st.one_of(
    _one_of(TEXTS),
    st.text(st.characters(exclude_characters="/"), max_size=8),
    st.binary(max_size=8),
)
OTHER = _one_of(OTHERS)
PLAIN = st.one_of(NUMBER, TEXT, OTHER)
NESTED = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(-3, 3)), inner, max_size=3),
    ),
    max_leaves=5,
)
WRONG = st.one_of(PLAIN, NESTED)
FACTORS = [-1, 0, 1e-12, 1e-6, 1e-3, 0.5, 1.01, 2, 1e3, 1e6, 1e12, math.nan, math.inf]
KINDS = [float, int, bool, complex, object, np.uint8, np.float16, np.int8, "U8", "S4"]


def spoil(draw: Any, value: Any, depth: int = 0) -> Any:
    """Return a value with something about it changed, by hypothesis's `draw`."""
    inside = depth < 4 and draw(st.integers(0, 2)) > 0
    if inside and isinstance(value, bool | np.bool_):
        return draw(st.sampled_from([str(value), int(value), None, not value, np.bool_(value)]))
    if inside and isinstance(value, int | float | np.number):
        if draw(st.booleans()) and abs(value) < 1e300:  # what is larger cannot be multiplied
            plain = value.item() if isinstance(value, np.number) else value
            return draw(st.sampled_from(FACTORS)) * plain
        return draw(NUMBER)
    if inside and isinstance(value, str) and value:
        return draw(st.sampled_from([value[:-1], value + "x", value.upper(), [value], (value, 1)]))
    if inside and isinstance(value, list | tuple):
        return type(value)(_rows(draw, list(value), depth)) if type(value) in (list, tuple) else 0
    if inside and isinstance(value, dict):
        return _pairs(draw, value, depth)
    if inside and isinstance(value, np.ndarray):
        return _array(draw, value, depth)
    return draw(WRONG)


def _rows(draw: Any, rows: list[Any], depth: int) -> list[Any]:
    how = draw(st.integers(0, 5))
    if how == 0 or not rows:
        return [*rows, draw(WRONG)]
    row = draw(st.integers(0, len(rows) - 1))
    if how == 1:
        return rows[:row] + rows[row + 1 :]
    if how == 2:
        return [*rows, rows[row]]
    return [*rows[:row], spoil(draw, rows[row], depth + 1), *rows[row + 1 :]]


def _pairs(draw: Any, pairs: dict[Any, Any], depth: int) -> dict[Any, Any]:
    how = draw(st.integers(0, 4))
    keys = list(pairs)
    if how == 0 or not keys:
        key = draw(st.one_of(st.text(max_size=3), st.integers(-3, 3), st.none()))
        return {**pairs, key: draw(WRONG)}
    key = draw(st.sampled_from(keys))
    if how == 1:
        return {one: pairs[one] for one in keys if one != key}
    if how == 2:
        new = draw(st.one_of(st.text(max_size=3), st.integers(-3, 300), st.just((key,))))
        return {(new if one == key else one): pairs[one] for one in keys}
    return {**pairs, key: spoil(draw, pairs[key], depth + 1)}


def _array(draw: Any, array: np.ndarray, depth: int) -> Any:
    how = draw(st.integers(0, 9))
    if how == 0:
        return array.tolist()
    if how == 1:
        return array[:-1] if array.ndim and len(array) else array[None]
    if how == 2:
        return draw(st.sampled_from([array.ravel(), array.T, array[None], array[..., None]]))
    if how == 3:
        try:
            return array.astype(draw(st.sampled_from(KINDS)))
        except (OverflowError, ValueError, TypeError):  # NaN is no whole number
            return array
    if how == 4:
        return np.concatenate([array, array]) if array.ndim else array
    if how == 5:
        return array[:0] if array.ndim else array
    if how == 6 and array.dtype.kind in "iuf":
        factor = draw(st.sampled_from(FACTORS))
        return array * factor if array.dtype.kind == "f" else array.astype(float) * factor
    if not array.size:
        return draw(WRONG)
    values = array.astype(object) if how == 7 else array.copy()
    place = draw(st.integers(0, array.size - 1))
    with np.errstate(all="ignore"):
        try:
            values.flat[place] = draw(NUMBER)
        except (OverflowError, ValueError, TypeError):
            values.flat[place] = 0
    return values
