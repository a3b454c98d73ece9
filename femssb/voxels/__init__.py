"""Microstructures as voxel images: made, read, conducted through, measured. Needs no DOLFINx."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
