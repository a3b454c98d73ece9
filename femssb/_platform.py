"""The one place that knows how DOLFINx got here; import it before anything of DOLFINx."""

try:
    import dolfinx_solver  # noqa: F401  (the wheel orders MPI before its own libraries)
except ModuleNotFoundError:
    pass
