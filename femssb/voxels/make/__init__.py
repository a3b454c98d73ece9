"""Voxel images from packings and recipes."""
