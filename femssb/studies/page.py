"""Pages of results: headings, text, pictures and tables, as Markdown and as HTML."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from femssb.description import checked
from femssb.environment.files import make_folder, replacing

STYLE = (
    "body{font-family:sans-serif;max-width:75rem;margin:auto}img{max-width:100%}"
    "td,th{border-bottom:1px solid #ccc;padding:.2em .5em;text-align:left}.miss{color:#a33}"
)


@checked
@dataclass(frozen=True)
class Heading:
    """A heading of a page."""

    text: str


@checked
@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@checked
@dataclass(frozen=True)
class Picture:
    """A figure and its caption."""

    path: Path
    text: str


@checked
@dataclass(frozen=True)
class Table:
    """A table; a cell ``**no**`` marks its row."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]

    @checked
    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as CSV and return the path; its folder is made if it does not exist.

        Raises:
            InputError: If the folder cannot be made.
        """
        target = Path(path)
        make_folder(target.parent)
        with replacing(target) as part, part.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.head, *self.rows])
        return target


Block = Heading | Text | Picture | Table


@checked
def write_page(
    path: str | os.PathLike[str], title: str, blocks: Sequence[Block]
) -> tuple[Path, Path]:
    """Write a page as Markdown and as HTML.

    Args:
        path: The files without their suffixes; their folder is made if it does not exist.
        title: The title.
        blocks: What the page holds.

    Returns:
        The two files.

    Raises:
        InputError: If the folder cannot be made.
    """
    base = Path(path)
    folder = make_folder(base.parent)
    files = (base.with_name(f"{base.name}.md"), base.with_name(f"{base.name}.html"))
    texts = (markdown(title, blocks, folder), html(title, blocks, folder))
    for file, text in zip(files, texts, strict=True):
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def markdown(title: str, blocks: Sequence[Block], folder: Path) -> str:
    """Return a page as Markdown; pictures are named from its folder."""
    parts = [f"# {title}"]
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"## {text}")
            case Text(text):
                parts.append(text)
            case Picture(path, text):
                parts.append(f"![{text}]({_from(folder, path).replace(' ', '%20')})")
            case Table(head, rows):
                cells = [[str(x).replace("|", "\\|") for x in row] for row in (head, *rows)]
                cells.insert(1, ["---"] * len(head))
                parts.append("\n".join("| " + " | ".join(row) + " |" for row in cells))
    return "\n\n".join(parts) + "\n"


def html(title: str, blocks: Sequence[Block], folder: Path) -> str:
    """Return a page as HTML; pictures are named from its folder."""
    parts = [f"<h1>{escape(title)}</h1>"]
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"<h2>{escape(text)}</h2>")
            case Text(text):
                parts.append(f"<p>{escape(text)}</p>")
            case Picture(path, text):
                source, caption = escape(_from(folder, path)), escape(text)
                image = f'<img src="{source}" alt="{caption}">'
                parts.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
            case Table(head, rows):
                cells = "".join(f"<th>{escape(x)}</th>" for x in head)
                parts.append(f"<table><tr>{cells}</tr>")
                for row in rows:
                    texts = [str(x) for x in row]
                    kind = ' class="miss"' if "**no**" in texts else ""
                    cells = "".join(f"<td>{escape(x).replace('**', '')}</td>" for x in texts)
                    parts.append(f"<tr{kind}>{cells}</tr>")
                parts.append("</table>")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
