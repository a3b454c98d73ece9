"""Pages that set numbers of a paper beside ours: their pieces, as Markdown and as HTML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    """A heading of a page."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    path: Path
    text: str


@dataclass(frozen=True)
class Table:
    """A table."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Text | Picture | Table


def markdown(blocks: Sequence[Block], folder: Path) -> str:
    """Return a page as Markdown; pictures are named from its folder."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading(text):
                lines.append(f"## {text}")
            case Text(text):
                lines.append(text)
            case Picture(path, text):
                lines.append(f"![{text}]({os.path.relpath(path, folder)})")
            case Table(head, rows):
                table = [head, ["---"] * len(head), *rows]
                lines.append("\n".join("| " + " | ".join(row) + " |" for row in table))
    return "\n\n".join(lines) + "\n"


def html(title: str, blocks: Sequence[Block], folder: Path) -> str:
    """Return a page as HTML; pictures are named from its folder."""
    body = [f"<h1>{escape(title)}</h1>"]
    for block in blocks:
        match block:
            case Heading(text):
                body.append(f"<h2>{escape(text)}</h2>")
            case Text(text):
                body.append(f"<p>{escape(text)}</p>")
            case Picture(path, text):
                source = escape(os.path.relpath(path, folder))
                body.append(f'<figure><img src="{source}" alt="{escape(text)}"></figure>')
            case Table(head, rows):
                body.append(
                    "<table><tr>" + "".join(f"<th>{escape(x)}</th>" for x in head) + "</tr>"
                )
                for row in rows:
                    cells = "".join(f"<td>{escape(x).replace('**', '')}</td>" for x in row)
                    body.append(f'<tr class="{"miss" if "**no**" in row else ""}">{cells}</tr>')
                body.append("</table>")
    style = (
        "body{font-family:sans-serif;max-width:75rem;margin:auto}img{max-width:100%}"
        "td,th{border-bottom:1px solid #ccc;padding:.2em .5em;text-align:left}.miss{color:#a33}"
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>\n"


def passes(found: float | None, paper: float, band: str) -> bool | None:
    """Return whether a number lies in its band; None where the paper's is no target.

    Args:
        found: Ours, None if the run did not finish.
        paper: The paper's.
        band: ``5 %`` (relative), ``x1.3`` (factor), ``<`` or ``>`` (below or above the
            paper's number) or ``none``.
    """
    if band == "none":
        return None
    if found is None:
        return False
    if band == "<":
        return found < paper
    if band == ">":
        return found > paper
    if band.startswith("x"):
        return 1 / float(band[1:]) <= found / paper <= float(band[1:])
    return abs(found - paper) <= float(band.removesuffix("%")) / 100 * abs(paper)
