"""Images that other programs wrote: each kind of file that `read_image` takes.

One microstructure in every file, ``(x + 2 y + 3 z) mod 3``, so that a turned axis, a lost plane or
a wrong byte is another image. ``tests/data/README.md`` says how the files kept there were made.
"""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import io
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

from femssb.environment.isolation import reading
from femssb.errors import EngineError, InputError
from femssb.units import um
from femssb.voxels import RawHeader, conductivity, read_image
from femssb.voxels.files import (
    arrays,
    hdf5_images,
    matlab,
    nrrd_images,
    pictures,
    planes,
    tiff,
    vtk_images,
)

DATA = Path(__file__).parents[2] / "data" / "images"
LABELS = np.fromfunction(lambda x, y, z: (x + 2 * y + 3 * z) % 3, (6, 5, 4), dtype=int)
LABELS = LABELS.astype(np.uint8)
STACK = np.ascontiguousarray(LABELS.T)
NAMES = ("void", "AM", "SE")
NAMED = {"phase_names": NAMES, "spacing": um}
CODECS = pytest.mark.skipif(util.find_spec("imagecodecs") is None, reason="needs imagecodecs")
NRRD = pytest.mark.skipif(util.find_spec("nrrd") is None, reason="needs pynrrd")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Read in this process, which is quicker; `tests/robustness` reads each kind in a child."""

    def call(function, path, *arguments):
        with reading(path):
            return function(path, *arguments)

    for module in (
        arrays, hdf5_images, matlab, nrrd_images, pictures, planes, tiff, vtk_images,
    ):  # fmt: skip
        monkeypatch.setattr(module, "in_child", call)


def same(image, labels=LABELS):
    return image.labels.shape == labels.shape and bool((image.labels == labels).all())


# TIFF


@CODECS
@pytest.mark.parametrize("name", ["lzw.tif", "zstd.tif"])
def test_compressed_tiff(name):
    """Catches a codec that is asked for in vain."""
    assert same(read_image(DATA / name, **NAMED))


@CODECS
def test_compressed_tiff_of_16_bits_with_a_predictor():
    """Catches differences that are read as values."""
    given = {0: "void", 100: "AM", 200: "SE"}
    assert same(read_image(DATA / "lzw_predictor.tif", phase_names=given, spacing=um))


def test_a_missing_codec_is_named(monkeypatch):
    """Catches a sound file called damaged because a package is missing."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(EngineError, match=r"lzw\.tif is compressed by LZW: imagecodecs.*\[images]"):
        read_image(DATA / "lzw.tif", **NAMED)


def test_a_lossy_compression_is_refused():
    """Catches grey rims that JPEG makes at every interface, read as phases."""
    with pytest.raises(InputError, match=r"jpeg\.tif is compressed by JPEG, which may change"):
        read_image(DATA / "jpeg.tif", **NAMED)


def test_voxel_sizes_of_ome(tmp_path):
    """Catches physical sizes that are ignored, or taken in another unit or order."""
    sizes = {"PhysicalSizeX": 200, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.3}
    metadata = {"axes": "ZYX", **sizes, "PhysicalSizeZ": 0.5, "PhysicalSizeZUnit": "\u00b5m"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif", phase_names=NAMES)
    assert same(image)
    assert image.spacing == pytest.approx((0.2 * um, 0.3 * um, 0.5 * um))
    del metadata["PhysicalSizeZ"], metadata["PhysicalSizeZUnit"]
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK, metadata=metadata)
    with pytest.raises(InputError, match="spacing must be given"):
        read_image(tmp_path / "b.ome.tif", phase_names=NAMES)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_one_bit_of_either_polarity(tmp_path, photometric):
    """Catches black and white that change places with the way that a file keeps them."""
    white = STACK > 0
    bits = white if photometric == "minisblack" else ~white
    tifffile.imwrite(tmp_path / "bits.tif", bits, photometric=photometric)
    image = read_image(tmp_path / "bits.tif", phase_names=("black", "white"), spacing=um)
    assert same(image, white.T)
    assert image.origin["polarity"].endswith("1 is white")
    assert ("turned" in image.origin["polarity"]) == (photometric == "miniswhite")


@CODECS
def test_a_fax_is_a_slab():
    """Catches the commonest 1-bit file, in which white is 0 or 1 as the writer likes."""
    white = (STACK[0] > 0).T[..., np.newaxis]
    with Image.open(DATA / "fax4.tif") as seen:
        np.testing.assert_array_equal(np.array(seen).T[..., np.newaxis], white)
    assert same(read_image(DATA / "fax4.tif", phase_names=("black", "white"), spacing=um), white)


# PNG


def test_a_folder_of_png(tmp_path):
    """Catches planes in the wrong order, and those of a folder that holds two kinds."""
    for number, plane in enumerate(STACK, start=8):
        Image.fromarray(plane).save(tmp_path / f"plane_{number}.png")
    assert same(read_image(tmp_path, **NAMED))
    tifffile.imwrite(tmp_path / "plane_12.tif", STACK[0])
    with pytest.raises(InputError, match=r"both \.tif and \.png"):
        read_image(tmp_path, **NAMED)


@pytest.mark.parametrize("mode", ["1", "P", "I;16", "RGB"])
def test_kinds_of_png(tmp_path, mode):
    """Catches 16 bits cut to 8, numbers of colours lost for their shade, and colours as labels."""
    plane = STACK[0]
    picture = {
        "1": lambda: Image.fromarray(plane > 0),
        "I;16": lambda: Image.fromarray(plane.astype(np.uint16) + 300),
        "RGB": lambda: Image.fromarray(plane).convert("RGB"),
        "P": lambda: Image.fromarray(plane).convert("P"),
    }[mode]()
    if mode == "P":
        picture.putpalette([255, 0, 0, 9, 9, 9, 0, 0, 255])
    picture.save(tmp_path / "plane.png")
    if mode == "RGB":
        with pytest.raises(InputError, match="holds colours"):
            read_image(tmp_path / "plane.png", **NAMED)
        return
    given = {300: "void", 301: "AM", 302: "SE"} if mode == "I;16" else NAMES
    image = read_image(tmp_path / "plane.png", phase_names=given, spacing=um)
    assert same(image, (plane > 0 if mode == "1" else plane).T[..., np.newaxis])
    assert image.shape == (6, 5, 1)
    assert conductivity(image, {"AM": 1.0}, axis="x").value >= 0
    with pytest.raises(InputError, match="one voxel thick along z"):
        conductivity(image, {"AM": 1.0}, axis="z")


# Arrays


def test_raw_with_a_header(tmp_path):
    """Catches bytes in the wrong order, a start missed, and a header of another file."""
    path = tmp_path / "image.raw"
    path.write_bytes(b"head" + STACK.astype(">u2").tobytes())  # as ImageJ writes: x fastest
    header = {"kind": "uint16", "byte_order": "big", "offset": 4}
    assert same(read_image(path, header=RawHeader(shape=(6, 5, 4), fastest="x", **header), **NAMED))
    np.asfortranarray(STACK).T.tofile(path)  # as NumPy writes labels[x, y, z]
    assert same(read_image(path, header=RawHeader(shape=(6, 5, 4), fastest="z"), **NAMED))
    with pytest.raises(InputError, match=r"has 120 bytes, but 6 x 5 x 5 .* take 150"):
        read_image(path, header=RawHeader(shape=(6, 5, 5), fastest="x"), **NAMED)
    with pytest.raises(InputError, match=r"header must be given: .*image\.raw"):
        read_image(path, **NAMED)
    STACK[0].tofile(path)
    slab = RawHeader(shape=(6, 5, 1), fastest="x")
    assert same(read_image(path, header=slab, **NAMED), LABELS[:, :, :1])


def test_npz(tmp_path):
    """Catches the wrong one of several arrays, and axes that nobody gave."""
    np.savez_compressed(tmp_path / "a.npz", stack=STACK, times=np.arange(3), grey=STACK / 2)
    assert same(read_image(tmp_path / "a.npz", axes="zyx", **NAMED))
    with pytest.raises(InputError, match="axes must be given"):
        read_image(tmp_path / "a.npz", **NAMED)
    np.savez(tmp_path / "b.npz", one=STACK, other=LABELS)
    assert same(read_image(tmp_path / "b.npz", array="other", axes="xyz", **NAMED))
    with pytest.raises(InputError, match=r"one of the arrays of .*\['one', 'other'\]"):
        read_image(tmp_path / "b.npz", axes="xyz", **NAMED)


def test_matlab(tmp_path):
    """Catches doubles, MATLAB's usual numbers, refused, and fractions of them cut to labels."""
    content = {"seg": LABELS.astype(float), "name": "a word", "scale": 0.2}
    io.savemat(tmp_path / "seg.mat", content, do_compression=True)
    assert same(read_image(tmp_path / "seg.mat", axes="xyz", **NAMED))
    io.savemat(tmp_path / "seg.mat", {"seg": LABELS + 0.5})
    with pytest.raises(InputError, match=r"seg\.mat .*no whole numbers"):
        read_image(tmp_path / "seg.mat", axes="xyz", **NAMED)


def test_matlab_of_version_73():
    """Catches axes turned round, as HDF5 shows the arrays of MATLAB, and words read as an image."""
    assert same(read_image(DATA / "v73.mat", axes="xyz", **NAMED))


@NRRD
def test_nrrd():
    """Catches edges in millimetres taken for metres, and a turned image read as it lies."""
    image = read_image(DATA / "units.nrrd", phase_names=NAMES)
    assert same(image)
    assert image.spacing == pytest.approx((0.2 * um, 0.3 * um, 0.5 * um))
    with pytest.raises(InputError, match=r"edges of 0.0002 x 0.0003 x 0.0005 without a unit"):
        read_image(DATA / "no_units.nrrd", phase_names=NAMES)
    assert same(read_image(DATA / "no_units.nrrd", **NAMED))
    with pytest.raises(InputError, match=r"turned\.nrrd is turned"):
        read_image(DATA / "turned.nrrd", **NAMED)
    slab = read_image(DATA / "slab.nrrd", phase_names=NAMES)
    assert same(slab, LABELS[:, :, :1])
    assert slab.spacing == pytest.approx((0.2 * um, 0.3 * um, 0.2 * um))


def test_a_missing_reader_of_nrrd_is_named(monkeypatch):
    """Catches a bare ImportError."""
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(EngineError, match=r"nrrd .*\[images\]"):
        read_image(DATA / "units.nrrd", **NAMED)


def test_vti_of_vtk(tmp_path):
    """Catches a slab of cells, which has one plane of points, read as none."""
    grid = vtkImageData()
    writer = vtkXMLImageDataWriter()
    for count, labels in ((5, LABELS), (1, LABELS[:, :, :1])):
        grid.SetDimensions(7, 6, count)
        grid.SetSpacing(um, um, um)
        values = numpy_to_vtk(labels.ravel(order="F"), deep=True)
        values.SetName("material")
        grid.GetCellData().Initialize()
        grid.GetCellData().AddArray(values)
        writer.SetFileName(str(tmp_path / "a.vti"))
        writer.SetInputData(grid)
        writer.Write()
        assert same(read_image(tmp_path / "a.vti", phase_names=NAMES), labels)


# HDF5


def dream3d(path, *, nx: bool, units: int = 10):
    """Write a file in the documented layout of DREAM.3D: version 6, or NX."""
    cells = "DataStructure/Grid/Cell Data" if nx else "DataContainers/Grid/CellData"
    shape = np.array([6, 5, 4], np.uint64)  # x, y, z; of the arrays it is the other way round
    with h5py.File(path, "w") as file:
        file.attrs["FileVersion"] = np.bytes_("8.0" if nx else "7.0")
        arrays = {
            "Phases": STACK[..., np.newaxis].astype(np.int32),
            "FeatureIds": np.arange(120, dtype=np.int32).reshape(4, 5, 6, 1),
            "EulerAngles": np.zeros((4, 5, 6, 3), np.float32),
        }
        for name, values in arrays.items():
            data = file.create_dataset(f"{cells}/{name}", data=values)
            data.attrs["ComponentDimensions"] = np.array(values.shape[3:], np.uint64)
            data.attrs["TupleDimensions"] = shape[::-1] if nx else shape
            data.attrs["ObjectType"] = np.bytes_("DataArray<int32>" if nx else "DataArray<int32_t>")
        if nx:
            file[cells].attrs["ObjectType"] = np.bytes_("AttributeMatrix")
            file[cells].attrs["TupleDims"] = shape[::-1]
            grid = file["DataStructure/Grid"].attrs
            grid["ObjectType"] = np.bytes_("ImageGeom")
            grid["_DIMENSIONS"], grid["_ORIGIN"] = shape, np.zeros(3, np.float32)
            grid["_SPACING"], grid["Units"] = np.full(3, 0.25, np.float32), np.uint32(units)
            grains = np.zeros((121, 1), np.int32)
            file["DataStructure/Grid/Cell Feature Data/Phases"] = grains
        else:
            file[cells].attrs["AttributeMatrixType"] = np.uint32(3)
            file[cells].attrs["TupleDimensions"] = shape
            geometry = file.create_group("DataContainers/Grid/_SIMPL_GEOMETRY")
            geometry.attrs["GeometryTypeName"] = np.bytes_("ImageGeometry")
            geometry["DIMENSIONS"] = shape.astype(np.int64)
            geometry["ORIGIN"] = np.zeros(3, np.float32)
            geometry["SPACING"] = np.full(3, 0.25, np.float32)
            file["DataContainers/Grid/CellFeatureData/Phases"] = np.zeros((121, 1), np.int32)


def test_dream3d_with_a_unit(tmp_path):
    """Catches a unit that is not read, and the metre that NX writes if nobody has set one."""
    dream3d(tmp_path / "um.dream3d", nx=True, units=6)
    names = {name: value for name, value in NAMED.items() if name != "spacing"}
    found = read_image(tmp_path / "um.dream3d", **names)
    assert same(found)
    assert found.spacing == pytest.approx((0.25 * um,) * 3)
    dream3d(tmp_path / "default.dream3d", nx=True)
    with pytest.raises(InputError, match=r"0\.25 x 0\.25 x 0\.25 without"):
        read_image(tmp_path / "default.dream3d", **names)


@pytest.mark.parametrize("nx", [False, True])
def test_dream3d(tmp_path, nx):
    """Catches the numbers of grains read for phases, and edges in um taken for metres."""
    path = tmp_path / "grains.dream3d"
    dream3d(path, nx=nx)
    assert same(read_image(path, **NAMED))
    folder = "DataStructure/Grid/Cell Data" if nx else "DataContainers/Grid/CellData"
    for array in ("Phases", f"/{folder}/Phases"):
        assert same(read_image(path, array=array, **NAMED))
    with pytest.raises(InputError, match=r"0 \(0.833%\), 1 \(0.833%\).*0.25 x 0.25 x 0.25 without"):
        read_image(path, array="FeatureIds")


def test_hdf5_without_a_grid(tmp_path):
    """Catches an axis of one component that makes an image of four axes."""
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["DataContainers/Volume/CellData/FeatureIds"] = STACK[..., np.newaxis]
        file["curve"] = np.arange(5)
    assert same(read_image(tmp_path / "cells.h5", axes="zyx", **NAMED))
    with pytest.raises(InputError, match="axes must be given"):
        read_image(tmp_path / "cells.h5", **NAMED)


# What is asked for


def test_all_values_are_listed_in_one_message(tmp_path):
    """Catches a user who has to guess one name after the other."""
    for number, plane in enumerate(STACK):
        Image.fromarray(plane * 100).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError) as caught:
        read_image(tmp_path)
    shares = ", ".join(f"{100 * k} ({np.mean(STACK == k):.3%})" for k in range(3))
    assert shares in str(caught.value)
    assert "phase_names must be given" in str(caught.value)
    assert "spacing must be given" in str(caught.value)
    with pytest.raises(InputError, match=r"no name: 0 \(\d+.\d+%\), 200 \(\d+.\d+%\); it names"):
        read_image(tmp_path, phase_names={100: "AM"}, spacing=um)


def test_a_grey_image_is_not_listed(tmp_path):
    """Catches a message of thousands of values."""
    grey = np.arange(600, dtype=np.uint16).reshape(10, 10, 6)
    np.save(tmp_path / "grey.npy", grey)
    with pytest.raises(InputError, match=r"600 different values from 0 to 599.*segment") as caught:
        read_image(tmp_path / "grey.npy", axes="xyz", spacing=um)
    assert len(str(caught.value)) < 500


def test_two_axes_are_a_slab(tmp_path):
    """Catches rows taken for columns where a file does not say which is which."""
    np.save(tmp_path / "slab.npy", STACK[0])
    assert same(read_image(tmp_path / "slab.npy", axes="yx", **NAMED), LABELS[:, :, :1])
    with pytest.raises(InputError, match=r"axes must be given.*'yx' for rows and columns"):
        read_image(tmp_path / "slab.npy", **NAMED)
    with pytest.raises(InputError, match=r"axes = 'zyx': the array in .* has 2 axes"):
        read_image(tmp_path / "slab.npy", axes="zyx", **NAMED)
    plane = {"axes": "YX", "unit": "um"}
    tifffile.imwrite(
        tmp_path / "slab.tif", STACK[0], imagej=True, resolution=(5, 2.5), metadata=plane
    )
    slab = read_image(tmp_path / "slab.tif", phase_names=NAMES)
    assert same(slab, LABELS[:, :, :1])
    assert slab.spacing == pytest.approx((0.2 * um, 0.4 * um, 0.2 * um))
