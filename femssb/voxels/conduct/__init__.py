"""Conduction through voxel images."""
