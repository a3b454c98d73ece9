"""Descriptions, by which every input is checked: if these fail, a wrong input reaches the solvers.

Worth reading: `test_a_wrong_value_is_refused_by_name` and
`test_help_shows_meaning_unit_and_range_of_every_public_description`.
"""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import pydoc
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, replace
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import femssb
from femssb import InputError, library
from femssb.arrays import Array, Complexes, Reals
from femssb.description import checked, description, field

type Length = float | Literal["automatic"]
Pair = tuple[float, float]


@description
class Part:
    """A part of the whole."""

    size: float = field("edge of the part", unit="m", lower=0, upper=1, default=0.5)


@description
class Whole:
    """Something with a field of every kind."""

    number: float = field("any number", unit="Pa", default=1.0)
    positive: float = field("above a bound", above=0, below=10, default=1.0)
    count: int = field("whole number", lower=1, upper=2**63 - 1, default=1)
    limit: float = field("number or infinity", unit="m", lower=1, upper=2, infinite=True, default=1)
    flag: bool = field("yes or no", default=False)
    name: str = field("word", default="name")
    word: Literal["one", "two", 3] = field("one of some words", default="one")
    length: Length = field("length or a word", lower=0, default="automatic")
    perhaps: float | None = field("number or nothing", lower=0, default=None)
    either: bool | float = field("switch or number", lower=2, default=False)
    pair: Pair = field("two numbers", lower=0, default=(0.0, 0.0))
    table: tuple[Pair, ...] = field("rows", lower=0, default=((0.0, 1.0),))
    extras: tuple[float, ...] = field("numbers, perhaps none", lower=0, default=())
    either_way: Pair | tuple[Part, ...] = field("two tuples", lower=0, default=(0.0, 0.0))
    parts: int | tuple[Part, ...] = field("parts or their number", lower=1, default=1)
    law: Callable[[float], float] = field("function", default=abs)
    shares: Mapping[int, float] = field("share of each", upper=1, default_factory=dict)
    anything: Any = field("anything", default=None)


@description
class Ordered:
    """Two numbers in order."""

    low: float = field("smaller number", default=0.0)
    high: float = field("larger number", default=1.0)

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.low < self.high:
            raise InputError(f"low = {self.low} is not below high = {self.high}")


@description
class Spaced(Ordered):
    """Two numbers in order, and apart."""

    gap: float = field("smallest distance", above=0, default=0.5)

    def __post_init__(self) -> None:
        """Check the distance."""
        if self.high - self.low < self.gap:
            raise InputError("too close")


@description
class Renamed(Ordered):
    """Two numbers in order under another name."""


@description
class Documented:
    """Be documented in a way of its own.

    Raises:
        InputError: If it is Monday.
    """

    day: int = field(f"day of the week, {'for ' * 18}two lines", unit="d", lower=1, upper=7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", -1e300),
        ("number", 3),
        ("positive", 1e-300),
        ("count", 2**63 - 1),
        ("limit", inf),
        ("limit", 2),
        ("flag", True),
        ("word", 3),
        ("length", 2.0),
        ("length", "automatic"),
        ("perhaps", 0),
        ("either", True),
        ("either", 2.5),
        ("either_way", (0.0, 1.0)),
        ("either_way", (Part(), Part())),
        ("parts", 4),
        ("parts", (Part(),)),
        ("extras", ()),
        ("law", Part),
        ("shares", {1: 0.5, 2: -3}),
        ("shares", {5: 1}),  # the bound is that of the share
        ("anything", inf),
    ],
)
def test_what_is_sound_is_kept(name: str, value: Any) -> None:
    """Catches a bound or a kind that refuses what it should not, or changes what it keeps."""
    kept = getattr(Whole(**{name: value}), name)
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", "1", r"number must be a number \[Pa\], got '1'"),
        ("number", None, "number must be a number"),
        ("number", True, "number must be a number"),
        ("number", np.True_, "number must be a number"),
        ("number", 1j, "number must be a number"),
        ("number", np.array(1.0), "number must be a number"),
        ("number", nan, r"number = nan Pa is outside \(-inf, inf\) Pa"),
        ("number", inf, r"number = inf Pa is outside"),
        ("number", np.float32("nan"), "number = nan"),
        ("number", 10**400, "number = inf"),
        ("positive", 0.0, r"positive = 0 is outside \(0, 10\)"),
        ("positive", 10, r"positive = 10 is outside \(0, 10\)"),
        ("positive", np.float32(0), "positive = 0"),
        ("count", 0, r"count = 0 is outside \[1,"),
        ("count", 2**63, "count = 9.22337e"),
        ("count", 2.0, "count must be a whole number, got 2.0"),
        ("count", np.float64(2), "count must be a whole number"),
        ("count", False, "count must be a whole number, got False"),
        ("limit", -inf, "limit = -inf m"),
        ("limit", nan, "limit = nan m"),
        ("limit", 3.0, r"limit = 3 m is outside \[1, 2\] m"),
        ("flag", 1, "flag must be True or False, got 1"),
        ("flag", None, "flag must be True or False"),
        ("name", "", "name must be a word, got ''"),
        ("name", 3, "name must be a word, got 3"),
        ("word", "three", r"word must be one of \('one', 'two', 3\), got 'three'"),
        ("word", 3.0, "word must be one of"),
        ("word", np.array(["one"]), "word must be one of"),
        ("length", "long", r"length must be a number or one of \('automatic',\), got 'long'"),
        ("length", -1.0, r"length = -1 is outside \[0, inf\)"),
        ("perhaps", "no", "perhaps must be a number or None, got 'no'"),
        ("perhaps", -1, "perhaps = -1"),
        ("either", 1.0, "either = 1 is outside"),
        ("pair", 1.0, "pair must be a tuple of 2 numbers, got 1.0"),
        ("pair", (1.0, 2.0, 3.0), r"pair must hold 2 values, not 3: \(1.0, 2.0, 3.0\)"),
        ("pair", (1.0, -2.0), r"pair\[1\] = -2 is outside"),
        ("pair", (True, 0.0), r"pair\[0\] must be a number"),
        ("pair", "ab", "pair must be a tuple"),
        ("pair", {0.0, 1.0}, "pair must be a tuple"),
        ("table", (), "table is empty; it needs at least one"),
        ("table", ((0.0, 1.0), (0.0, nan)), r"table\[1\]\[1\] = nan"),
        ("table", (1.0,), r"table\[0\] must be a tuple of 2 numbers"),
        ("table", 1.0, "table must be a tuple of one or more tuples of 2 numbers"),
        ("extras", (1.0, -1.0), r"extras\[1\] = -1"),
        ("either_way", (Part(), 1.0), r"either_way\[1\] must be Part, got 1.0"),
        ("either_way", "x", "either_way must be a tuple of 2 numbers or a tuple of one or"),
        ("parts", 0, "parts = 0"),
        ("parts", 1.5, "parts must be a whole number or a tuple of one or more Part, got 1.5"),
        ("parts", (1,), r"parts\[0\] must be Part, got 1"),
        ("parts", Part, "parts must be"),
        ("law", "abs", "law must be a function, got 'abs'"),
        ("shares", [], r"shares must be a mapping, got \[\]"),
        ("shares", {"a": 0.5}, r"shares \(key\) must be a whole number, got 'a'"),
        ("shares", {7: 1.5}, r"shares\[7\] = 1.5"),
        ("shares", {7: None}, r"shares\[7\] must be a number"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any, message: str) -> None:
    """Catches what is let through, another error than ours, and a message that leaves a riddle."""
    with pytest.raises(InputError, match=rf"^Whole\.{message}"):
        Whole(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("number", np.float64(2.5), 2.5),
        ("number", np.float32(0.5), 0.5),
        ("number", np.int8(2), 2),
        ("number", Fraction(1, 2), 0.5),
        ("count", np.int64(7), 7),
        ("flag", np.True_, True),
        ("pair", [1, np.float64(2)], (1, 2.0)),
        ("pair", np.array([1.0, 2.0]), (1.0, 2.0)),
        ("table", np.eye(2), ((1.0, 0.0), (0.0, 1.0))),
        ("table", [[1, 2], [3, 4]], ((1, 2), (3, 4))),
        ("extras", [], ()),
        ("extras", np.arange(3), (0, 1, 2)),
        ("either_way", [Part()], (Part(),)),
        ("shares", {np.int32(1): np.float64(0.5)}, {1: 0.5}),
    ],
)
def test_what_is_kept_is_plain(name: str, value: Any, kept: Any) -> None:
    """Catches arrays, lists and NumPy numbers: not hashable, open to change, not kept as text."""
    found = getattr(Whole(**{name: value}), name)
    assert repr(found) == repr(kept)


def test_what_the_caller_changes_later_changes_nothing() -> None:
    """Catches a description that shares a list, an array or a dictionary with its maker."""
    row, table, shares = [0.0, 1.0], np.eye(2), {1: 0.5}
    whole = Whole(pair=row, table=table, shares=shares)  # type: ignore[arg-type]
    row[0], table[0, 0], shares[1] = 5.0, 5.0, 5.0
    assert (whole.pair, whole.table[0], whole.shares) == ((0.0, 1.0), (1.0, 0.0), {1: 0.5})


def test_a_description_cannot_change() -> None:
    """Catches a description that differs from what was checked."""
    part = Part()
    with pytest.raises(FrozenInstanceError):
        part.size = 2.0  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        part.colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Part(0.5)  # type: ignore[misc]
    assert hash(part) == hash(Part(size=0.5))
    assert part != Part(size=0.25)


def test_a_changed_copy_is_checked_again() -> None:
    """Catches a study whose changed values are never seen by the check."""
    assert replace(Part(), size=1).size == 1
    with pytest.raises(InputError, match=r"Part\.size = 2 m"):
        replace(Part(), size=2)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_description_survives_a_copy(again: Callable[[Any], Any]) -> None:
    """Catches descriptions that cannot be sent to another process."""
    whole = Whole(parts=[Part(size=0.1)], limit=inf, shares={1: 0.5})  # type: ignore[arg-type]
    assert again(whole) == whole
    assert asdict(again(whole)) == asdict(whole)
    assert asdict(whole)["parts"] == ({"size": 0.1},)


def test_checks_across_fields_follow_those_of_the_fields() -> None:
    """Catches arithmetic on text, or a check across fields that is skipped."""
    with pytest.raises(InputError, match=r"Ordered\.low must be a number"):
        Ordered(low="0")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="low = 2 is not below high"):
        Ordered(low=2)


def test_what_is_derived_is_checked_as_its_base() -> None:
    """Catches a derived description that loses the checks of its base, or runs them twice."""
    for derived in (Spaced, Renamed):
        with pytest.raises(InputError, match=rf"^{derived.__name__}\.low must be a number"):
            derived(low=None)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="is not below"):
            derived(low=2)
    with pytest.raises(InputError, match="too close"):
        Spaced(low=0.75)
    assert Renamed(low=0.75).low == 0.75
    assert [item.name for item in fields(Spaced)] == ["low", "high", "gap"]


def test_a_message_does_not_show_all_of_a_table() -> None:
    """Catches pages of numbers in which the name of the field is lost."""
    with pytest.raises(InputError) as caught:
        Whole(pair=np.arange(1000.0))  # type: ignore[arg-type]
    assert len(str(caught.value)) < 160
    assert "\n" not in str(caught.value)


def test_making_one_takes_microseconds() -> None:
    """Catches annotations that are looked up for every instance: they take a hundred times that."""
    taken = min(timeit.repeat(lambda: Ordered(low=0.25), number=100, repeat=20)) / 100
    assert taken < 1e-4


def test_the_docstring_is_written_from_the_fields() -> None:
    """Catches a docstring that leaves out a field, a unit, a bound, a default or an error."""
    assert Documented.__doc__ is not None
    assert max(map(len, Documented.__doc__.splitlines())) <= 92
    assert Documented.__doc__.replace("\n        ", " ") == (
        "Be documented in a way of its own.\n"
        "\n"
        "Attributes:\n"
        f"    day: day of the week, {'for ' * 18}two lines [d] (1 to 7)\n"
        "\n"
        "Raises:\n"
        "    InputError: If a field is of the wrong kind or out of its bounds.\n"
        "    InputError: If it is Monday."
    )
    assert Spaced.__doc__ is not None
    for line in (
        "low: smaller number (default 0)",
        "gap: smallest distance (above 0, default 0.5)",
    ):
        assert f"    {line}\n" in Spaced.__doc__
    assert Whole.__doc__ is not None
    for line in (
        "number: any number [Pa] (default 1)",
        "limit: number or infinity [m] (1 to 2, or inf, default 1)",
        "perhaps: number or nothing (at least 0, default None)",
        "shares: share of each (at most 1)",
        "law: function (default <built-in function abs>)",
    ):
        assert f"    {line}\n" in Whole.__doc__


def public_descriptions() -> list[type]:
    """Return every public description of the package."""
    rooms = (femssb, femssb.electrode, femssb.packing, femssb.particles, femssb.voxels)
    public = itertools.chain.from_iterable(
        (getattr(room, name) for name in room.__all__) for room in rooms
    )
    everything = {*public, library.yuan2023.Open}
    found = [
        item
        for item in everything
        if getattr(getattr(item, "__post_init__", None), "__module__", "") == field.__module__
    ]
    return sorted(found, key=lambda item: item.__qualname__)


def test_the_inputs_are_descriptions() -> None:
    """Catches an input that is checked by hand, or a search for descriptions that finds none."""
    names = {item.__name__ for item in public_descriptions()}
    assert names >= {
        "ActiveMaterial", "Charge", "CohesiveLaw", "Conductor", "ContactResistance",
        "CrystalElasticity", "Curve", "Discharge", "Elasticity", "Fixed", "Free", "Grain",
        "HalfCell", "Hold", "InsertionKinetics", "Materials", "MetalKinetics", "Open",
        "Polycrystal", "Pressure", "Rest", "Solid",
    }  # fmt: skip


@pytest.mark.parametrize("item", public_descriptions(), ids=lambda item: item.__name__)
def test_help_shows_meaning_unit_and_range_of_every_public_description(item: type) -> None:
    """Catches a field that only a comment explains, and a bound that is seen when it is broken."""
    shown = pydoc.render_doc(item, renderer=pydoc.plaintext)
    shown = " ".join(shown.replace("\n |", "\n").split())
    for entry in fields(item):
        meaning, unit = entry.metadata["meaning"], entry.metadata["unit"]
        assert meaning, entry.name
        start = f"{entry.name}: {meaning}" + (f" [{unit}]" if unit else "")
        assert start in shown
        range_ = shown.split(start, 1)[1]
        for bound in entry.metadata["bounds"].values():
            assert f"{bound:g}" in range_[: range_.index(")") + 1], entry.name


@pytest.mark.parametrize("item", public_descriptions(), ids=lambda item: item.__name__)
def test_the_annotations_of_every_public_description_can_be_read(item: type) -> None:
    """Catches an annotation unknown to the check, which only the first user would see."""
    nonsense = {entry.name: object() for entry in fields(item)}
    if nonsense:
        with pytest.raises(InputError, match=rf"^{item.__name__}\.\w+ must be .*, got <object"):
            item(**nonsense)


@checked
def everything[T](
    number: float = 1.0,
    *many: int,
    flag: bool = False,
    names: Sequence[str] | Mapping[int, str] = ("a",),
    values: Reals = 0.0,
    array: Array | None = None,
    impedance: Complexes = 0.0,
    mask: NDArray[np.bool_] | None = None,
    path: str | os.PathLike[str] = "here",
    comm: NotLoaded.Comm | None = None,  # type: ignore[name-defined]  # noqa: F821
    items: Sequence[T] = (),
    **others: float,
) -> dict[str, Any]:
    """Return what came in."""
    return dict(locals())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"number": np.float64(2)}, 2.0),
        ({"number": nan}, nan),  # bounds are for the function to check
        ({"names": ["a", "b"]}, ("a", "b")),
        ({"names": {1: "a"}}, {1: "a"}),
        ({"names": []}, ()),
        ({"values": [1, 2]}, np.array([1.0, 2.0])),
        ({"array": [[1, 2]]}, np.array([[1.0, 2.0]])),
        ({"impedance": [1j, 2]}, np.array([1j, 2])),
        ({"mask": [True]}, np.array([True])),
        ({"path": Path("there")}, Path("there")),
        ({"comm": object}, object),
        ({"items": [1, "a"]}, (1, "a")),
        ({"more": 3}, 3.0),
    ],
)
def test_sound_arguments_come_in(given: dict[str, Any], kept: Any) -> None:
    """Catches an annotation that is not understood, or refuses what it should take."""
    (name,) = given
    found = everything(**given)
    value = found["others"][name] if name == "more" else found[name]
    assert type(value) is type(kept)
    np.testing.assert_equal(value, kept)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": "1"}, "everything.number must be a number, got '1'"),
        ({"number": True}, "number must be a number"),
        ({"number": 10**400}, "number = inf is outside"),
        ({"flag": "False"}, "flag must be True or False, got 'False'"),
        ({"names": "ab"}, "names must be a list of words or a mapping, got 'ab'"),
        ({"names": [1]}, r"names\[0\] must be a word"),
        ({"values": [1, [2]]}, "values must hold numbers"),
        ({"values": "1"}, "values must hold numbers"),
        ({"values": 1j}, "values must hold numbers"),
        ({"array": {1}}, "array must hold numbers"),
        ({"mask": [1]}, "mask must hold True and False"),
        ({"path": ""}, "path must be a word, got ''"),
        ({"path": b"a"}, "path must be a word or a path"),
        ({"path": Path("a\0b")}, "path must be a word"),
        ({"path": "\ud800"}, "path must be a word"),
        ({"items": 3}, "items must be"),
        ({"more": "3"}, "everything.more must be a number"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    """Catches a TypeError from deep inside, or a string that counts as True."""
    with pytest.raises(InputError, match=message):
        everything(**given)
    with pytest.raises(InputError, match=r"many\[1\] must be a whole number, got 2\.0"):
        everything(1, 1, 2.0)  # type: ignore[arg-type]


@checked
@dataclass(frozen=True)
class Row:
    """A row of results, which may hold any number."""

    words: str
    value: float = nan


def test_a_dataclass_may_be_checked_without_bounds() -> None:
    """Catches results that hold something else than they say."""
    assert Row("", inf) == Row(words="", value=inf)
    with pytest.raises(InputError, match=r"Row.value must be a number, got 'a'"):
        Row("b", "a")  # type: ignore[arg-type]


class Shy:
    """An object that does not show itself."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError


@pytest.mark.parametrize("value", [Shy(), 10**5000, "a" * 10_000], ids=["shy", "huge", "long"])
def test_a_message_can_always_be_written(value: Any) -> None:
    """Catches an error on the way to the error."""
    with pytest.raises(InputError, match=r"word must be one of .{1,200}$"):
        Whole(word=value)
