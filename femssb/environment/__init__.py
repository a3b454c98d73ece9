"""The machine and its ranks: set-up of MPI, PETSc and DOLFINx, command lines, and safe files."""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
