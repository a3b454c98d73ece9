"""Powders pressed and cycled, and slurries dried, by LAMMPS: laws and the stages of a process.

    recipe -> insert -> press, through a list of stages -> packings with stress and contacts
    formulation -> disperse -> process, through a list of wet stages -> packings with masses

A pressure is positive when it compresses, a stress is positive in tension. Everything here loads
without DOLFINx, PETSc or LAMMPS; `press` and `process` alone start LAMMPS, on all ranks of
``mpirun``.
"""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
