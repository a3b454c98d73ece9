"""Measures of voxel images: areas, clusters, chords, profiles and pores."""
