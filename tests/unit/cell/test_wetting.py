"""If these fail, electrolyte in a crack has the potential of another place."""

from types import SimpleNamespace

from mpi4py import MPI

import numpy as np
import pytest

from femssb.cell.wetting import mouths


@pytest.mark.parametrize(("periodic", "nearest"), [((0, 1), 0), ((0,), 0), ((1,), 1), ((), 1)])
def test_walls_are_no_way_round(periodic: tuple[int, ...], nearest: int) -> None:
    """Catches a mouth beyond a side that is not periodic, and a point on a side, after roundoff."""
    crack = np.array([[0.5, -1e-17, 5.0]])
    around = np.array([[9.5, 0.0, 5.0], [4.0, 0.0, 5.0], [0.6, 0.0, 5.0]])
    particles = {"crack": np.array([1]), "interface": np.array([1, 1, 2])}
    bodies = SimpleNamespace(
        period=(np.zeros(3), np.full(3, 10.0)),
        periodic=periodic,
        comm=MPI.COMM_SELF,
        points={
            "crack": SimpleNamespace(points=crack),
            "interface": SimpleNamespace(points=around),
        },
        particles_at=particles.get,
    )
    found = mouths(bodies, "crack", ["interface"])
    assert found.nearest.tolist() == [nearest]
    assert found.found.tolist() == [1.0]
