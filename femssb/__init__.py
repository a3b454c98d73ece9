"""Electro-chemo-mechanics of solid-state-battery cathodes.

Public names are listed in ``__init__.pyi`` and loaded when first used: ``import femssb`` is quick
and starts nothing.
"""

from femssb._version import __version__ as __version__
from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
