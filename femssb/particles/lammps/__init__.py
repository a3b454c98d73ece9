"""LAMMPS as the engine of particle simulations."""
