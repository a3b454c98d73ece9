"""Packings that other programs wrote: each kind of file that `packing.read` takes.

The same three spheres in most of them, so that a misread unit, diameter or column shows.
``tests/data/README.md`` says how the files were made.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from femssb.environment.isolation import reading
from femssb.errors import InputError
from femssb.packing import read, read_frames
from femssb.packing.files import vtk_files
from femssb.units import um

DATA = Path(__file__).parents[2] / "data" / "packings"
NAMED = {1: "AM", 2: "SE"}
ZERO_BASED = {0: "AM", 1: "SE"}
BOX = ((0.0, 0.0, 0.0), (20 * um,) * 3)
SIDES = (True, True, False)
RADII = np.array([3, 2, 3]) * um
# LIGGGHTS and Yade, and LAMMPS, which has its own places.
PLACES = np.array([[5, 5, 5], [12, 6, 7], [14, 14, 9]]) * um
OF_LAMMPS = np.array([[5, 5, 5], [14, 5, 5], [14, 14, 14]]) * um


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Read in this process, which is quicker; `tests/robustness` reads each kind in a child."""

    def call(function, path, *arguments):
        with reading(path):
            return function(path, *arguments)

    monkeypatch.setattr(vtk_files, "in_child", call)


def same(found, places, *, ids=(1, 2, 3), periodic=SIDES):
    return (
        np.allclose(found.positions, places, rtol=1e-6, atol=0)
        and np.allclose(found.radii, RADII, rtol=1e-12, atol=0)
        and [found.phase_names[k] for k in found.phases] == ["AM", "SE", "AM"]
        and np.array_equal(found.ids, ids)
        and np.allclose([found.lower, found.upper], BOX, rtol=1e-7, atol=1e-18)
        and found.periodic == periodic
    )


# LIGGGHTS


def test_liggghts():
    """Catches dumps of LIGGGHTS read in another unit, and its VTK files refused."""
    assert same(read(DATA / "liggghts.liggghts", phases=NAMED), PLACES)
    given = {"units": "si", "phases": NAMED, "box": BOX, "periodic": SIDES}
    for name in ("liggghts.vtk", "liggghts.vtp"):
        assert same(read(DATA / name, **given), PLACES)
    for missing, message in (("box", "its box"), ("units", "its units"), ("phases", "its types")):
        with pytest.raises(InputError, match=message):
            read(DATA / "liggghts.vtk", **given | {missing: None})


def test_what_has_no_radius_is_no_packing(tmp_path):
    """Catches the corners of a mesh, or centres of superquadrics, read as spheres."""
    given = {"units": "si", "phases": NAMED, "box": BOX, "periodic": SIDES}
    text = (DATA / "liggghts.vtk").read_text()
    for name, message in (("size", "no array 'radius'"), ("shapex", r"\['shapex'\].*no spheres")):
        (tmp_path / "other.vtk").write_text(text.replace("radius", name))
        with pytest.raises(InputError, match=message):
            read(tmp_path / "other.vtk", **given)
    (tmp_path / "cut.vtk").write_text(text[: text.index("4700")])
    with pytest.raises(InputError, match=r"cut\.vtk is damaged"):
        read(tmp_path / "cut.vtk", **given)


def test_points_of_vtk(tmp_path):
    """Catches diameters, or types that start from 0, in the clouds of other programs."""
    points = vtkPoints()
    points.SetDataTypeToDouble()
    points.SetData(numpy_to_vtk(PLACES / um, deep=True))
    cloud = vtkPolyData()
    cloud.SetPoints(points)
    for name, values in (("Diameter", 2 * RADII / um), ("species", np.array([0, 1, 0]))):
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        cloud.GetPointData().AddArray(array)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(str(tmp_path / "cloud.vtp"))
    writer.SetInputData(cloud)
    writer.Write()
    given = {"units": "micro", "box": BOX, "periodic": SIDES}
    assert same(read(tmp_path / "cloud.vtp", phases=ZERO_BASED, **given), PLACES, ids=(0, 1, 2))


# LAMMPS


@pytest.mark.parametrize("name", ["cgs.dump", "real.dump"])
def test_units_of_lammps(name):
    """Catches centimetres and angstroms taken for metres."""
    assert same(read(DATA / name, phases=NAMED), OF_LAMMPS)


def test_labels_of_types():
    """Catches words that are no numbers, and names given in vain."""
    assert same(read(DATA / "typelabel.dump", units="micro"), OF_LAMMPS)
    assert same(read(DATA / "labels.data", periodic=SIDES), OF_LAMMPS)
    for given in ({"AM": "SE", "SE": "AM"}, {1: "SE", 2: "AM"}):
        found = read(DATA / "labels.data", periodic=SIDES, phases=given)
        assert [found.phase_names[k] for k in found.phases] == ["SE", "AM", "SE"]
    with pytest.raises(InputError, match=r"types \['SE'\], which phases does not name"):
        read(DATA / "typelabel.dump", units="micro", phases={"AM": "AM"})


def test_frames_of_a_dump():
    """Catches the last frame read for the one asked for, and frames that are left out."""
    path = DATA / "typelabel.dump"
    first, second, third = read_frames(path, units="micro")
    assert [one.origin["timestep"] for one in (first, second, third)] == [0, 1, 2]
    assert read(path, units="micro").origin["timestep"] == 2
    for frame, expected in ((0, 0), (1, 1), (-3, 0)):
        assert read(path, units="micro", frame=frame).origin["timestep"] == expected
    for frame in (3, -4):
        with pytest.raises(InputError, match=f"frame = {frame}, but typelabel.dump has 3 frames"):
            read(path, units="micro", frame=frame)
    with pytest.raises(InputError, match=r"frame = 0\.5|frame must be"):
        read(path, units="micro", frame=0.5)


@pytest.mark.parametrize("kind", ["tri", "gen"])
def test_a_box_that_could_be_skewed_and_is_not(kind, tmp_path):
    """Catches a sound box refused, and a skewed one read as if it were not."""
    everywhere = (True, True, True)
    assert same(
        read(DATA / f"{kind}.dump", units="micro", phases=NAMED), OF_LAMMPS, periodic=everywhere
    )
    found = read(DATA / f"{kind}.data", periodic=everywhere)
    assert same(found, OF_LAMMPS, periodic=everywhere)
    for suffix in ("dump", "data"):
        text = (DATA / f"{kind}.{suffix}").read_text()
        skewed = {
            "tri.dump": ("e+01 0.0000000000000000e+00\n", "e+01 1.0000000000000000e+00\n"),
            "gen.dump": ("2.0000000000000000e+01 0.0", "2.0000000000000000e+01 1.0"),
            "tri.data": ("0 0 0 xy xz yz", "0 1 0 xy xz yz"),
            "gen.data": ("20 0 0 avec", "20 0 1 avec"),
        }[f"{kind}.{suffix}"]
        assert skewed[0] in text
        (tmp_path / f"skewed.{suffix}").write_text(text.replace(*skewed, 1))
        with pytest.raises(InputError, match="skewed box"):
            read(tmp_path / f"skewed.{suffix}", units="micro", phases=NAMED, periodic=everywhere)


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("bpm_sphere.data", None),
        ("hybrid_sphere_charge.data", "hybrid sphere charge"),
        ("hybrid_charge_sphere.data", "hybrid charge sphere"),
    ],
)
def test_columns_of_atom_styles(name, style):
    """Catches molecules, charges or densities read as diameters."""
    given = {"phases": NAMED, "periodic": SIDES, "units": "micro"}
    assert same(read(DATA / name, style=style, **given), OF_LAMMPS)
    if style is not None:
        with pytest.raises(InputError, match=r"'hybrid' and does not name its parts"):
            read(DATA / name, **given)
        for wrong, message in (
            ("hybrid ellipsoid sphere", "others are no spheres"),
            ("hybrid charge full", "or have no radius"),
            ("sphere", "has atom style 'hybrid'"),
            ("hybrid sphere full", "11 columns"),
            ("hybrid sphere full charge", "parts overlap"),
        ):
            with pytest.raises(InputError, match=message):
                read(DATA / name, style=wrong, **given)


# Yade and MercuryDPM


def test_tables_of_yade(tmp_path):
    """Catches columns in another order, the cell of a periodic packing lost, and clumps."""
    given = {"units": "si", "box": BOX, "periodic": SIDES}
    one = read(DATA / "yade_xyzr.txt", phases={0: "AM"}, **given)
    np.testing.assert_allclose(one.positions, PLACES)
    np.testing.assert_allclose(one.radii, RADII)
    assert one.phase_names == ("AM",)
    for name in ("yade_mat.txt", "yade_id.txt"):
        assert same(read(DATA / name, phases=ZERO_BASED, **given), PLACES, ids=(0, 1, 2))
    with pytest.raises(InputError, match="does not say the types of its spheres"):
        read(DATA / "yade_xyzr.txt", phases=ZERO_BASED, **given)
    pack = read(DATA / "yade_pack.txt", units="si", phases={0: "AM"})
    np.testing.assert_allclose(pack.positions, PLACES[:2])
    np.testing.assert_allclose(pack.upper, BOX[1])
    assert pack.periodic == (True, True, True)
    with pytest.raises(InputError, match="2 spheres that are joined to clumps"):
        read(DATA / "yade_clumps.txt", phases={0: "AM"}, **given)
    bare = (DATA / "yade_xyzr.txt").read_text().partition("\n")[2]
    (tmp_path / "bare.txt").write_text(bare)
    with pytest.raises(InputError, match=r"give style='x_y_z_r_clumpId'"):
        read(tmp_path / "bare.txt", phases={0: "AM"}, **given)
    found = read(tmp_path / "bare.txt", phases={0: "AM"}, style="x_y_z_r", **given)
    np.testing.assert_allclose(found.radii, RADII)
    with pytest.raises(InputError, match="radii where LIGGGHTS has diameters"):
        read(DATA / "yade.data", phases=NAMED, style="sphere", **given)
    vtk = read(DATA / "yade.vtk", phases=ZERO_BASED, **given)
    np.testing.assert_allclose(vtk.positions[:3], PLACES)
    assert vtk.phases.tolist() == [0, 1, 0, 0, 0]


def test_tables_of_mercury(tmp_path):
    """Catches velocities read as radii, the first frame for the last, and discs."""
    path, given = DATA / "mercury.data", {"units": "micro", "phases": {0: "AM"}}
    found = read(path, periodic=SIDES, **given)
    np.testing.assert_allclose(found.positions, [[0.05 * um, -0.5 * um, 0.489727981894152 * um]])
    np.testing.assert_allclose(found.radii, [0.5 * um])
    np.testing.assert_allclose(found.lower, [-um] * 3)
    assert found.origin["time"] == 0.05
    times = [one.origin["time"] for one in read_frames(path, periodic=SIDES, **given)]
    assert times == [0, 0.025, 0.05]
    with pytest.raises(InputError, match="which sides are periodic"):
        read(path, **given)
    with pytest.raises(InputError, match="discs are no spheres"):
        read(DATA / "mercury_discs.data", periodic=SIDES, **given)
    lines = path.read_text().splitlines(keepends=True)
    (tmp_path / "cut.data").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match="announces 1 spheres but has 0 lines: it is cut short"):
        read(tmp_path / "cut.data", periodic=SIDES, **given)


# Tables of people


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark(tmp_path, encoding):
    """Catches a first column that a spreadsheet renamed without anybody seeing it."""
    table = "id,phase,x [m],y [m],z [m],radius [m]\n1,AM,1e-6,1e-6,1e-6,1e-6\n"
    (tmp_path / "mine.csv").write_text(table, encoding=encoding)
    found = read(tmp_path / "mine.csv", box=((0, 0, 0), (2e-6, 2e-6, 2e-6)))
    assert found.phase_names == ("AM",)


def test_a_table_of_another_program_is_refused(tmp_path):
    """Catches any text with numbers taken for a packing."""
    shutil.copy(DATA / "liggghts.liggghts", tmp_path / "dump.txt")
    with pytest.raises(InputError, match="does not begin with '#format'"):
        read(tmp_path / "dump.txt", units="si", phases=NAMED, box=BOX, periodic=SIDES)
