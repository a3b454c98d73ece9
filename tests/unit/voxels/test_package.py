"""If these fail, a name is missing, or images need packages that only the half-cell needs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import femssb
from femssb.errors import InputError
from femssb.packing import Packing
from femssb.voxels import image as image_module

ROOT = Path(__file__).parents[3]
PACKAGES = (
    femssb.electrode,
    femssb.grains,
    femssb.meshing,
    femssb.packing,
    femssb.particles,
    femssb.plotting,
    femssb.voxels,
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package):
    """Catches a name that is listed although its home has moved."""
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


def test_nothing_of_the_half_cell_is_needed():
    """Catches an import of DOLFINx, PETSc or MPI, or of anything heavy before it is used."""
    code = """
import sys
for name in ("dolfinx", "ufl", "petsc4py", "mpi4py", "gmsh"):
    sys.modules[name] = None
import femssb.voxels
assert not {"numba", "scipy", "matplotlib", "tifffile"} & set(sys.modules), "loaded too early"
import numpy as np
from femssb.voxels import *
labels = np.ones((4, 4, 4), np.uint8)
labels[:2] = 0
cube = from_array(labels, phase_names=("SE", "AM"), spacing=1e-6)
found = conductivity(cube, {"SE": 0.5, "AM": 0.1})
assert abs(found.value - 0.3) < 1e-7, found.value
assert find_networks(cube).utilisation() == {"AM": 1.0, "SE": 1.0}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_solve_larger_than_the_memory_is_refused_first(monkeypatch):
    """Catches a machine brought to its knees by an image that fits itself, but not its solve."""
    cube = femssb.voxels.from_array(
        np.zeros((10, 10, 10), np.uint8), phase_names=("SE",), spacing=1e-6
    )
    monkeypatch.setattr(image_module, "available_memory", lambda: 200_000)
    with pytest.raises(InputError, match=r"10 x 10 x 10 voxels takes .* 0.0002 GB"):
        femssb.voxels.conductivity(cube, {"SE": 1.0})


def test_a_packing_is_not_given_what_its_spheres_tell():
    """Catches faces that contradict the spheres, and an extrapolation from one."""
    packing = Packing(
        positions=np.full((1, 3), 0.5),
        radii=np.full(1, 0.3),
        phases=np.zeros(1),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
    )
    for options, message in (
        ({"faces": ()}, "takes no faces"),
        ({"grids": 1}, "grids = 1"),
        ({"spacing": -1.0}, "spacing = -1 m"),
    ):
        with pytest.raises(InputError, match=message):
            femssb.electrode.packing_conductivity(
                packing, {"void": 1.0}, **{"spacing": 0.1, **options}
            )
