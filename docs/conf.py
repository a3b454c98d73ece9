"""How Sphinx builds these pages: `make docs`, without a network."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from femssb import __version__  # noqa: E402

project = "femssb"
author = copyright = "The femssb authors"
version = release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "api",
    "mathml",
    "sources",
]
exclude_patterns = ["_build", "extensions"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
default_role = "py:obj"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False
copybutton_prompt_text = "$ "
html_theme = "furo"
html_title = f"femssb {__version__}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["femssb.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "default", "monokai"
