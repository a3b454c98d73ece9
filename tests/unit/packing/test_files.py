"""A packing must survive its way through files: what is misread here is a wrong electrode later."""

from __future__ import annotations

import json

import numpy as np
import pytest
import pyvista as pv

from femssb import packing as files
from femssb.errors import InputError
from femssb.packing import Contacts, Packing
from femssb.units import um

NAMED = {1: "AM", 2: "SE"}


@pytest.fixture
def packing() -> Packing:
    """Forty spheres with everything that a packing can have."""
    generator = np.random.default_rng(7)
    n, m = 40, 25
    return Packing(
        positions=generator.uniform(-5, 5, (n, 3)) * um,
        radii=generator.uniform(0.5, 2, n) * um,
        phases=generator.integers(0, 2, n),
        phase_names=("AM", "SE"),
        lower=np.array([-5, -6, -7]) * um,
        upper=np.array([5, 6, 7]) * um,
        periodic=(True, True, False),
        ids=generator.permutation(100)[:n],
        origin={"seed": 7, "stages": [{"pressure": 375e6}]},
        stress=generator.normal(size=(n, 3, 3)) * 1e6,
        contacts=Contacts(
            first=generator.integers(0, n, m),
            second=generator.integers(-1, n, m),
            branches=generator.normal(size=(m, 3)) * um,
            forces=generator.normal(size=(m, 3)) * 1e-3,
            memory=generator.normal(size=(m, 6)),
        ),
    )


def same(one: Packing, other: Packing, *fields: str, tolerance: float = 0.0) -> None:
    for name in ("positions", "radii", "phases", "ids", "lower", "upper", *fields):
        scale = np.abs(getattr(one, name)).max()
        np.testing.assert_allclose(
            getattr(other, name), getattr(one, name), rtol=0, atol=tolerance * scale, err_msg=name
        )
    assert other.periodic == one.periodic
    assert other.phase_names == one.phase_names


def test_hdf5_keeps_everything(packing, tmp_path):
    """Would catch a field that is forgotten: the next stage would start from another state."""
    files.write(packing, tmp_path / "made" / "packing.h5")
    found = files.read(tmp_path / "made" / "packing.h5")
    same(packing, found, "stress")
    assert found.origin == packing.origin
    for name in ("first", "second", "branches", "forces", "memory"):
        np.testing.assert_array_equal(
            getattr(found.contacts, name), getattr(packing.contacts, name), err_msg=name
        )


@pytest.mark.parametrize("suffix", [".vtp", ".csv"])
def test_vtk_and_csv_keep_all_but_contacts(packing, tmp_path, suffix):
    """Would catch single precision, or a stress whose components change places."""
    files.write(packing, tmp_path / f"packing{suffix}")
    found = files.read(tmp_path / f"packing{suffix}")
    same(packing, found, "stress")
    assert found.origin == packing.origin


def test_half_a_stress_is_refused(packing, tmp_path):
    """Would catch six components of an older version, or of others, dropped without a word."""
    files.write(packing, tmp_path / "packing.csv")
    about, text = (tmp_path / "packing.csv").read_text().split("\n", 1)
    known = json.loads(about[1:])
    del known["sha256"]
    text = text.replace("stress yx [Pa]", "other")
    (tmp_path / "packing.csv").write_text(f"# {json.dumps(known)}\n{text}")
    with pytest.raises(InputError, match=r"not \['stress yx \[Pa\]'\]"):
        files.read(tmp_path / "packing.csv")


def test_components_of_stress_have_their_names_in_vtk(packing, tmp_path):
    """Would catch ParaView calling yx what is xy; nine numbers, as stress need not be symmetric."""
    files.write(packing, tmp_path / "packing.vtp")
    array = pv.read(tmp_path / "packing.vtp").point_data["stress"]
    names = [array.VTKObject.GetComponentName(k) for k in range(9)]
    assert len(set(names)) == 9
    for number, name in enumerate(names):
        i, j = ("XYZ".index(letter) for letter in name)
        np.testing.assert_array_equal(array[:, number], packing.stress[:, i, j])


@pytest.mark.parametrize("units", ["si", "micro"])
def test_lammps_dump(packing, tmp_path, units):
    """Would catch a forgotten unit, diameters for radii, and ranks that write out of order."""
    files.write(packing, tmp_path / "packing.dump", units=units)
    lines = (tmp_path / "packing.dump").read_text().splitlines(keepends=True)
    (tmp_path / "packing.dump").write_text("".join(lines[:9] + lines[:8:-1]))
    found = files.read(tmp_path / "packing.dump", units=units, phases=NAMED)
    order = np.argsort(packing.ids)
    for name in ("positions", "radii", "phases", "ids"):
        np.testing.assert_allclose(getattr(found, name), getattr(packing, name)[order], rtol=1e-14)
    np.testing.assert_allclose(found.upper, packing.upper, rtol=1e-14)
    assert found.periodic == packing.periodic


def test_dump_of_another_program(tmp_path):
    """Would catch the columns of a user's own dump taken for others, and its first frame read."""
    frame = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp ff ss
-10 10
0 40
0 5
ITEM: ATOMS element id xs ys zs vx type diameter
Ni 7 0.5 {where} 0.2 9 2 6
S 3 0.25 0.5 0.4 9 1 4
"""
    path = tmp_path / "other.dump"
    path.write_text(frame.format(step=0, where=0.1) + frame.format(step=9, where=0.75))
    found = files.read(path, units="micro", phases={1: "SE", 2: "AM"})
    assert found.phase_names == ("SE", "AM")
    np.testing.assert_array_equal(found.ids, [3, 7])
    np.testing.assert_allclose(found.radii, [2 * um, 3 * um])
    np.testing.assert_allclose(
        found.positions, np.array([[-5, 20, 2], [0, 30, 1]]) * um, atol=1e-20
    )
    assert found.periodic == (True, False, False)


def test_liggghts_dump_is_in_si(packing, tmp_path):
    """Would catch a LIGGGHTS packing a million times too small."""
    files.write(packing, tmp_path / "packing.liggghts")
    found = files.read(tmp_path / "packing.liggghts", phases=NAMED)
    np.testing.assert_allclose(found.radii, packing.radii[np.argsort(packing.ids)], rtol=1e-14)


@pytest.mark.parametrize("units", ["si", "micro"])
def test_lammps_data(packing, tmp_path, units):
    """Would catch a density in the wrong unit, or identifiers that LAMMPS refuses."""
    densities = {"AM": 4700.0, "SE": 1640.0}
    path = tmp_path / "packing.data"
    files.write(packing, path, units=units, densities=densities)
    found = files.read(path, units=units, phases=NAMED, periodic=packing.periodic)
    order = np.argsort(packing.ids)
    assert found.ids.min() >= 1
    np.testing.assert_allclose(found.positions, packing.positions[order], rtol=1e-14)
    np.testing.assert_allclose(found.radii, packing.radii[order], rtol=1e-14)
    row = next(line for line in path.read_text().splitlines() if len(line.split()) == 7)
    kind, density = int(row.split()[1]), float(row.split()[3])
    expected = [4700.0, 1640.0][kind - 1] * (1 if units == "si" else 1e-3)
    assert density == pytest.approx(expected)


DATA = """LAMMPS data file via write_data, version 22 Jul 2025, timestep = 5, units = {units}

2 atoms
2 atom types
{more}
-10 10 xlo xhi
0 40 ylo yhi
0 5 zlo zhi

Atoms{style}

{rows}
"""
ROWS = "1 1 2.0 1.6 1 2 3\n2 2 3.0 4.7 -4 5 2"


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({"style": ""}, {}, r"does not name its atom style.*style='sphere'"),
        ({"style": " # full"}, {}, "atom style 'full'"),
        ({"style": " # full"}, {"style": "sphere"}, "atom style 'full'"),
        ({"style": " # hybrid sphere ellipsoid"}, {}, "atom style 'hybrid"),
        ({"style": ""}, {"style": "ellipsoid"}, "atom style 'ellipsoid'"),
        ({"more": "1 ellipsoids"}, {}, "ellipsoids: they are no spheres"),
        ({"units": "lj"}, {}, "says that it is in 'lj'"),
        ({}, {"units": "si"}, "says that it is in 'micro'"),
        ({"units": "lj"}, {"units": None}, "units = 'lj' must be one of"),
        ({"units": "si"}, {"units": None}, r"radii from 1 to 1.5 m"),
        ({}, {"periodic": None}, "which sides are periodic"),
        ({"more": "0.1 0 0 xy xz yz"}, {}, "skewed box"),
        ({"more": "1 0 0 avec"}, {}, r"only \['avec'\] of its box"),
        ({"more": "20 1 0 avec\n0 40 0 bvec\n0 0 5 cvec\n"}, {}, "skewed box"),
        ({"rows": ROWS + "\n3 1 2 1.6 1 2 3"}, {}, "announces 2 spheres but has more"),
        ({"rows": ROWS.partition("\n")[0]}, {}, "announces 2 spheres but has fewer"),
        ({"rows": "1 1 2.0 1 2 3\n2 2 3.0 4 5 2"}, {}, "6 columns"),
        ({"rows": "1 1 2.0 1.6 1 2 3 0\n2 2 3.0 4.7 4 5 2 0"}, {}, "8 columns"),
        ({"rows": "1 1 2.0 1.6 1 2 3\n2 2 3.0 4.7 4 5 2 0 0 0"}, {}, "7 columns, but"),
        ({"rows": "1 1.5 2.0 1.6 1 2 3\n2 2 3.0 4.7 4 5 2"}, {}, "'type' that are no whole"),
        ({"rows": "1.2 1 2.0 1.6 1 2 3\n2 2 3.0 4.7 4 5 2"}, {}, "'id' that are no whole"),
        ({"rows": "1 AM 2.0 1.6 1 2 3\n2 2 3.0 4.7 4 5 2"}, {}, "no sphere"),
        ({"rows": "1 1 2.0 1.6 1 2 9\n2 2 3.0 4.7 4 5 2"}, {}, r"sphere 1 at .*beyond"),
        ({"rows": "1 1 nan 1.6 1 2 3\n2 2 3.0 4.7 4 5 2"}, {}, "not finite"),
    ],
)
def test_data_of_other_programs_is_sure_or_refused(tmp_path, change, given, message):
    """Would catch charges read as diameters, and particles that are no spheres."""
    path = tmp_path / "other.data"
    known = {"units": "micro", "more": "", "style": " # sphere", "rows": ROWS}
    options = {"units": "micro", "phases": NAMED, "periodic": (True, True, False)}
    path.write_text(DATA.format(**known))
    sound = files.read(path, **options)
    np.testing.assert_allclose(sound.radii, [1 * um, 1.5 * um])
    path.write_text(DATA.format(**known | {"style": ""}))
    same(sound, files.read(path, **options, style="sphere"))
    path.write_text(DATA.format(**known | change))
    with pytest.raises(InputError, match=message):
        files.read(path, **options | given)


DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
1
ITEM: BOX BOUNDS {sides}
-10 10
0 40
0 5
ITEM: ATOMS id type x y z radius{columns}
1 1 {row}
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": " shapex shapey shapez", "row": "1 2 3 1 2 1 1"}, "no spheres"),
        ({"columns": " quatw quati quatj quatk", "row": "1 2 3 1 1 0 0 0"}, "no spheres"),
        ({"columns": " c_shape[1]", "row": "1 2 3 1 2"}, "no spheres"),
        ({"columns": " blockiness1 blockiness2", "row": "1 2 3 1 2 8"}, "no spheres"),
        ({"columns": " v_q_orient", "row": "1 2 3 1 2"}, "no spheres"),
        ({"row": "1 2 3"}, "6 columns, but a line"),
        ({"row": "1 2 3 1 5"}, "6 columns, but a line"),
        ({"row": "1 2 3e6 1"}, r"sphere 1 at .*beyond"),
        ({"row": "1 2 6.1 1"}, r"sphere 1 at .*beyond"),
        ({"sides": "xy xz yz pp pp pp"}, "its box has the lines"),
        ({"sides": "abc origin pp pp pp"}, "its box has the lines"),
        ({"sides": "pp pp"}, "sides"),
        ({"sides": "pp pp yes"}, "sides"),
        ({"sides": ""}, "which sides are periodic"),
    ],
)
def test_dumps_of_other_programs_are_sure_or_refused(tmp_path, change, message):
    """Would catch ellipsoids, superquadrics and lost spheres read as a packing of spheres."""
    path = tmp_path / "other.dump"
    known = {"sides": "pp pp ff", "columns": "", "row": "1 2 5.9 1"}
    path.write_text(DUMP.format(**known))
    assert len(files.read(path, units="micro", phases=NAMED).radii) == 1
    path.write_text(DUMP.format(**known | change))
    with pytest.raises(InputError, match=message):
        files.read(path, units="micro", phases=NAMED)


def test_units_that_a_file_says_are_heeded(packing, tmp_path):
    """Would catch micrometres read as metres because somebody said so."""
    path = tmp_path / "packing.dump"
    files.write(packing, path)
    path.write_text("ITEM: UNITS\nmicro\n" + path.read_text())
    assert files.read(path, phases=NAMED).radii.max() < 3 * um
    with pytest.raises(InputError, match="says that it is in 'micro'"):
        files.read(path, units="si", phases=NAMED)
    files.write(packing, tmp_path / "packing.dump", units="micro")
    with pytest.raises(InputError, match=r"radii from .* m, outside .*another unit"):
        files.read(tmp_path / "packing.dump", units="si", phases=NAMED)
    files.write(packing, tmp_path / "packing.liggghts")
    with pytest.raises(InputError, match="is in SI"):
        files.read(tmp_path / "packing.liggghts", units="micro", phases=NAMED)
    files.write(packing, tmp_path / "own.data", densities={"AM": 4700.0, "SE": 1640.0})
    own = files.read(tmp_path / "own.data", phases=NAMED)
    assert own.periodic == packing.periodic


def test_foreign_csv_needs_a_box(tmp_path):
    """Would catch a box guessed from the spheres, which makes every porosity wrong."""
    path = tmp_path / "mine.csv"
    path.write_text("id,phase,x [m],y [m],z [m],radius [m]\n1,AM,1e-6,1e-6,1e-6,1e-6\n")
    with pytest.raises(InputError, match="box"):
        files.read(path)
    found = files.read(path, box=([0, 0, 0], [2e-6, 2e-6, 2e-6]))
    assert found.phase_names == ("AM",)
    whole = path.read_text()
    box = ([0, 0, 0], [2e-6, 2e-6, 2e-6])
    for change, message in (
        (whole[:-1], "does not end"),
        (whole.replace("1,AM", "1.5,AM"), "'id' that are no whole"),
        (whole.replace(",1e-6\n", ",1e-6,1\n"), "but a line"),
        (whole.replace(",1e-6\n", "\n"), "but a line"),
        (whole.replace(",1e-6\n", ",1.0\n"), r"radii from 1 to 1 m"),
        (whole.replace("id,", "id,id,", 1).replace("1,", "1,1,", 1), "twice"),
        (whole.replace("1,AM", "1,\0AM"), "mine.csv"),
        (whole.replace("AM", "\ud800"), "mine.csv"),
        ("# [1, 2]\n" + whole.replace("1e-6,1e-6,1e-6", "9e-6,1e-6,1e-6"), "sphere 1 at"),
        ('# {"spheres": 2}\n' + whole, "announces 2 spheres, but has 1"),
        ('# {"periodic": ["no", 0, 1]}\n' + whole, "periodic"),
        ("# " + "[" * 100_000 + "\n" + whole, "mine.csv"),
    ):
        path.write_bytes(change.encode(errors="surrogatepass"))
        with pytest.raises(InputError, match=message):
            files.read(path, box=box)
    path.write_text(whole)
    for wrong in (([0, 0], [1, 1]), 3, ([0, 0, 0], [0, 1, 1]), "box"):
        with pytest.raises(InputError, match=r"box|upper"):
            files.read(path, box=wrong)


@pytest.mark.parametrize("suffix", [".h5", ".vtp", ".csv", ".dump", ".data"])
def test_cut_short(packing, tmp_path, suffix):
    """Would catch a file of a killed run that is read as a smaller packing."""
    path = tmp_path / f"packing{suffix}"
    files.write(packing, path, densities={"AM": 4700.0, "SE": 1640.0})
    whole = path.read_bytes()
    last_line = whole.rstrip().rindex(b"\n") + 1
    for kept in (int(0.8 * len(whole)) - 3, last_line, len(whole.rstrip()) - 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="packing"):
            files.read(path, units="micro", phases=NAMED)


@pytest.mark.parametrize("suffix", [".h5", ".vtp", ".csv", ".data"])
def test_a_flipped_bit_is_found(packing, tmp_path, suffix):
    """Would catch a damaged file that is read as another packing."""
    path = tmp_path / f"packing{suffix}"
    files.write(packing, path, densities={"AM": 4700.0, "SE": 1640.0})
    whole = path.read_bytes()
    for place in np.random.default_rng(3).integers(len(whole) - 90, size=25):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match="packing"):
            files.read(path, units="micro", phases=NAMED, periodic=(True, True, False))


@pytest.mark.parametrize("suffix", [".h5", ".vtp"])
def test_a_lost_checksum_is_missed(packing, tmp_path, suffix):
    """Would catch a file without its end that passes for one of another program."""
    path = tmp_path / f"packing{suffix}"
    files.write(packing, path)
    whole = path.read_bytes()
    seal = {".h5": b"\nsha256 ", ".vtp": b"\n<!-- sha256 "}[suffix]
    path.write_bytes(whole[: whole.rindex(seal)])
    with pytest.raises(InputError, match=r"packing.*checksum"):
        files.read(path)


def test_other_programs_read_sealed_files(packing, tmp_path):
    """Would catch a checksum that ParaView or h5py stumble over."""
    h5py, pyvista = pytest.importorskip("h5py"), pytest.importorskip("pyvista")
    for suffix in (".h5", ".vtp"):
        files.write(packing, tmp_path / f"packing{suffix}")
    with h5py.File(tmp_path / "packing.h5") as file:
        np.testing.assert_array_equal(file["radii"][()], packing.radii)
    cloud = pyvista.read(tmp_path / "packing.vtp")
    np.testing.assert_array_equal(cloud["radius"], packing.radii)


def test_bad_input(packing, tmp_path):
    """Would catch a message that leaves the user to guess."""
    with pytest.raises(InputError, match="no file"):
        files.read(tmp_path / "none.h5")
    with pytest.raises(InputError, match="suffixes"):
        files.write(packing, tmp_path / "packing.xyz")
    assert not list(tmp_path.iterdir())
    files.write(packing, tmp_path / "packing.dump")
    with pytest.raises(InputError, match="units"):
        files.read(tmp_path / "packing.dump", phases=NAMED)
    with pytest.raises(InputError, match="types"):
        files.read(tmp_path / "packing.dump", units="si")
    with pytest.raises(InputError, match=r"types \[2\]"):
        files.read(tmp_path / "packing.dump", units="si", phases={1: "AM"})
    with pytest.raises(InputError, match="metric"):
        files.write(packing, tmp_path / "packing.dump", units="metric")
    with pytest.raises(InputError, match="densities lacks 'SE'"):
        files.write(packing, tmp_path / "packing.data", densities={"AM": 4700.0})
    (tmp_path / "other.h5").write_bytes(b"no")
    with pytest.raises(InputError, match=r"other\.h5"):
        files.read(tmp_path / "other.h5")
