"""Microstructures as voxel images: made, read, conducted through, counted. Needs no DOLFINx."""

from femssb.voxels.image import VoxelImage

__all__ = ["VoxelImage"]
