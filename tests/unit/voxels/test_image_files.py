"""Images in files: transposed axes or a lost spacing turn one microstructure into another."""

from __future__ import annotations

import json
import sys

import h5py
import meshio
import numpy as np
import pytest
import pyvista
import tifffile

from femssb.errors import EngineError, InputError
from femssb.units import nm, um
from femssb.voxels import VoxelImage, read_image, write_image
from femssb.voxels import image as image_module

NAMES = ("void", "NMC µ", "SE")
SPACING = (200 * nm, 300 * nm, 0.5 * um)


@pytest.fixture
def image():
    labels = np.random.default_rng(3).integers(0, 3, (5, 7, 11))
    return VoxelImage(
        labels=labels,
        phase_names=NAMES,
        spacing=SPACING,
        periodic=(True, False, True),
        origin={"seed": 3},
    )


@pytest.mark.parametrize("ending", ["tif", "tiff", "vti", "h5", "hdf5"])
def test_everything_comes_back(image, tmp_path, ending):
    """Catches transposed axes and what is lost on the way: names, spacing, sides, origin."""
    back = read_image(write_image(image, tmp_path / f"image.{ending}"))
    assert np.array_equal(back.labels, image.labels)
    assert back.phase_names == NAMES
    assert back.spacing == SPACING
    assert back.periodic == (True, False, True)
    assert back.origin == {"seed": 3, "file": f"image.{ending}"}


def test_numpy_needs_names_and_spacing(image, tmp_path):
    """Catches a spacing made up for a file that holds none."""
    path = write_image(image, tmp_path / "image.npy")
    back = read_image(path, phase_names=NAMES, spacing=SPACING)
    assert np.array_equal(back.labels, image.labels)
    assert back.spacing == SPACING
    with pytest.raises(InputError, match=r"read_image.phase_names must be given"):
        read_image(path, spacing=SPACING)
    with pytest.raises(InputError, match=r"read_image.spacing must be given"):
        read_image(path, phase_names=NAMES)


def test_what_is_given_goes_first(image, tmp_path):
    """Catches arguments that a file silently overrules."""
    path = write_image(image, tmp_path / "image.h5")
    back = read_image(
        path, phase_names=("a", "b", "c"), spacing=1 * um, periodic=(False, False, False)
    )
    assert back.phase_names == ("a", "b", "c")
    assert back.spacing == (1 * um,) * 3
    assert back.periodic == (False, False, False)


def test_other_programs_see_the_same_voxels(image, tmp_path):
    """Catches a layout that only femssb reads back right: x fastest in VTK, pages across z."""
    stack = tifffile.imread(write_image(image, tmp_path / "image.tif"))
    assert stack.shape == (11, 7, 5)
    assert np.array_equal(stack[4, 3], image.labels[:, 3, 4])
    with tifffile.TiffFile(tmp_path / "image.tif") as tiff:
        assert tiff.imagej_metadata["spacing"] == pytest.approx(0.5)  # [um]
        assert tiff.pages[0].tags["XResolution"].value[0] == pytest.approx(
            tiff.pages[0].tags["XResolution"].value[1] / 0.2  # pixels per um
        )
    grid = pyvista.read(write_image(image, tmp_path / "image.vti"))
    centre = [(i + 0.5) * edge for i, edge in zip((1, 2, 3), SPACING, strict=True)]
    assert grid.cell_data["phase"][grid.find_containing_cell(centre)] == image.labels[1, 2, 3]
    with h5py.File(write_image(image, tmp_path / "image.h5")) as file:
        assert file["labels"][1, 2, 3] == image.labels[1, 2, 3]


def test_spacing_of_an_imagej_stack(tmp_path):
    """Catches a wrong unit or resolution in the commonest files of tomography."""
    tifffile.imwrite(
        tmp_path / "fiji.tif",
        np.zeros((4, 3, 2), np.uint8),
        imagej=True,
        resolution=(1 / 250, 1 / 500),
        metadata={"axes": "ZYX", "spacing": 750.0, "unit": "nm"},
    )
    image = read_image(tmp_path / "fiji.tif", phase_names=("void",))
    assert image.shape == (2, 3, 4)
    assert image.spacing == pytest.approx((250 * nm, 500 * nm, 750 * nm))


@pytest.mark.parametrize(
    ("ending", "shape"),
    [
        *(("tif", shape) for shape in ((1, 1, 1), (1, 5, 6), (5, 1, 6), (5, 6, 1), (4, 3, 2))),
        *((ending, shape) for ending in ("vti", "h5") for shape in ((1, 1, 1), (5, 1, 6))),
        *((ending, (3, 4, 3)) for ending in ("tif", "npy")),
        ("npy", (1, 5, 6)),
    ],
)
def test_thin_images_keep_their_axes(tmp_path, shape, ending):
    """Catches axes of length 1 that are dropped, and three columns that become colours."""
    labels = np.arange(np.prod(shape)).reshape(shape) % 3
    image = VoxelImage(labels=labels, phase_names=NAMES, spacing=SPACING)
    path = write_image(image, tmp_path / f"thin.{ending}")
    back = read_image(path, phase_names=NAMES, spacing=SPACING)
    assert np.array_equal(back.labels, labels)


def test_one_convention_of_axes(image, tmp_path):
    """Catches an image that is turned on its way through NumPy, HDF5 or a stack."""
    named = {"phase_names": NAMES, "spacing": SPACING}
    stack = tifffile.imread(write_image(image, tmp_path / "image.tif"))  # as others see it
    np.save(tmp_path / "stack.npy", stack)
    np.save(tmp_path / "labels.npy", np.asfortranarray(image.labels))
    np.save(tmp_path / "swapped.npy", image.labels.astype(">i4"))
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["stack"] = stack
    with h5py.File(tmp_path / "labelled.h5", "w") as file:
        file["stack"] = stack
        for dimension, axis in zip(file["stack"].dims, "zyx", strict=True):
            dimension.label = axis
    tifffile.imwrite(tmp_path / "turned.tif", image.labels, photometric="minisblack")
    for name, axes in (
        ("stack.npy", "zyx"),
        ("labels.npy", "xyz"),
        ("swapped.npy", "xyz"),
        ("stack.h5", "zyx"),
        ("labelled.h5", None),
        ("turned.tif", "xyz"),
    ):
        found = read_image(tmp_path / name, axes=axes, **named)
        assert np.array_equal(found.labels, image.labels), name
        assert found.spacing == SPACING
        if axes is not None and "tif" not in name:
            with pytest.raises(InputError, match=r"read_image\.axes must be given"):
                read_image(tmp_path / name, **named)
    for axes in ("xy", "xyy", "XYZ", "abc", 3, ""):
        with pytest.raises(InputError, match=r"axes"):
            read_image(tmp_path / "stack.npy", axes=axes, **named)
    with pytest.raises(InputError, match="says its axes itself"):
        read_image(write_image(image, tmp_path / "image.vti"), axes="zyx")


def test_what_a_file_says_turns_with_its_axes(image, tmp_path):
    """Catches a spacing that stays with x when pages turn out to be planes across x."""
    found = read_image(write_image(image, tmp_path / "image.tif"), axes="xyz")
    assert np.array_equal(found.labels, image.labels.T)
    assert found.spacing == SPACING[::-1]
    found = read_image(write_image(image, tmp_path / "image.h5"), axes="yzx")
    assert np.array_equal(found.labels, image.labels.transpose(2, 0, 1))
    assert found.spacing == (SPACING[2], SPACING[0], SPACING[1])
    assert found.periodic == (True, True, False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a1.tif", "b1.tif"), "differ in one number only"),
        (("a.tif", "b.tif"), "differ in one number only"),
        (("plane.tif", "plane1.tif"), "differ in one number only"),
        (("1.tif", "01.tif"), "in 0"),
        (("p1.tif", "p1.tiff"), "in 0"),
        (("p1.tif", "p2.tif", "p02.tif"), "same number"),
        (("p1.tif", "p2.tif", "p4.tif"), "between p2.tif and p4.tif a plane is missing"),
        (("x1_z1.tif", "x2_z2.tif"), "differ in one number only"),
        (("x1_z1.tif", "x1_z2.tif", "x2_z1.tif"), "in 2"),
    ],
)
def test_planes_of_unknown_order_are_refused(tmp_path, names, message):
    """Catches planes in the order in which the file system lists them."""
    for name in names:
        tifffile.imwrite(tmp_path / name, np.zeros((3, 2), np.uint8))
    with pytest.raises(InputError, match=message):
        read_image(tmp_path, phase_names=("void",), spacing=1 * um)


def test_planes_are_sorted_by_the_number_that_counts(tmp_path):
    """Catches a date in the name that is taken for the number of the plane, and stray files."""
    for plane in range(8, 12):
        name = f"scan_2024_3um_{plane}_8bit.tif"
        tifffile.imwrite(tmp_path / name, np.full((3, 2), plane - 8, np.uint8))
    (tmp_path / "._scan_2024_3um_8_8bit.tif").write_text("of another system")
    (tmp_path / "readme.txt").write_text("no plane")
    named = {"phase_names": ("a", "b", "c", "d"), "spacing": 1 * um}
    assert read_image(tmp_path, **named).labels[0, 0].tolist() == [0, 1, 2, 3]
    tifffile.imwrite(tmp_path / "scan_2024_3um_12_8bit.tif", np.zeros((3, 2), np.uint16))
    with pytest.raises(InputError, match=r"differ in type.*uint8.*uint16"):
        read_image(tmp_path, **named)
    stack = np.zeros((2, 3, 2), np.uint8)
    tifffile.imwrite(tmp_path / "scan_2024_3um_12_8bit.tif", stack, photometric="minisblack")
    with pytest.raises(InputError, match="holds 2 planes, expected one"):
        read_image(tmp_path, **named)


@pytest.mark.parametrize(
    ("unit", "metres"),
    [("nm", nm), ("um", um), ("\\u00B5m", um), ("micron", um), ("mm", 1e-3), ("inch", 0.0254)],
)
def test_units_of_imagej(tmp_path, unit, metres):
    """Catches a unit in a spelling that is not known, and a spacing in inches taken for um."""
    edge = 1e-7 / metres
    tifffile.imwrite(
        tmp_path / "fiji.tif",
        np.zeros((4, 3, 2), np.uint8),
        imagej=True,
        resolution=(1 / edge, 1 / edge),
        metadata={"axes": "ZYX", "spacing": edge, "unit": unit},
    )
    image = read_image(tmp_path / "fiji.tif", phase_names=("void",))
    assert image.spacing == pytest.approx((1e-7,) * 3, rel=1e-5)


@pytest.mark.parametrize("unit", [None, "pixel", "furlong", ""])
def test_a_stack_without_a_unit_needs_a_spacing(tmp_path, unit):
    """Catches pixels, or inches of a printer, that are taken for metres."""
    metadata = {"axes": "ZYX", "spacing": 1.0} | ({} if unit is None else {"unit": unit})
    tifffile.imwrite(
        tmp_path / "fiji.tif",
        np.zeros((4, 3, 2), np.uint8),
        imagej=True,
        resolution=(1.0, 1.0),
        metadata=metadata,
    )
    with pytest.raises(InputError, match=r"read_image\.spacing must be given"):
        read_image(tmp_path / "fiji.tif", phase_names=("void",))


def test_voxels_of_a_metre_are_refused(image, tmp_path):
    """Catches files without a unit, or in um, that are taken to be in metres."""
    grid = pyvista.ImageData(dimensions=(3, 4, 5))
    grid.cell_data["phase"] = np.zeros(24, np.uint8)
    grid.save(tmp_path / "plain.vti")
    with pytest.raises(InputError, match=r"spacing must be given.* 1 x 1 x 1 without a unit"):
        read_image(tmp_path / "plain.vti", phase_names=("void",))
    assert read_image(tmp_path / "plain.vti", phase_names=("void",), spacing=1 * um).shape == (
        *(2, 3, 4),
    )
    path = write_image(image, tmp_path / "image.h5")
    for spacing in (1.0, 1e-13, (1e-6, 1e-6, 1.0), -1e-6, float("nan"), "1e-6", [[1e-6]] * 3):
        with pytest.raises(InputError, match="spacing"):
            read_image(path, spacing=spacing)


def test_colours_channels_and_times_are_no_planes(tmp_path):
    """Catches red, green and blue read as three planes of an electrode."""
    named = {"phase_names": ("void",), "spacing": 1 * um}
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((5, 4, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="colours"):
        read_image(tmp_path / "rgb.tif", axes="zyx", **named)
    for axes, what in (("CYX", "channels"), ("TYX", "times")):
        stack = np.zeros((5, 4, 3), np.uint8)
        tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": axes})
        with pytest.raises(InputError, match=f"its 5 pages are {what}.*axes='zyx'"):
            read_image(tmp_path / "stack.tif", **named)
        assert read_image(tmp_path / "stack.tif", axes="zyx", **named).shape == (3, 4, 5)
    stack = np.zeros((2, 5, 4, 3), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match="expected three axes"):
        read_image(tmp_path / "stack.tif", axes="zyx", **named)
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(np.zeros((4, 3), np.uint8), contiguous=False)
        writer.write(np.zeros((2, 2), np.uint8), contiguous=False)
    with pytest.raises(InputError, match="holds 2 images"):
        read_image(tmp_path / "two.tif", **named)


def test_vectors_and_twofold_names_are_refused(tmp_path):
    """Catches one component of three, and points taken for the cells of the same name."""
    grid = pyvista.ImageData(dimensions=(3, 4, 5), spacing=(um, um, um))
    grid.cell_data["phase"] = np.zeros((24, 3), np.uint8)
    grid.save(tmp_path / "vectors.vti")
    with pytest.raises(InputError, match="3 components"):
        read_image(tmp_path / "vectors.vti", phase_names=("void",))
    grid.cell_data["phase"] = np.zeros(24, np.uint8)
    grid.point_data["phase"] = np.zeros(60, np.uint8)
    grid.point_data["material"] = np.zeros(60, np.uint8)
    grid.save(tmp_path / "both.vti")
    named = {"phase_names": ("void",)}
    with pytest.raises(InputError, match="both on points and on cells"):
        read_image(tmp_path / "both.vti", array="phase", **named)
    assert read_image(tmp_path / "both.vti", array="material", **named).shape == (3, 4, 5)


@pytest.mark.parametrize("kind", ["i1", "i8", "u8", ">u2", "b1"])
def test_types_of_whole_numbers(tmp_path, kind):
    """Catches values that wrap: -1 read as 255, or 257 as 1."""
    values = np.zeros((2, 3, 4), kind)
    np.save(tmp_path / "values.npy", values)
    named = {"spacing": 1 * um, "axes": "xyz"}
    assert read_image(tmp_path / "values.npy", phase_names=("void",), **named).labels.max() == 0
    values[0, 0, 0] = -1 if np.dtype(kind).kind == "i" else 1
    values = values + 256 if kind in ("u8", ">u2") else values
    np.save(tmp_path / "values.npy", values)
    with pytest.raises(InputError, match=r"values\.npy.*goes from"):
        read_image(tmp_path / "values.npy", phase_names=("void",), **named)


def test_folder_of_planes_in_the_order_of_their_numbers(tmp_path):
    """Catches plane 10 sorted before plane 2."""
    for plane in range(12):
        tifffile.imwrite(tmp_path / f"slice{plane}.tif", np.full((3, 2), plane, np.uint8))
    image = read_image(tmp_path, phase_names=[f"p{i}" for i in range(12)], spacing=1 * um)
    assert image.shape == (2, 3, 12)
    assert image.labels[0, 0].tolist() == list(range(12))
    tifffile.imwrite(tmp_path / "slice12.tif", np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match="the planes differ in size"):
        read_image(tmp_path, phase_names=["a"] * 12, spacing=1 * um)


@pytest.mark.parametrize("ending", ["tif", "vti", "h5", "npy"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_cut_off_file_is_reported(image, tmp_path, ending, kept):
    """Catches a copy that stopped half way being read as voxels of phase 0."""
    whole = write_image(image, tmp_path / f"whole.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match=r"cut\.\w+ is (damaged, )?cut off"):
        read_image(path, phase_names=NAMES, spacing=SPACING)


def test_tiff_without_its_last_bytes_is_reported(tmp_path):
    """Catches a TIFF whose directory is whole and whose pixels are not: readers fill in zeros."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.ones((4, 32, 32), np.uint8), imagej=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"stack\.tif is (damaged, )?cut off"):
        read_image(path, phase_names=("a", "b"), spacing=1 * um)


def test_float_images_are_refused_unread(tmp_path):
    """Catches grey values cut to whole numbers."""
    grey = np.random.default_rng(0).random((4, 3, 2)).astype(np.float32)
    np.save(tmp_path / "grey.npy", grey)
    tifffile.imwrite(tmp_path / "grey.tif", grey, photometric="minisblack")
    with h5py.File(tmp_path / "grey.h5", "w") as file:
        file["grey"] = grey
    for ending in ("npy", "tif", "h5"):
        with pytest.raises(InputError, match=r"float32, expected whole numbers.*segment"):
            read_image(tmp_path / f"grey.{ending}", phase_names=NAMES, spacing=SPACING)


@pytest.mark.parametrize("ending", ["tif", "h5", "npy"])
def test_size_is_estimated_before_reading(image, tmp_path, monkeypatch, ending):
    """Catches a file that fills the memory before anybody notices."""
    path = write_image(image, tmp_path / f"image.{ending}")
    monkeypatch.setattr(image_module, "available_memory", lambda: 300)
    with pytest.raises(InputError, match=r"(5 x 7 x 11|11 x 7 x 5) voxels takes .* GB"):
        read_image(path, phase_names=NAMES, spacing=SPACING)


def test_values_without_a_name_are_reported(image, tmp_path):
    """Catches a phase that is dropped because it was forgotten."""
    path = write_image(image, tmp_path / "image.tif")
    with pytest.raises(InputError, match="goes from 0 to 2, but phase_names"):
        read_image(path, phase_names=("void", "AM"))


def test_arrays_are_chosen_by_name(tmp_path):
    """Catches the wrong one of several data sets being read."""
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a/first"] = np.zeros((2, 2, 2), np.uint8)
        file["second"] = np.ones((2, 2, 2), np.uint8)
        file["curve"] = np.zeros(9)
    named = {"phase_names": ("void", "AM"), "spacing": 1 * um, "axes": "xyz"}
    assert read_image(tmp_path / "two.h5", array="second", **named).fractions()["AM"] == 1
    with pytest.raises(InputError, match=r"one of the arrays .*'a/first', 'second'"):
        read_image(tmp_path / "two.h5", **named)
    with pytest.raises(InputError, match="array = 'third'"):
        read_image(tmp_path / "two.h5", array="third", **named)
    np.save(tmp_path / "one.npy", np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match="holds only one array"):
        read_image(tmp_path / "one.npy", array="first", **named)


def test_point_data_of_others_are_voxels_too(tmp_path):
    """Catches VTK images of segmentation programs, one value per point, being refused."""
    grid = pyvista.ImageData(dimensions=(2, 3, 4), spacing=(1e-6, 1e-6, 1e-6))
    grid.point_data["materials"] = np.arange(24, dtype=np.uint8)
    grid.save(tmp_path / "points.vti")
    image = read_image(tmp_path / "points.vti", phase_names=[str(i) for i in range(24)])
    assert image.shape == (2, 3, 4)
    assert image.labels[1, 2, 3] == 23
    assert image.labels[1, 0, 0] == 1


def test_not_an_image(tmp_path):
    """Catches an error of a library instead of one line that helps."""
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.tif")
    (tmp_path / "image.jpg").write_text("x")
    with pytest.raises(InputError, match=r"ending '\.jpg' is none of"):
        read_image(tmp_path / "image.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.tif or \.png file"):
        read_image(tmp_path / "empty")
    np.save(tmp_path / "line.npy", np.zeros(4, int))
    with pytest.raises(InputError, match=r"shape \(4,\), expected three axes, or two"):
        read_image(tmp_path / "line.npy", phase_names=("a",), spacing=1 * um)
    meshio.write_points_cells(tmp_path / "mesh.vtu", [[0.0, 0, 0], [1, 0, 0]], {"line": [[0, 1]]})
    (tmp_path / "mesh.vti").write_bytes((tmp_path / "mesh.vtu").read_bytes())
    with pytest.raises(InputError, match="damaged"):
        read_image(tmp_path / "mesh.vti", phase_names=("a",), spacing=1 * um)


def test_writing_to_nowhere(image, tmp_path):
    """Catches half a run lost to a slip in a folder's name."""
    with pytest.raises(InputError, match="there is no folder"):
        write_image(image, tmp_path / "none" / "image.tif")
    with pytest.raises(InputError, match=r"ending '\.gif'"):
        write_image(image, tmp_path / "image.gif")


def test_missing_library_is_named(image, tmp_path, monkeypatch):
    """Catches a bare ImportError that does not say what to install."""
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(EngineError, match=r"tifffile is missing: install it with .*\[voxels\]"):
        write_image(image, tmp_path / "image.tif")


def test_foreign_metadata_is_ignored(tmp_path):
    """Catches a crash on attributes of the same name with something else in them."""
    for text in ("no JSON", json.dumps({"femssb image": {"spacing": 1}}), json.dumps([1])):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["labels"] = np.zeros((2, 2, 2), np.uint8)
            file["labels"].attrs["femssb"] = text
        with pytest.raises(InputError, match="phase_names must be given"):
            read_image(tmp_path / "other.h5")


def test_tiff_that_lost_its_last_planes_is_reported(tmp_path):
    """Catches an electrode that is thinner than it was because planes at its end are gone."""
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for plane in range(20):
            writer.write(np.full((16, 16), plane, np.uint8), contiguous=False)
    whole = path.read_bytes()
    named = {"phase_names": [str(i) for i in range(20)], "spacing": 1 * um}
    assert read_image(path, **named).shape == (16, 16, 20)
    for kept in range(len(whole) // 4, len(whole), 997):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"stack\.tif is (damaged, )?cut off"):
            read_image(path, **named)


@pytest.mark.parametrize("ending", [".npy", ".tif", ".vti", ".h5"])
def test_a_flipped_bit_is_found(ending, tmp_path):
    """Catches a damaged image that is read as another one, and one without its end."""
    labels = np.random.default_rng(1).integers(0, 2, (5, 6, 7), dtype=np.uint8)
    made = VoxelImage(labels=labels, phase_names=("void", "AM"), spacing=(1e-6,) * 3)
    path = write_image(made, tmp_path / f"image{ending}")
    given = {"phase_names": ("void", "AM"), "spacing": 1e-6} if ending == ".npy" else {}
    np.testing.assert_array_equal(read_image(path, **given).labels, labels)
    whole = path.read_bytes()
    for place in np.random.default_rng(3).integers(len(whole) - 90, size=25):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"image.*damaged"):
            read_image(path, **given)
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="image"):
        read_image(path, **given)
