"""Microstructures as voxel images: made, conducted through, measured. Needs no DOLFINx.

    packing, recipe or file -> VoxelImage -> conductivities, tortuosities, areas, clusters, pores

- `image`: the labels of a box of voxels, their phases and spacing; `files` reads and writes them,
  a module for each family of formats.
- `make`: images of packings of spheres (`voxelise`), of composites from a few numbers
  (`Composite`), and what they are made of: thrown polyhedra, binder in menisci.
- `conduct`: effective conductivity by a flux from plate to plate, with a proven error. `links`
  joins voxels, `network` keeps those that carry current, `aggregation`, `hierarchy`, `multigrid`
  and `conjugate_gradients` solve it, `bounds` proves the error, `currents` reads the answer,
  `cut_links` joins voxels cut by spheres, `extrapolation` removes the voxel size and estimates
  what is left, `many` has a process for each of many images; `impedance` is that of a blocking
  symmetric cell, and another tortuosity.
- `measure`: interface areas, clusters and networks, chords and profiles, pores.
"""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
