"""Numbers of an electrode: effective properties, estimates and impedance."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
