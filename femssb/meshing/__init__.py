"""Meshes of half-cells, made by Gmsh or read from files."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
