"""Powders pressed and cycled: recipes, contact laws, stages driven by LAMMPS, stress and structure.

Everything here loads without DOLFINx, PETSc or LAMMPS; LAMMPS is started by `press` only.
"""
