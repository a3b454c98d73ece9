"""The inputs of a run as rows of a table: value, unit and meaning, and where each comes from.

Meanings and units are those of the fields of descriptions. A value that is that of a set of the
library has the source which stands beside it there; one that is the default of its class says so.
"""

import ast
import importlib
import inspect
import json
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from io import StringIO
from typing import Any, NamedTuple

from femssb.inputs import boundary, curves, elasticity, geometry, interfaces, materials, protocol
from femssb.inputs.case import describe
from femssb.library import nmc811, yuan2023

_MODULES = (boundary, curves, elasticity, geometry, interfaces, materials, protocol)
_HIDDEN = ("value", "concentration [mol/m3]", "digest")  # samples of curves
_LONGEST = 12  # numbers of a list that are shown


class Row(NamedTuple):
    """An input."""

    place: str  # in the case
    value: str
    unit: str
    meaning: str
    source: str


def rows(case: Mapping[str, Any]) -> list[Row]:
    """Return the inputs of a case, in its order."""
    given = case.get("model", {}).get("materials", {})
    return list(_rows(case, "", "", given))


def _rows(value: Any, place: str, owner: str, given: Mapping[str, Any]) -> Iterator[Row]:
    for name, item in value.items():
        here = f"{place}.{name}" if place else name
        cls = _classes().get(str(value.get("class", "")))
        known = {one.name: one for one in fields(cls)} if cls is not None else {}
        if name in _HIDDEN and value.get("class") == "Curve":
            continue
        if isinstance(item, Mapping) and item:
            yield from _rows(item, here, str(item.get("class", owner)), given)
        elif isinstance(item, list) and item and all(isinstance(one, Mapping) for one in item):
            for number, one in enumerate(item):
                yield from _rows(one, f"{here}[{number}]", str(one.get("class", "")), given)
        elif name != "class":
            about = known[name].metadata if name in known else {}
            default = known[name].default if name in known else MISSING
            source = _source(here, item, given)
            if not source and default is not MISSING and _same(item, describe(default)):
                source = "default"
            yield Row(here, _shown(item), about.get("unit", ""), about.get("meaning", ""), source)
        elif place and value.get("class"):
            yield Row(place, str(item), "", "", "")


def _source(place: str, value: Any, given: Mapping[str, Any]) -> str:
    """Return where a value of the materials comes from, if it is one of the library."""
    path = place.removeprefix("model.materials.").split(".")
    if not place.startswith("model.materials."):
        return ""
    for name, (described, said) in _sets().items():
        found: Any = described
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None and _same(found, value):
            owner: Any = described
            for part in path[:-1]:
                owner = owner[part]
            remark = said.get((str(owner.get("class", "")), path[-1]), "")
            return f"{name}: {remark}" if remark else name
    return ""


@cache
def _sets() -> dict[str, tuple[Mapping[str, Any], Mapping[tuple[str, str], str]]]:
    """Return the sets of the library as plain data, with what is said beside their values."""
    of_paper = _remarks("femssb.library.yuan2023")
    found = {
        "library.yuan2023": (yuan2023.materials(), of_paper),
        "library.yuan2023, CALIBRATED": (
            yuan2023.materials(values=yuan2023.CALIBRATED),
            of_paper | _remarks("femssb.library.yuan2023", "CALIBRATED"),
        ),
        "library.nmc811": (nmc811.materials(), of_paper | _remarks("femssb.library.nmc811")),
    }
    return {
        name: (json.loads(json.dumps(describe(made), default=float)), remarks)
        for name, (made, remarks) in found.items()
    }


def _remarks(module: str, of: str = "") -> dict[tuple[str, str], str]:
    """Return the remark beside each argument of a description in a module, by class and field.

    Where an argument is a value by another name, the remark beside that value is taken.
    """
    source = inspect.getsource(importlib.import_module(module))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    tree = ast.parse(source)
    values: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            above = comments.get(node.lineno - 1, "") if isinstance(node, ast.AnnAssign) else ""
            remark = comments.get(node.end_lineno or 0, above)
            if isinstance(target, ast.Name) and remark:
                values[target.id] = remark
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = node.targets[0]
            if isinstance(name, ast.Name) and name.id == of:
                values |= _beside(node.value, comments)
    found: dict[tuple[str, str], str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            beside = _beside(node, comments)
            for keyword in node.keywords:
                inner = [n.id for n in ast.walk(keyword.value) if isinstance(n, ast.Name)]
                inner += [n.attr for n in ast.walk(keyword.value) if isinstance(n, ast.Attribute)]
                said = [values[name] for name in inner if name in values]
                remark = beside.get(str(keyword.arg)) or "; ".join(dict.fromkeys(said))
                if remark:
                    found.setdefault((node.func.id, str(keyword.arg)), _without_unit(remark))
    return found


def _beside(call: ast.Call, comments: Mapping[int, str]) -> dict[str, str]:
    """Return the remark on the line on which each argument of a call ends."""
    return {
        str(keyword.arg): comments[keyword.value.end_lineno]
        for keyword in call.keywords
        if keyword.value.end_lineno in comments and keyword.value.end_lineno == keyword.value.lineno
    }


def _without_unit(remark: str) -> str:
    return remark.partition("] ")[2] if remark.startswith("[") else remark


@cache
def _classes() -> dict[str, type]:
    return {
        name: thing
        for module in _MODULES
        for name, thing in vars(module).items()
        if isinstance(thing, type) and is_dataclass(thing)
    }


def _same(one: Any, other: Any) -> bool:
    return bool(json.dumps(one, default=float) == json.dumps(other, default=float))


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(_shown(one) for one in value[:_LONGEST])
        return f"[{shown}{f', ... {len(value)} in all' if len(value) > _LONGEST else ''}]"
    return str(value)
