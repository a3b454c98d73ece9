"""The look of all figures: style, colours, colour bars, and how a figure is written to a file.

Matplotlib is loaded with the first figure, not with this module, which every rank imports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.errors import InputError, check_number, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design" (2008).
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY = "#CC79A7", "#56B4E9"
SEQUENCE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, "black")
PHASE_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
DOTS_PER_INCH = 220
FORMATS = (".png", ".pdf", ".svg")
STYLE: Mapping[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@checked
def save(
    path: str | os.PathLike[str],
    draw: Callable[..., Figure],
    *arguments: Any,
    tight: bool = False,
    dots_per_inch: float = DOTS_PER_INCH,
) -> Path:
    """Draw a figure in the style of femssb and write it, whole or not at all.

    Args:
        path: A .png, .pdf or .svg file; its folder is made if it does not exist.
        draw: Returns the figure.
        arguments: Arguments of this function.
        tight: Whether the page is cut, or grows, to what is drawn.
        dots_per_inch: Resolution of pixels.

    Returns:
        The file.

    Raises:
        InputError: If the file has another suffix, its folder cannot be made, the resolution is
            out of bounds, or the function returns no figure.
    """
    import matplotlib as mpl

    check_number("save", "dots_per_inch", dots_per_inch, lower=10, upper=2400)
    target = check_format(path)
    make_folder(target.parent)
    with mpl.rc_context(dict(STYLE)), replacing(target) as temporary:
        box = "tight" if tight else None
        figure = draw(*arguments)
        if not hasattr(figure, "savefig"):
            raise InputError(f"save.draw must return a figure, got {shown(figure)}")
        figure.savefig(temporary, dpi=dots_per_inch, bbox_inches=box)
    return target


def check_format(path: str | os.PathLike[str]) -> Path:
    """Return the path of a figure.

    Raises:
        InputError: If its suffix is none of `FORMATS`.
    """
    if Path(path).suffix not in FORMATS:
        raise InputError(f"path = {str(path)!r} must end with one of {', '.join(FORMATS)}")
    return Path(path)


def bare(axes: Axes) -> Axes:
    """Return a panel for a picture: without ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def colour_bar(
    figure: Figure | SubFigure,
    limits: tuple[float, float],
    unit: float,
    label: str,
    colours: str,
    **options: Any,
) -> Colorbar:
    """Draw a colour bar and return it.

    Args:
        figure: Where it goes.
        limits: Values at its ends [SI].
        unit: Value of 1 on the bar in SI.
        label: Quantity and unit.
        colours: Name of a colour map.
        options: As those of `matplotlib.figure.Figure.colorbar`.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = limits
    scale = ScalarMappable(Normalize(low / unit, high / unit), colours)
    return figure.colorbar(scale, label=label, **options)
