"""Cited values: the complete set of each paper, and single materials.

Sets are modules whose function `materials` returns a `femssb.Materials`; single materials are
constants, each a `femssb.Solid`. The source of every value is on its line or the line above; what
was not measured says ``assumed`` or ``derived``. Take a variant with `dataclasses.replace`.
"""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
