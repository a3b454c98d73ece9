"""Polycrystals: tessellations of a ball into grains, made or read from files."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
