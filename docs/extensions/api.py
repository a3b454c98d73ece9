"""The reference: all public names of a package, unit and bounds of each field of a description.

``.. package:: femssb.voxels`` documents the names that ``__init__.pyi`` lists, in its order. Fields
come from their metadata (`femssb.description.field`), so that a table cannot differ from what is
checked. ```{quantities} COLUMNS``` in Markdown is a table of `femssb.results.quantities`. Names in
``code`` anywhere in the pages become links where the reference has them.
"""

import csv
import dataclasses
import inspect
import re
import types
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import stringify_annotation

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("Field", "Meaning", "Unit", "Range", "Default")
HOMES = ("femssb.errors", "femssb.results")  # of names that `femssb` has, too
WORDS = {"lower": "≥", "above": ">", "upper": "≤", "below": "<"}


def _range(item: dataclasses.Field[Any]) -> str:
    bounds = item.metadata.get("bounds", {})
    texts = [f"{WORDS[name]} {bound:g}" for name, bound in bounds.items()]
    if bounds.keys() == {"lower", "upper"}:
        texts = [f"{bounds['lower']:g} to {bounds['upper']:g}"]
    return ", ".join(texts) + (" or inf" if item.metadata.get("infinite") else "")


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is dataclasses.MISSING:
        return "made anew" if item.default_factory is not dataclasses.MISSING else "needed"
    value = item.default
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return f"``{text}``" if len(text) < 40 else f"``{text.split('(')[0]}(...)``"


def _literal(text: str) -> str:
    return re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", text)


def _kind(hint: Any) -> str:
    return "" if hint in (float, "float") else stringify_annotation(hint, "smart").replace("~", "")


def _is_description(thing: Any) -> bool:
    return dataclasses.is_dataclass(thing) and all(
        "meaning" in item.metadata for item in dataclasses.fields(thing)
    )


def _list_table(rows: list[tuple[str, ...]], widths: str) -> list[str]:
    lines = ["", ".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(("   * - " if number == 0 else "     - ") + cell)
    return [*lines, ""]


def _fields(cls: Any) -> list[str]:
    hints = typing.get_type_hints(cls)
    rows: list[tuple[str, ...]] = [COLUMNS]
    for item in dataclasses.fields(cls):
        kind = _kind(hints[item.name]).replace("femssb.inputs.", "")
        kind = re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", kind)
        meaning = _literal(item.metadata["meaning"]) + (f" ({_literal(kind)})" if kind else "")
        unit = item.metadata["unit"]
        rows.append((f"``{item.name}``", meaning, unit, _range(item), _default(item)))
    return _list_table(rows, "16 44 10 18 12")


def _docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Put a table of the fields of a description in the place of their list."""
    if what != "class" or not _is_description(thing) or "Attributes:" not in lines:
        return
    start = lines.index("Attributes:")
    end = start + 1
    while end < len(lines) and (not lines[end] or lines[end][0] == " "):
        end += 1
    lines[start:end] = _fields(thing)


def _signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave the arguments of a description to its table."""
    return ("", "") if what == "class" and _is_description(thing) else None


class Package(SphinxDirective):
    """All public names of a package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of each name."""
        name = self.arguments[0]
        package = import_module(name)
        lines = (inspect.getdoc(package) or "").splitlines()
        lines += ["", f".. py:module:: {name}", ""]
        for public in getattr(package, "__all__", None) or _public(package):
            thing = getattr(package, public)
            home = next((one for one in HOMES if _home(thing).startswith(one)), name)
            if home == name:
                lines += _entry(f"{name}.{public}", thing)
            else:
                lines += [f"- ``{public}``: see `{home}.{public}`", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=False)


def _home(thing: Any) -> str:
    return thing.__module__ if isinstance(thing, type) else ""


def _public(module: types.ModuleType) -> list[str]:
    own = [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == module.__name__
    ]
    constants = [
        name for name, thing in vars(module).items() if name.isupper() or isinstance(thing, float)
    ]
    return [*own, *(name for name in constants if name not in own)]


def _entry(path: str, thing: Any) -> list[str]:
    if isinstance(thing, types.ModuleType):
        return []  # has a page of its own
    if inspect.isclass(thing):
        return [f".. autoclass:: {path}", ""]
    if callable(thing):
        return [f".. autofunction:: {path}", ""]
    lines = [f".. py:data:: {path}", ""]
    if isinstance(thing, float):
        return [*lines[:1], f"   :value: {thing:g}", ""]
    if dataclasses.is_dataclass(thing) and _is_description(type(thing)):
        rows = [("Property", "Value", "Unit")]
        for item in dataclasses.fields(thing):
            value = getattr(thing, item.name)
            if value is not None:
                text = f"{value:.6g}" if isinstance(value, float) else str(value)
                meaning = _literal(item.metadata["meaning"])
                rows.append((meaning, _literal(text), item.metadata["unit"]))
        return lines + ["   " + line for line in _list_table(rows, "40 40 20")]
    if isinstance(thing, dict) and all(isinstance(value, str) for value in thing.values()):
        rows = [("Name", "Meaning"), *((f"``{k}``", _literal(v)) for k, v in thing.items())]
        return lines + ["   " + line for line in _list_table(rows, "35 65")]
    return lines


class Quantities(SphinxDirective):
    """A table of quantities in results, for Markdown."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        found = getattr(import_module("femssb.results.quantities"), self.arguments[0])
        rows = [f"| `{name}` | {meaning.replace('|', '/')} |" for name, meaning in found.items()]
        return self.parse_text_to_nodes("\n".join(["| Name | Meaning |", "|---|---|", *rows]))


class Targets(SphinxDirective):
    """The numbers of a paper that is reproduced, from its table, for Markdown."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        file = ROOT / "papers" / self.arguments[0] / "targets.csv"
        self.env.note_dependency(str(file))
        lines = ["| Where | What | Paper | Band | Why this band |", "|---|---|---|---|---|"]
        with open(file, newline="", encoding="utf-8") as table:
            for row in csv.DictReader(table):
                unit = "" if row["unit"] == "-" else f" {row['unit']}"
                cells = (
                    f"{row['study']}: {row['case']}",
                    row["quantity"],
                    row["paper"] + unit,
                    row["band"],
                    row["reason"],
                )
                shown = (re.sub(r"([*_|<\\])", r"\\\1", cell) for cell in cells)
                lines.append(f"| {' | '.join(shown)} |")
        return self.parse_text_to_nodes("\n".join(lines))


def _link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Make links of public names in code."""
    known = app.env.get_domain("py").objects
    for node in list(doctree.findall(nodes.literal)):
        if any(isinstance(up, nodes.reference | nodes.title) for up in _above(node)):
            continue
        match = re.match(r"(?:femssb\.)?([A-Za-z_][\w.]*)(?:\([^)]*\))?$", node.astext())
        entry = known.get(f"femssb.{match[1]}") if match else None
        if entry:
            target = make_refnode(
                app.builder, docname, entry.docname, entry.node_id, node.deepcopy()
            )
            node.replace_self(target)


def _above(node: nodes.Node) -> Any:
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app: Sphinx) -> dict[str, bool]:
    """Register directives and hooks."""
    app.add_directive("package", Package)
    app.add_directive("quantities", Quantities)
    app.add_directive("targets", Targets)
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
