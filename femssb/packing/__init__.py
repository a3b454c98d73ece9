"""Spheres in a box as plain data: sizes, recipes, insertion, structure, stress and files."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
