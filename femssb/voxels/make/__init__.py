"""Voxel images made from packings and from generators."""
