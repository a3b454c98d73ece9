"""Conduction through voxel images: faces become links, links a network that is solved."""
