"""Files from outside: they run nothing, reach for no other file, and end no process but a child.

Every file here is read after the others in the same process: what one leaves behind must not harm
the next.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import h5py
import numpy as np
import pytest
import pyvista
import tifffile

from femssb import packing as files
from femssb.errors import FemssbError, InputError, MeshError
from femssb.meshing import read
from femssb.packing import Packing
from femssb.units import um
from femssb.voxels import VoxelImage, read_image, write_image

MESH = Path(__file__).parents[2] / "meshes" / "six_grains_1.5um.msh"
NAMED = {"phase_names": ("void", "AM", "SE"), "spacing": 1 * um}
LABELS = np.random.default_rng(3).integers(0, 3, (4, 5, 6)).astype(np.uint8)


def read_mesh(path: Path) -> object:
    return read(path, orientations=np.eye(3), comm=MPI.COMM_SELF)


def command(folder: Path) -> str:
    """Return a command of Gmsh's language that leaves a trace in the folder."""
    return f'SystemCall "touch {folder / "owned"}";\n'


def packing() -> Packing:
    generator = np.random.default_rng(7)
    return Packing(
        positions=generator.uniform(-5, 5, (9, 3)) * um,
        radii=generator.uniform(0.5, 2, 9) * um,
        phases=generator.integers(0, 2, 9),
        phase_names=("AM", "SE"),
        lower=np.full(3, -5) * um,
        upper=np.full(3, 5) * um,
    )


# Scripts


@pytest.mark.parametrize(
    "change",
    [
        lambda script, mesh: script,
        lambda script, mesh: f"{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"// comment\n{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"\n{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"$MeshFormatted\n{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"$Comments\n*/{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"\ufeff{script}/*\n{mesh}*/\n",
        lambda script, mesh: f"x = 1;\r{script}/*\r\n{mesh}*/\n",
        lambda script, mesh: f"lc = 1; {script}/*\n{mesh}*/\n",
    ],
)
def test_no_file_runs_a_command(tmp_path: Path, change: Callable[[str, str], str]) -> None:
    """Catches a script with the ending of a mesh, run by Gmsh with the rights of the user."""
    path = tmp_path / "mine.msh"
    path.write_text(change(command(tmp_path), MESH.read_text()))
    with pytest.raises(MeshError, match=r"mine\.msh is not a \.msh file of Gmsh"):
        read_mesh(path)
    assert not (tmp_path / "owned").exists()


def test_nothing_next_to_a_mesh_is_run(tmp_path: Path) -> None:
    """Catches the options that Gmsh looks for by the name of a file, which are a script, too."""
    path = tmp_path / "mine.msh"
    content = MESH.read_text()
    path.write_text(f"$Comments\n{command(tmp_path)}$EndComments\n{content}{command(tmp_path)}")
    for name in ("mine.msh.opt", "mine.opt", "mine.geo", ".gmshrc", ".gmsh-options", "mine.pos"):
        (tmp_path / name).write_text(command(tmp_path))
    assert read_mesh(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["a.geo", "a.py", "a.pos", "a.stl", "a", "a.h5m"])
def test_only_formats_that_name_regions_are_read(tmp_path: Path, name: str) -> None:
    """Catches a library that picks a reader by the ending of a name."""
    (tmp_path / name).write_text(command(tmp_path))
    with pytest.raises(MeshError, match="none of the endings"):
        read_mesh(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_a_pickle_is_no_image(tmp_path: Path) -> None:
    """Catches objects that run what they like when NumPy unpacks them."""

    class Malicious:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "owned"),)

    pickled = np.empty((2, 2, 2), dtype=object)
    pickled[...] = Malicious()
    np.save(tmp_path / "objects.npy", pickled, allow_pickle=True)
    np.savez(tmp_path / "archive.npz", labels=LABELS)
    shutil.move(tmp_path / "archive.npz", tmp_path / "archive.npy")
    for name in ("objects.npy", "archive.npy"):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / name, axes="xyz", **NAMED)
    assert not (tmp_path / "owned").exists()


def test_objects_in_archives_are_no_images(tmp_path: Path) -> None:
    """Catches a pickle in an archive of NumPy, and the values of an image in another file."""
    np.savez(tmp_path / "archive.npz", labels=np.full((2, 2, 2), {}, dtype=object))
    with pytest.raises(InputError, match=r"archive\.npz"):
        read_image(tmp_path / "archive.npz", array="labels", axes="xyz", **NAMED)
    head = "type: uint8\ndimension: 3\nsizes: 4 5 6\nencoding: raw\n"
    (tmp_path / "secret.raw").write_bytes(bytes(120))
    for line in ("data file: secret.raw", "datafile: LIST\nsecret.raw", ""):
        (tmp_path / "away.nrrd").write_text(f"NRRD0004\n{head}{line}\n\n")
        with pytest.raises(FemssbError, match=r"away\.nrrd|nrrd is missing"):
            read_image(tmp_path / "away.nrrd", **NAMED)


# Other files


def test_hdf5_takes_nothing_from_other_files(tmp_path: Path) -> None:
    """Catches an image made of another file, which may be any that the user may read."""
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(LABELS.size))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["labels"] = LABELS
    for name, message in (
        ("link", "no array in it"),
        ("storage", "in another file"),
        ("virtual", "in another file"),
        ("unwritten", "never written"),
        ("holes", "never written"),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            if name == "link":
                file["labels"] = h5py.ExternalLink("other.h5", "/labels")
            elif name == "storage":
                outside = [(str(secret), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("labels", (4, 5, 6), "u1", external=outside)
            elif name == "virtual":
                layout = h5py.VirtualLayout((4, 5, 6), "u1")
                layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "labels", (4, 5, 6))
                file.create_virtual_dataset("labels", layout)
            elif name == "unwritten":
                file.create_dataset("labels", (4, 5, 6), "u1")
            else:
                data = file.create_dataset("labels", (4, 5, 6), "u1", chunks=(2, 5, 6))
                data[:2] = 1
        with pytest.raises(InputError, match=message):
            read_image(tmp_path / f"{name}.h5", axes="xyz", **NAMED)


def test_a_packing_takes_nothing_from_other_files(tmp_path: Path) -> None:
    """Catches the radii of another packing."""
    path = tmp_path / "packing.h5"
    files.write(packing(), tmp_path / "whole.h5")
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(path, "w") as file:
        for name, value in whole.attrs.items():
            file.attrs[name] = value
        for name in whole:
            whole.copy(name, file)
        del file["radii"]
        file["radii"] = h5py.ExternalLink("whole.h5", "/radii")
    with pytest.raises(InputError, match=r"link at 'radii'"):
        files.read(path)


@pytest.mark.parametrize("line", ["*INCLUDE, INPUT=other.inp", "*include,input=/etc/passwd"])
def test_abaqus_includes_nothing(tmp_path: Path, line: str) -> None:
    """Catches a mesh that has other files read."""
    (tmp_path / "mine.inp").write_text(f"*NODE\n1, 0, 0, 0\n{line}\n")
    with pytest.raises(MeshError, match="includes another file"):
        read_mesh(tmp_path / "mine.inp")


def test_a_tiff_file_is_read_as_it_stands(tmp_path: Path) -> None:
    """Catches planes that are taken from other files, by the description in the first."""
    ome = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels DimensionOrder="XYZCT" ID="Pixels:0" SizeC="1" SizeT="1" SizeX="6" SizeY="5" '
        'SizeZ="2" Type="uint8">'
        '<TiffData FirstZ="0"><UUID FileName="first.ome.tif">urn:uuid:a</UUID></TiffData>'
        '<TiffData FirstZ="1"><UUID FileName="second.ome.tif">urn:uuid:b</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    for row, name in enumerate(("first.ome.tif", "second.ome.tif")):
        tifffile.imwrite(tmp_path / name, LABELS[row], description=ome, metadata=None)
    with pytest.raises(InputError, match="part of an image in several files"):
        read_image(tmp_path / "first.ome.tif", **NAMED)


# Damage


def foreign(folder: Path, name: str) -> tuple[Path, Callable[[Path], object]]:
    """Write a sound file as another program would, without a checksum, and say how to read it."""
    path = folder / name
    if name.endswith(".vti"):
        grid = pyvista.ImageData(dimensions=(5, 6, 7), spacing=(um, um, um))
        grid.cell_data["phase"] = LABELS.ravel(order="F")
        grid.save(path)
    elif name.endswith(".h5"):
        with h5py.File(path, "w") as file:
            file.create_dataset("labels", data=LABELS, chunks=(2, 5, 6), compression="gzip")
    elif name.endswith(".tif"):
        tifffile.imwrite(path, LABELS, photometric="minisblack", compression="zlib")
    elif name.endswith(".msh"):
        shutil.copy(MESH, path)
        return path, read_mesh
    axes = {"axes": "xyz"} if name.endswith(".h5") else {}
    return path, lambda other: read_image(other, **axes, **NAMED)


@pytest.mark.parametrize("name", ["sound.vti", "sound.h5", "sound.tif", "sound.msh"])
def test_a_sound_file_is_read_after_damaged_ones(tmp_path: Path, name: str) -> None:
    """Catches a library that dies of a damaged file, or of the one after it."""
    path, read_it = foreign(tmp_path, name)
    content = path.read_bytes()
    damaged = tmp_path / name.replace("sound", "damaged")
    generator = np.random.default_rng(11)
    for share in (0.0, 0.1, 0.6, 0.98):
        damaged.write_bytes(content[: int(share * len(content))])
        with pytest.raises(FemssbError, match=r"damaged\."):
            read_it(damaged)
    for _ in range(3):
        flipped = np.frombuffer(content, np.uint8).copy()
        flipped[generator.integers(0, len(content), 40)] ^= 0x55
        damaged.write_bytes(flipped.tobytes())
        with pytest.raises(FemssbError, match=r"damaged\."):
            read_it(damaged)
    assert read_it(path)


@pytest.mark.parametrize("last", ["4000000", "999999999999999999", "nan", "-7"])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, last: str) -> None:
    """Catches VTK, which ends the process where it finds no memory (or 2**63 wraps)."""
    path, read_it = foreign(tmp_path, "sound.vti")
    text = path.read_bytes()
    assert b"0 4 0 5 0 6" in text
    path.write_bytes(text.replace(b"0 4 0 5 0 6", f"0 4000000 0 5000000 0 {last}".encode()))
    with pytest.raises(InputError, match=r"sound\.vti"):
        read_it(path)
    cloud = pyvista.PolyData(np.zeros((3, 3)))
    cloud.save(tmp_path / "cloud.vtp", binary=False)
    text = (tmp_path / "cloud.vtp").read_bytes()
    assert b'NumberOfPoints="3"' in text
    (tmp_path / "cloud.vtp").write_bytes(
        text.replace(b'NumberOfPoints="3"', f'NumberOfPoints="{last}"'.encode())
    )
    with pytest.raises(InputError, match=r"cloud\.vtp"):
        files.read(tmp_path / "cloud.vtp")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'Piece Extent="0 4 0 5 0 6"', b'Piece Extent="0 4 0 5 0 3"'),
        (b'WholeExtent="0 4 0 5 0 6"', b'WholeExtent="0 4 0 5 0 9"'),
        (b'type="ImageData"', b'type="PImageData"'),
        (b'Direction="1 0 0', b'Direction="0 1 0'),
    ],
)
def test_an_image_that_is_not_all_there_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Catches voxels that VTK makes up of what was in the memory."""
    path, read_it = foreign(tmp_path, "sound.vti")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(InputError, match=r"sound\.vti"):
        read_it(path)


@pytest.mark.parametrize("shape", ["(4, 5, 6000000000000000000)", "(-4, 5, 6)", "(4,) * 3", "()"])
def test_a_head_of_numpy_that_cannot_be_is_refused(tmp_path: Path, shape: str) -> None:
    """Catches an overflow, a size below 0, and code in a head."""
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path = tmp_path / "head.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + bytes(120))
    with pytest.raises(InputError, match=r"head\.npy"):
        read_image(path, axes="xyz", **NAMED)


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Catches files that unpack to a million times their size."""
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("labels", (1, 1 << 20, 1 << 20), "u1", chunks=(1, 1 << 14, 1 << 14))
        file["labels"].id.write_direct_chunk((0, 0, 0), b"x")
    with pytest.raises(InputError, match=r"bomb\.h5"):
        read_image(tmp_path / "bomb.h5", axes="xyz", **NAMED)
    plane = np.zeros((64, 64), np.uint8)
    tifffile.imwrite(tmp_path / "bomb.tif", plane, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "bomb.tif", mode="r+b") as tiff:
        for tag in ("ImageLength", "ImageWidth", "RowsPerStrip"):
            tiff.pages[0].tags[tag].overwrite(2_000_000_000)
    with pytest.raises(InputError, match=r"bomb\.tif"):
        read_image(tmp_path / "bomb.tif", axes="zyx", **NAMED)


def test_special_files_are_not_read(tmp_path: Path) -> None:
    """Catches a pipe that is read for ever, and a folder with the name of a file."""
    for suffix in (".npy", ".h5", ".vti"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
        (tmp_path / f"folder{suffix}").mkdir()
        for name in ("pipe", "folder"):
            with pytest.raises(InputError):
                read_image(tmp_path / f"{name}{suffix}", axes="xyz", **NAMED)
    for suffix in (".h5", ".vtp", ".csv", ".dump"):
        with pytest.raises(InputError, match="no file"):
            files.read(tmp_path / f"folder{suffix}", units="si", phases={1: "AM"})
    for name in ("folder", 3000 * "long"):
        with pytest.raises(InputError, match=r"no such file|is no path"):
            read_mesh(tmp_path / f"{name}.msh")
    with pytest.raises(InputError, match=r"no such file|is no path"):
        read_image(tmp_path / f"{3000 * 'long'}.npy")
    with pytest.raises(InputError, match="no file"):
        files.read(tmp_path / f"{3000 * 'long'}.csv")


def test_the_file_of_femssb_itself_is_read(tmp_path: Path) -> None:
    """Catches checks that no file passes."""
    image = VoxelImage(labels=LABELS, phase_names=("void", "AM", "SE"), spacing=(um, um, um))
    for ending in ("npy", "tif", "vti", "h5"):
        found = read_image(write_image(image, tmp_path / f"image.{ending}"), **NAMED)
        np.testing.assert_array_equal(found.labels, LABELS)
    for ending in ("h5", "vtp", "csv"):
        files.write(packing(), tmp_path / f"packing.{ending}")
        np.testing.assert_array_equal(
            files.read(tmp_path / f"packing.{ending}").radii, packing().radii
        )
