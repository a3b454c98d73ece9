"""Grains from files: another convention, unit or shape than was meant gives a wrong run in silence.

Worth reading: `test_formats_name_conventions_differently` and
`test_cells_that_are_not_those_of_the_seeds_are_refused`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb.errors import InputError
from femssb.grains import read_orientations, read_sites, read_tess, tessellate
from femssb.inputs.geometry import Grain, Polycrystal
from femssb.tables import sealed
from femssb.units import um

HALF_TAN = math.tan(math.pi / 12)
TURNED = Rotation.from_euler("z", 30, degrees=True).as_matrix()  # what all descriptors mean
PLANE = 5 + 5 / 12  # where the power of the two seeds is the same
HEAD = """***tess
 **format
   {format}
 **general
   {general}
 **cell
  2
  *crysym
   triclinic
  *seed
{seeds}  *ori
   {descriptor}
   {first}
   {second}
 **vertex
 12
"""
TAIL = """ **domain
  *general
   cube
  *vertex
   1
   1  0.0 0.0 0.0 x0y0z0
      1 1
***end
"""


def tess(
    *,
    plane: float = PLANE,
    seeds: str = "   1 2.0 5.0 5.0 3.0\n   2 8.0 5.0 5.0 2.0\n",
    size: float = 10.0,
    state: int = 0,
    format: str = "3.5",
    general: str = "3 standard",
    descriptor: str = "rodrigues",
    first: str = f"0 0 {HALF_TAN}",
    second: str = f"0 0 {HALF_TAN}",
) -> str:
    """Return a cube cut by a plane across x, in the format of Neper."""
    corners = [(x, y, z) for x in (0.0, plane, size) for z in (0.0, size) for y in (0.0, size)]
    text = HEAD.format(
        format=format,
        general=general,
        seeds=seeds,
        descriptor=descriptor,
        first=first,
        second=second,
    )
    for number, corner in enumerate(corners, start=1):
        moved = state if 5 <= number <= 8 else 0  # those of the plane
        text += f"  {number} {' '.join(f'{x:.12f}' for x in corner)} {moved}\n"
    text += " **edge\n 1\n  1 1 2 0\n **face\n 11\n"
    squares = [[1, 2, 4, 3], [5, 6, 8, 7], [9, 10, 12, 11]]
    for low in (0, 4):
        squares += [[low + k for k in four] for four in ([1, 2, 6, 5], [3, 4, 8, 7])]
        squares += [[low + k for k in four] for four in ([1, 3, 7, 5], [2, 4, 8, 6])]
    for number, four in enumerate(squares, start=1):
        text += f"  {number} 4 {' '.join(map(str, four))}\n    4 1 -1 1 -1\n"
        text += "    0.0 1.0 0.0 0.0\n    0 0 0.0 0.0 0.0\n"
    text += " **polyhedron\n 2\n  1 6 -1 2 4 5 6 7\n  2 6 -2 3 8 9 10 11\n"
    return text + TAIL


def written(folder: Path, text: str, name: str = "two.tess") -> Path:
    """Return the path of a file."""
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("descriptor", "value"),
    [
        ("rodrigues", f"0 0 {HALF_TAN}"),
        ("R", f"0 0 {HALF_TAN}"),
        ("rodrigues:passive", f"0 0 {HALF_TAN}"),
        ("rodrigues:active", f"0 0 {-HALF_TAN}"),
        ("euler-bunge", "10 0 20"),
        ("e", "10 0 20"),
        ("euler-kocks", "-80 0 70"),
        ("euler-roe", "-80 0 110"),
        ("quaternion", f"{math.cos(math.pi / 12)} 0 0 {math.sin(math.pi / 12)}"),
        ("axis-angle", "0 0 2 30"),
        ("rotmat", f"{math.sqrt(3) / 2} 0.5 0 -0.5 {math.sqrt(3) / 2} 0 0 0 1"),
    ],
)
def test_neper_tessellation(tmp_path: Path, descriptor: str, value: str) -> None:
    """Would catch orientations read as their inverse, or radii taken for squared weights."""
    text = tess(descriptor=descriptor, first=value, second=value)
    grains = read_tess(written(tmp_path, text))
    assert np.array([grain.point for grain in grains]) / um == pytest.approx(
        np.array([[-3, 0, 0], [3, 0, 0]])
    )
    assert [grain.weight / um**2 for grain in grains] == pytest.approx([9, 4])
    for grain in grains:
        assert np.array(grain.orientation) == pytest.approx(TURNED)
    # the plane: (3^2 - 2^2) / (2 * 6) um beyond the middle, seen from the heavier seed
    found = tessellate(Polycrystal(radius=5 * um, grains=grains))
    assert found.diagram.offsets == pytest.approx([5 / 12 / 5])


@pytest.mark.parametrize("format", ["2.0", "3.3", "3.4", "3.5"])
@pytest.mark.parametrize("convention", ["", ":active", ":passive"])
def test_formats_name_conventions_differently(tmp_path: Path, format: str, convention: str) -> None:
    """Would catch every orientation transposed, in files of Neper before 4.10 or since."""
    text = tess(format=format, descriptor=f"rodrigues{convention}")
    standard = convention in ("", ":passive" if format == "3.5" else ":active")
    for grain in read_tess(written(tmp_path, text)):
        expected = TURNED if standard else TURNED.T
        assert np.array(grain.orientation) == pytest.approx(expected)


def test_general_angles_of_all_three_conventions(tmp_path: Path) -> None:
    """Would catch angles of Kocks or Roe that are added or turned the wrong way."""
    bunge = written(tmp_path, "130 40 250\n10 170 20\n", "bunge.txt")
    kocks = written(tmp_path, "40 40 -160\n-80 170 70\n", "kocks.txt")
    roe = written(tmp_path, "40 40 340\n-80 170 110\n", "roe.txt")
    expected = read_orientations(bunge, descriptor="euler-bunge")
    for path, name in ((kocks, "euler-kocks"), (roe, "euler-roe")):
        assert read_orientations(path, descriptor=name) == pytest.approx(expected)


def test_neper_before_4_10_named_conventions_the_other_way(tmp_path: Path) -> None:
    """Would catch the convention of old files, which Neper 4.10 renamed, taken for the new one."""
    path = written(tmp_path, "10 40 20\n-5 30 80\n", "orientations.txt")
    standard = read_orientations(path, descriptor="euler-bunge")
    z, x, other = (
        Rotation.from_euler(axis, angle, degrees=True).as_matrix()
        for axis, angle in (("z", 10), ("x", 40), ("z", 20))
    )
    assert standard[0] == pytest.approx(z @ x @ other)
    old = read_orientations(path, descriptor="euler-bunge:active", before_4_10=True)
    assert old == pytest.approx(standard)
    new = read_orientations(path, descriptor="euler-bunge:active")
    assert new == pytest.approx(standard.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("descriptor", "line"), [("euler-bunge", "0.2 0.7 {}"), ("axis-angle", "0 0 1 {}")]
)
def test_angles_in_the_wrong_unit_are_refused(tmp_path: Path, descriptor: str, line: str) -> None:
    """Would catch radians read as degrees, which leave all grains nearly unturned."""
    small = written(tmp_path, f"{line.format(1.5)}\n{line.format(6.2)}\n", "small.txt")
    with pytest.raises(InputError, match=r"largest angle is 6\.2: give angles='radians', or"):
        read_orientations(small, descriptor=descriptor)
    radians = read_orientations(small, descriptor=descriptor, angles="radians")
    degrees = read_orientations(small, descriptor=descriptor, angles="degrees")
    assert np.trace(degrees[1]) > 2.98
    assert np.trace(radians[0]) < 2
    large = written(tmp_path, f"{line.format(150)}\n{line.format(361)}\n", "large.txt")
    with pytest.raises(InputError, match=r"row 2: angle 361 degrees is outside \[-360"):
        read_orientations(large, descriptor=descriptor)
    with pytest.raises(InputError, match=r"row 2: angle 361 radians is outside \[-6\.2"):
        read_orientations(large, descriptor=descriptor, angles="radians")
    with pytest.raises(InputError, match=r"angles must be one of \('degrees', 'radians'\)"):
        read_orientations(large, descriptor=descriptor, angles="gon")  # type: ignore[arg-type]
    text = tess(descriptor="euler-bunge", first="1 2 3", second="3 2 1")
    with pytest.raises(InputError, match="largest angle is 3"):
        read_tess(written(tmp_path, text))
    assert len(read_tess(written(tmp_path, text), angles="degrees")) == 2


@pytest.mark.parametrize(
    ("descriptor", "line", "message"),
    [
        ("rotmat", "1 0 0 0 1 0 0 0 -1", "rotmat, row 2 is no rotation.*determinant -1"),
        ("rotmat", "1 0.1 0 0 1 0 0 0 1", r"no rotation: Q Q\^T differs from 1 by 0\.1"),
        ("quaternion", "2 0 0 0", "row 2: has length 2, not 1"),
        ("quaternion", "0 0 0 0", "row 2: has length zero"),
        ("axis-angle", "0 0 0 90", "row 2: has length zero"),
        ("rodrigues", "0 0 nan", "row 2: 'nan' is not a finite number"),
        ("rodrigues", "0 0 1e999", "not finite"),
        ("rodrigues", "0 0 0_1", "'0_1' is not a finite number"),
        ("rodrigues", "0 0 \u0661", "is not a finite number"),
        ("miller", "1 0 0", "unknown descriptor 'miller'"),
        ("rodrigues:", "1 0 0", "unknown descriptor 'rodrigues:'"),
        ("rodrigues:left", "1 0 0", "unknown descriptor 'rodrigues:left'"),
    ],
)
def test_orientations_that_are_none_are_refused(
    tmp_path: Path, descriptor: str, line: str, message: str
) -> None:
    """Would catch mirrored or stretched axes, which a library would straighten in silence."""
    good = {
        "rotmat": "1 0 0 0 1 0 0 0 1",
        "quaternion": "1 0 0 0",
        "axis-angle": "0 0 1 90",
    }.get(descriptor, "0 0 0")
    path = written(tmp_path, f"{good}\n{line}\n", "orientations.txt")
    with pytest.raises(InputError, match=message):
        read_orientations(path, descriptor=descriptor)


@pytest.mark.parametrize(
    ("change", "distance"),
    [
        ({"plane": 6.0}, 0.583),  # as if the weights were others
        ({"plane": 5.0}, 0.417),  # Voronoi cells of weighted seeds
        ({"seeds": "   1 2.0 5.0 5.0 3.0\n   2 8.0 8.0 5.0 2.0\n"}, 3.0),  # one was transformed
    ],
)
def test_cells_that_are_not_those_of_the_seeds_are_refused(
    tmp_path: Path, change: dict[str, object], distance: float
) -> None:
    """Would catch multiscale, lamellar and transformed tessellations taken for their seeds."""
    text = tess(**change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"(\d+) vertices lie outside.*by ([\d.]+) ") as caught:
        read_tess(written(tmp_path, text))
    found = float(str(caught.value).split(", by ")[1].split()[0])
    assert found == pytest.approx(distance, rel=0.35)
    assert "power diagram of its seeds" in str(caught.value)


def test_vertices_moved_by_regularisation_are_left_out(tmp_path: Path) -> None:
    """Would catch files that Neper regularised refused for the vertices that it moved."""
    grains = read_tess(written(tmp_path, tess(plane=6.0, state=1)))
    assert len(grains) == 2


def test_particle_larger_than_the_domain_is_refused(tmp_path: Path) -> None:
    """Would catch grains that go on where the tessellation has ended."""
    path = written(tmp_path, tess())
    assert [grain.reach / um for grain in read_tess(path)] == pytest.approx([5, 5])
    with pytest.raises(InputError, match=r"Polycrystal\.radius = 5\.1e-06 m is outside \(0, 5e-06"):
        Polycrystal(radius=5.1 * um, grains=read_tess(path))
    near = read_tess(path, centre=(5.0, 5.0, 1.5))
    assert near[0].reach / um == pytest.approx(1.5)
    with pytest.raises(InputError, match="lies outside the tessellation"):
        read_tess(path, centre=(5.0, 5.0, -1.0))
    with pytest.raises(InputError, match=r"centre = nan is outside"):
        read_tess(path, centre=(5.0, 5.0, math.nan))
    default = written(tmp_path, tess(size=1.0, plane=0.5, seeds=SMALL_SEEDS), "unit.tess")
    with pytest.raises(InputError, match=r"radius = 5e-06 m is outside \(0, 5e-07\]"):
        Polycrystal(radius=5 * um, grains=read_tess(default))  # the unit cube of Neper, in um


SMALL_SEEDS = "   1 0.2 0.5 0.5 0.0\n   2 0.8 0.5 0.5 0.0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tess()[:-40], "cut short"),
        ("nonsense\n", "does not begin"),
        (tess(format="9.9"), r"\*\*format '9.9' is unknown; known are 2.0, 3.3, 3.4, 3.5"),
        (tess(general="2 standard"), r"\*\*general '2 standard' must be 3"),
        (tess(descriptor="miller"), "unknown descriptor"),
        (tess(first="0 0"), "3 numbers"),
        (tess(first="0 0 x"), "'x' is not a finite number"),
        (tess(second=f"0 0 0\n   0 0 {HALF_TAN}"), "3 orientations for 2 cells"),
        (tess().replace("   2 8.0 5.0 5.0 2.0\n", ""), "1 rows of seed for 2"),
        (tess().replace("   2 8.0 5.0", "   3 8.0 5.0"), "numbered from 1 to 2"),
        (tess(seeds="   1 2.0 5.0 5.0 3.0\n   2 2.0 5.0 5.0 3.0\n"), "seeds 1 and 2 coincide"),
        (tess().replace(" **face\n 11", " **face\n 10"), "10 faces"),
        (tess().replace("4 9 10 12 11", "4 9 10 12 13"), "face 3 of 11 is damaged"),
        (tess().replace("  2 6 -2 3 8 9 10 11\n", ""), "1 polyhedra for 2 cells"),
        (tess().replace("  2 6 -2 3 8 9 10 11", "  2 6 -2 3 8 9 10 12"), "polyhedron 2 is damaged"),
        (tess().replace("  2 6 -2 3 8 9 10 11", "  2 6 -2 3 8 9 10 4.5"), "polyhedron"),
        (tess().replace("**polyhedron", "**polyhedra"), r"no section \['\*\*polyhedron'\]"),
        (tess().replace("  *crysym", "  *seed\n  *crysym"), "two sections"),
        ("***tess\n **cell\n 2\n***end\n", "no section"),
    ],
)
def test_damaged_tessellation_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Would catch a damaged file that is read as something else, or a bare NumPy error."""
    with pytest.raises(InputError, match=message):
        read_tess(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "weight", "oriented"),
    [
        ("1, 2, 3\n-1, -2, -3\n", 0.0, False),
        ("1, 2, 3, 0.5\n-1, -2, -3, 0\n", 0.5, False),
        ("# made by hand\nx,y,z\n1,2,3\n-1,-2,-3\n", 0.0, False),
        ("z,y,x,weight\n3,2,1,0.5\n-3,-2,-1,0\n", 0.5, False),
        ("1,2,3,0.5,1,0,0,0\n-1,-2,-3,0,1,0,0,0\n", 0.5, True),
        ("\ufeffx,y,z,qw,qx,qy,qz\r\n1,2,3,1,0,0,0\r\n-1,-2,-3,1,0,0,0\r\n", 0.0, True),
        (sealed("1, 2, 3\n-1, -2, -3\n"), 0.0, False),
    ],
)
def test_table_of_sites(tmp_path: Path, text: str, weight: float, oriented: bool) -> None:
    """Would catch columns mixed up, or weights scaled as lengths."""
    first, second = read_sites(written(tmp_path, text))
    assert np.array(first.point) / um == pytest.approx([1, 2, 3])
    assert np.array(second.point) / um == pytest.approx([-1, -2, -3])
    assert first.weight / um**2 == pytest.approx(weight)
    if oriented:
        assert np.array(first.orientation) == pytest.approx(np.eye(3))
    else:
        assert first.orientation is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("x,y,z\n", "no sites"),
        ("1,2\n", "missing columns"),
        ("x,y,w\n1,2,3\n", "missing columns \\['z'\\], unknown columns \\['w'\\]"),
        ("x,y,z,x\n1,2,3,4\n", "columns given twice \\['x'\\]"),
        ("x,y,z,qw\n1,2,3,1\n", "qx"),
        ("x,y,z,qz\n1,2,3,1\n", "qw"),
        ("1,2,3\n1,2\n", "3 numbers"),
        ("1,2,3\n1,2,nan\n", "finite"),
        ("1,2,3\n1,2,three\n", "'three' is not a finite number"),
        ("1,2,3\n1,2,3,\n", "3 numbers"),
        ("1,2,3,0,0,0,0\n", "quaternion"),
        ("1,2,3\n-1,-2,-3", "may be cut short: its last line, '-1,-2,-3'"),
        ("1,2,3", "may be cut short"),
        (sealed("1,2,3\n-1,-2,-3\n").replace("-3", "-4"), "differs from what was written"),
        (sealed("1,2,3\n") + "-1,-2,-3\n", "differs from what was written"),
        ("1,2,3\n\0\0\0\n", "finite|numbers|table"),
    ],
)
def test_bad_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Would catch a table that is half understood, or half there."""
    with pytest.raises(InputError, match=message):
        read_sites(written(tmp_path, text))


@pytest.mark.parametrize("cut", range(1, 12))
def test_number_cut_in_the_middle_is_refused(tmp_path: Path, cut: int) -> None:
    """Would catch what is left of a number, which is a number too."""
    text = "0.125 0.25 0.5\n0.125 0.25 0.0625\n"
    with pytest.raises(InputError, match=r"may be cut short|3 numbers"):
        read_orientations(written(tmp_path, text[:-cut], "orientations.txt"))
    with pytest.raises(InputError, match=r"may be cut short|3 numbers"):
        read_sites(written(tmp_path, text[:-cut].replace(" ", ","), "sites.csv"))


@pytest.mark.parametrize("reader", [read_tess, read_sites, read_orientations])
def test_missing_file_is_named(tmp_path: Path, reader: object) -> None:
    """Would catch a bare traceback of the operating system."""
    with pytest.raises(InputError, match="nowhere"):
        reader(tmp_path / "nowhere")  # type: ignore[operator]
    with pytest.raises(InputError, match="cannot be read"):
        reader(tmp_path)  # type: ignore[operator]
    (tmp_path / "binary").write_bytes(b"***tess\xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        reader(tmp_path / "binary")  # type: ignore[operator]


def test_sites_in_one_place_are_refused() -> None:
    """Would catch two seeds that no plane can part: a division by zero."""
    grains = tuple(Grain(point=(x, 0.0, 0.0)) for x in (0.0, 2 * um, 2 * um))
    with pytest.raises(InputError, match=r"grains\[1\] and \[2\] have points that are 0 m apart"):
        Polycrystal(grains=grains)
