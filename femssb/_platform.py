try:
    import dolfinx_solver
except ModuleNotFoundError:
    pass
