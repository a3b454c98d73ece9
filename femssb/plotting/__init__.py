"""Figures of runs and of packings; nothing is computed here."""

from femssb.environment.packages import attach, require

require("matplotlib", "pyvista", extra="plot")  # at the start of a script, not when it draws

__getattr__, __dir__, __all__ = attach(__name__, __file__)
