"""Links from Markdown to files of Python lead to a page with that source.

On the repository's web page ``[`damaged`](../femssb/cell/cohesion.py)`` is a link to the file; here
it becomes one to a page made from it, to the line of the function, class or constant that the text
names. A name that the file does not have is a warning, so that no page points to what is gone.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "source"  # of the pages made here


class Links(SphinxTransform):
    """Turns links to files of Python into links to their pages."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Look at every link of a document."""
        depth = self.env.docname.count("/")
        for node in list(self.document.findall(addnodes.download_reference)):
            file = (Path(self.env.srcdir) / self.env.docname).parent / node["reftarget"]
            if node["reftarget"].startswith("/"):
                file = Path(self.env.srcdir) / node["reftarget"][1:]
            file = file.resolve()
            if file.suffix != ".py" or not file.is_relative_to(ROOT):
                continue
            name = file.relative_to(ROOT).with_suffix("").as_posix()
            line = self._line(file, node)
            used = getattr(self.env, "femssb_sources", None)
            if used is None:
                used = self.env.femssb_sources = set()
            used.add(name)
            uri = "../" * depth + f"{FOLDER}/{name}.html" + (f"#L-{line}" if line else "")
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))

    def _line(self, file: Path, node: nodes.Element) -> int | None:
        text = node.astext()
        if not re.fullmatch(r"[\w.]+", text) or text.endswith(".py"):
            return None
        last = re.escape(text.rpartition(".")[2])
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if re.match(rf"\s*(?:def|class) {last}\b|{last}\b.*=", line):
                return number
        logging.getLogger(__name__).warning("%s has no %s", file.name, text, location=node)
        return None


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    for name in sorted(getattr(app.env, "femssb_sources", ())):
        text = (ROOT / f"{name}.py").read_text("utf-8")
        body = app.builder.highlighter.highlight_block(text, "python", lineanchors="L")
        title = f"{name}.py"
        html = f'<h1>{title}</h1><div class="source-page">{body}</div>'
        yield f"{FOLDER}/{name}", {"title": title, "body": html}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the pages."""
    app.add_transform(Links)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
