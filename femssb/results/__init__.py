"""Results of a run: series, fields and numbers; they load without DOLFINx."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
