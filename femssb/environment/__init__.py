"""What the machine has: MPI, PETSc, DOLFINx, and safe writing of files."""
