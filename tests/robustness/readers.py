"""Small sound files of every kind that is read, made once, and how each is read."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any
from unittest.mock import patch

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from scipy.spatial.transform import Rotation

import femssb
from femssb import grains, library, meshing, packing, particles, results, studies, voxels
from femssb.meshing.data import gather
from femssb.run.case_file import read_case
from femssb.run.simulation import Simulation
from femssb.units import um
from tests import made_up_runs
from tests.robustness import examples, powder
from tests.robustness.limits import Reached
from tests.runs import ALONE, STEPS, TIMED, tiny_model

AGAIN = "does the work again"  # what reading returns where nothing is lost but time


@dataclass(frozen=True)
class Kind:
    """A kind of file, or a folder of several.

    Attributes:
        make: Writes sound files into a folder.
        read: Reads them from there, and returns what can be compared.
        guarded: Whether a checksum, or the sense of the content, shows every change of a number.
        weight: Share of the usual number of damaged files: less where reading takes a process.
        spare: File without which something else is right, too: a checkpoint before the last.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], Any]
    guarded: bool
    weight: float = 1.0
    spare: str = ""


def digest(thing: Any) -> str:
    """Return a word that changes with every number and word in something that was read."""
    state = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, meshing.MeshData):
            value = gather(value)
        if is_dataclass(value) and not isinstance(value, type):
            for item in fields(value):
                state.update(item.name.encode())
                add(getattr(value, item.name))
        elif isinstance(value, Mapping):
            for key, one in sorted(value.items(), key=str):
                state.update(str(key).encode())
                add(one)
        elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
            state.update(f"{value.shape}".encode())
            kept = value.astype(np.float64) if value.dtype.kind in "biuf" else value
            state.update(np.ascontiguousarray(kept).tobytes())
        elif isinstance(value, list | tuple):
            state.update(f"[{len(value)}".encode())
            for one in value:
                add(one)
        else:
            state.update(repr(value).encode(errors="replace"))

    add(thing)
    return state.hexdigest()[:16]


@cache
def model() -> femssb.Model:
    """Return the model of the checkpoints."""
    return tiny_model(couplings=ALONE)


class Stop(Exception):
    """Ends a run on purpose."""


def make_checkpoint(folder: Path) -> None:
    """Run a few steps, with a checkpoint after each, and stop."""
    count = 0

    def stop(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise Stop

    with patch("femssb.run.record.CHECKPOINT_EVERY", 0.0), suppress(Stop):
        simulation().run(folder, progress=False, on_step=[stop])


def simulation() -> Simulation:
    """Return the run of the checkpoints."""
    return Simulation(model(), TIMED, stepping=STEPS)


def read_checkpoint(folder: Path) -> Any:
    """Read the state from which a run would resume."""
    found: list[Any] = []

    def resume(position: Any) -> None:
        found.append(position)
        raise Reached

    with patch("femssb.run.stepper.Stepper.step", side_effect=resume):
        try:
            simulation().run(folder, progress=False, resume=True)
        except Reached:
            pass
    return found


def read_solution(folder: Path) -> Any:
    """Read a run with all its fields."""
    solution = results.Solution.load(folder)
    return solution.series, solution.steps, tuple(solution.snapshots), solution.case


def make_mesh(folder: Path, change: Callable[[Any], None] | None = None) -> None:
    """Write the mesh of the small model."""
    meshing.write(model().data, folder / "cell.msh")


def make_foreign_mesh(folder: Path, *, version: float, binary: bool) -> None:
    """Write the mesh as Gmsh does in another version of its format."""
    import gmsh

    make_mesh(folder)
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.merge(str(folder / "cell.msh"))
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.Binary", int(binary))
        gmsh.write(str(folder / "cell.msh"))
    finally:
        gmsh.finalize()
    side = folder / "cell.orientations.csv"  # without the checksums of the mesh and of its own
    lines = side.read_text(encoding="utf-8").splitlines()
    side.write_text("".join(f"{x}\n" for x in lines if not x.startswith("#")), encoding="utf-8")


def whole_mesh() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points [um], tetrahedra, and the tag of each, of the small model."""
    parts = gather(model().data)
    assert parts is not None
    return parts.points / um, parts.cells, parts.cell_tags


def by_meshio(name: str, **options: Any) -> Kind:
    """Return a kind of mesh that other programs write, without surfaces."""
    import meshio

    def make(folder: Path) -> None:
        points, cells, tags = whole_mesh()
        numbers = -tags if name.endswith(".med") else tags
        key = "cell_tags" if name.endswith(".med") else "region"
        mesh = meshio.Mesh(points, [("tetra", cells)], cell_data={key: [numbers]})
        mesh.cell_tags = {-tag: [named] for tag, named in NAMES_OF_TAGS.items()}
        mesh.write(folder / name, **options)

    return foreign_mesh(make, name)


def foreign_mesh(make: Callable[[Path], object], name: str) -> Kind:
    """Return a kind of mesh that other programs write, whose numbers are tags of the model."""
    words = {word: word for word in NAMES_OF_TAGS.values()}
    names = words if name.endswith((".med", ".inp")) else NAMES_OF_TAGS

    def read(folder: Path) -> Any:
        return replace(
            meshing.read(
                folder / name, unit=um, orientations=np.eye(3), names=names, comm=MPI.COMM_SELF
            ),
            origin={},
        )

    return Kind(make=make, read=read, guarded=False, weight=CHILD)


# Of the small model: its regions, and its three grains.
NAMES_OF_TAGS = {1: "ecbd", 2: "electrolyte", 100: "grain_1", 101: "grain_2", 102: "grain_3"}


def make_abaqus(folder: Path) -> None:
    """Write the mesh as an input of Abaqus, with a set for each region."""
    points, cells, tags = whole_mesh()
    lines = ["*Node", *(f"{n}, {x!r}, {y!r}, {z!r}" for n, (x, y, z) in
                        enumerate(points.tolist(), start=1))]  # fmt: skip
    number = 0
    for tag, named in NAMES_OF_TAGS.items():
        lines.append(f"*Element, type=C3D4, elset={named}")
        for tet in (cells[tags == tag] + 1).tolist():
            number += 1
            lines.append(f"{number}, " + ", ".join(map(str, tet)))
    (folder / "cell.inp").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_exodus(folder: Path) -> None:
    """Write the mesh in the layout of Exodus on netCDF 3, with a block for each region."""
    from scipy.io import netcdf_file

    points, cells, tags = whole_mesh()
    with netcdf_file(folder / "cell.e", "w") as file:

        def put(name: str, values: np.ndarray) -> Any:
            for axis, size in enumerate(values.shape):
                file.createDimension(f"{name}_{axis}", size)
            names = tuple(f"{name}_{axis}" for axis in range(values.ndim))
            made = file.createVariable(name, values.dtype.char, names)
            made[:] = values
            return made

        for axis, letter in enumerate("xyz"):
            put(f"coord{letter}", points[:, axis])
        for block, tag in enumerate(NAMES_OF_TAGS, start=1):
            rows = (cells[tags == tag] + 1).astype(np.int32)
            put(f"connect{block}", rows).elem_type = "TETRA"
        put("eb_prop1", np.array(list(NAMES_OF_TAGS), np.int32))


def read_mesh(folder: Path) -> Any:
    """Read the mesh."""
    return replace(meshing.read(folder / "cell.msh", comm=MPI.COMM_SELF), origin={})


def write_text(name: str, text: str) -> Callable[[Path], object]:
    """Return what writes a text file."""
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def tessellation() -> str:
    """Return a cube cut by a plane across x, in the format of Neper."""
    corners = [(x, y, z) for x in (0, 5, 10) for z in (0, 10) for y in (0, 10)]
    squares = [[1, 2, 4, 3], [5, 6, 8, 7], [9, 10, 12, 11]]
    for low in (0, 4):
        squares += [[low + k for k in four] for four in ([1, 2, 6, 5], [3, 4, 8, 7])]
        squares += [[low + k for k in four] for four in ([1, 3, 7, 5], [2, 4, 8, 6])]
    lines = ["***tess", " **format", "   3.5", " **general", "   3 standard", " **cell", "  2"]
    lines += ["  *seed", "   1 2.5 5.0 5.0 3.0", "   2 7.5 5.0 5.0 3.0"]
    lines += ["  *ori", "   quaternion", "   1.0 0.0 0.0 0.0", "   0.5 0.5 0.5 0.5"]
    lines += [" **vertex", " 12"]
    lines += [f"  {row} {x}.0 {y}.0 {z}.0 0" for row, (x, y, z) in enumerate(corners, start=1)]
    lines += [" **edge", " 1", "  1 1 2 0", " **face", " 11"]
    for row, four in enumerate(squares, start=1):
        lines += [f"  {row} 4 {' '.join(map(str, four))}", "    4 1 -1 1 -1"]
        lines += ["    0.0 1.0 0.0 0.0", "    0 0 0.0 0.0 0.0"]
    lines += [" **polyhedron", " 2", "  1 6 -1 2 4 5 6 7", "  2 6 -2 3 8 9 10 11"]
    lines += [" **domain", "  *general", "   cube", "***end"]
    return "\n".join(lines) + "\n"


QUATERNIONS = Rotation.random(6, random_state=1).as_quat(scalar_first=True).tolist()
ORIENTATIONS = "".join(" ".join(f"{x:.9f}" for x in row) + "\n" for row in QUATERNIONS)
SITES = "x,y,z,weight,qw,qx,qy,qz\n" + "".join(
    ",".join(f"{x:.9f}" for x in [i - 2.5, 0.5 * i, -0.3 * i, 0.1, *row]) + "\n"
    for i, row in enumerate(QUATERNIONS)
)
TARGETS = (
    "study,case,key,quantity,unit,paper,band,reason\n"
    "quick,one,gap,gap,nm,14.3,5 %,because\nquick,two,stress,stress,GPa,2.6,x1.3,so\n"
    'other,"a, b",voltage,voltage,V,4.3,<,"more, words"\n'
)


CHILD = 0.3  # weight of what is read in a process of its own


def packing_kind(name: str, *, guarded: bool, weight: float = 1.0, **options: Any) -> Kind:
    """Return a kind of file of a packing."""
    densities = {"AM": 4700.0, "SE": 1800.0}
    writing = {"units": options.get("units", "micro")} if "units" in options else {}
    return Kind(
        make=lambda folder: packing.write(
            examples.spheres(), folder / name, densities=densities, **writing
        ),
        read=lambda folder: packing.read(folder / name, **options),
        guarded=guarded,
        weight=weight,
    )


def image_kind(name: str, *, guarded: bool, weight: float = 1.0, **options: Any) -> Kind:
    """Return a kind of file of a voxel image."""
    return Kind(
        make=lambda folder: voxels.write_image(examples.image(), folder / name),
        read=lambda folder: voxels.read_image(folder / name, **options),
        guarded=guarded,
        weight=weight,
    )


NAMED = {"phase_names": ("void", "AM", "SE"), "spacing": um}
DATA = Path(__file__).parents[1] / "data"
FEW = 0.15  # weight of files of other programs, of which there are many kinds


def foreign_image(
    make: Callable[[Path], object], name: str = "", *, child: bool = True, **options: Any
) -> Kind:
    """Return a kind of file of a voxel image that another program writes."""
    return Kind(
        make=make,
        read=lambda folder: voxels.read_image(folder / name, **NAMED, **options),
        guarded=False,
        weight=FEW if child else 1.0,
    )


def foreign_packing(name: str, *, child: bool = False, **options: Any) -> Kind:
    """Return a kind of file of a packing that another program wrote."""
    box = ((0, 0, 0), (20 * um, 20 * um, 20 * um))
    given = {"box": box, "periodic": (True, True, False), "phases": {1: "AM", 2: "SE"}, **options}
    return Kind(
        make=copy_of(f"packings/{name}"),
        read=lambda folder: packing.read_frames(folder / name, **given),
        guarded=False,
        weight=FEW if child else 0.5,
    )


def copy_of(name: str) -> Callable[[Path], object]:
    """Return what copies a file that another program wrote."""
    return lambda folder: shutil.copy(DATA / name, folder)


def make_matlab(folder: Path) -> None:
    """Write an image as MATLAB does."""
    from scipy import io

    labels = examples.image().labels.astype(float)
    io.savemat(folder / "image.mat", {"labels": labels}, do_compression=True)


def make_png(folder: Path) -> None:
    """Write an image as a folder of PNG files."""
    from PIL import Image

    for number, plane in enumerate(examples.image().labels.T):
        Image.fromarray(np.ascontiguousarray(plane)).save(folder / f"plane_{number:02d}.png")


def make_dream3d(folder: Path) -> None:
    """Write an image in the layout of DREAM.3D."""
    import h5py

    labels = np.ascontiguousarray(examples.image().labels.T)
    with h5py.File(folder / "image.dream3d", "w") as file:
        file["DataContainers/Grid/CellData/Phases"] = labels[..., np.newaxis].astype(np.int32)
        geometry = "DataContainers/Grid/_SIMPL_GEOMETRY"
        file[f"{geometry}/DIMENSIONS"] = np.array(labels.shape[::-1])
        file[f"{geometry}/SPACING"] = np.full(3, 0.25, np.float32)


def make_planes(folder: Path) -> None:
    """Write an image as a folder of planes."""
    import tifffile

    for number, plane in enumerate(examples.image().labels.T):
        tifffile.imwrite(folder / f"plane_{number:02d}.tif", plane)


def make_stage(folder: Path) -> None:
    """Press a powder in one stage."""
    particles.press(
        powder.powder(),
        powder.STAGES[:1],
        powder.contact_law(),
        out=folder,
        comm=MPI.COMM_SELF,
        progress=False,
    )


def read_stage(folder: Path) -> Any:
    """Read what a press would go on from; the work itself is left out."""
    found: list[Any] = []

    def begin(start: Any, law: Any, comm: Any, state: Any = None, **_: Any) -> Any:
        restart = Path(state).read_bytes() if state is not None else b""
        found.append((start.positions, start.radii, hashlib.sha256(restart).hexdigest()))
        raise Reached

    with patch("femssb.particles.pressing.Engine", side_effect=begin):
        try:
            particles.press(
                powder.powder(),
                powder.STAGES,
                powder.contact_law(),
                out=folder,
                comm=MPI.COMM_SELF,
                progress=False,
            )
        except Reached:
            pass
    if not found or found[0][2] == hashlib.sha256(b"").hexdigest():
        return AGAIN
    return found


BPX = """{
 "Header": {"BPX": "1.0.0", "Title": "A cathode", "Model": "SPM"},
 "Parameterisation": {
  "Cell": {"Reference temperature [K]": 298.15},
  "Positive electrode": {
   "Particle radius [m]": 4e-6,
   "Diffusivity [m2.s-1]": 2e-14,
   "OCP [V]": "4.5 - 0.8 * x - 0.1 * tanh(20 * (x - 0.9))",
   "Reaction rate constant [mol.m-2.s-1]": 2e-5,
   "Minimum stoichiometry": 0.3,
   "Maximum stoichiometry": 0.95,
   "Maximum concentration [mol.m-3]": 50000
  }
 }
}
"""


def make_case(folder: Path) -> None:
    """Write the case of a small run, from the template."""
    template = Path(femssb.__file__).parent / "run" / "template.toml"
    (folder / "case.toml").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")


def read_a_case(folder: Path) -> Any:
    """Read the inputs of a case, and mesh nothing."""
    return read_case(folder / "case.toml", [], MPI.COMM_SELF)


def make_measurement(folder: Path) -> None:
    """Keep the result of a case."""
    cache = studies.Cache(folder)
    case = examples.measurement()
    case.run(cache.prepare(case), comm=None, progress=False)


def read_measurement(folder: Path) -> Any:
    """Read the result of a case, which is run again if there is none."""
    found = studies.Cache(folder).find(examples.measurement())
    return AGAIN if found is None else found


KINDS: dict[str, Kind] = {
    "checkpoint": Kind(make_checkpoint, read_checkpoint, guarded=True, spare="checkpoint.npz"),
    "results": Kind(
        lambda folder: made_up_runs.solution(spacing=3 * um, grains=3, charge_only=True).save(
            folder
        ),
        read_solution,
        guarded=True,
        weight=1.5,
    ),
    "stage": Kind(make_stage, read_stage, guarded=True, weight=CHILD),
    "measurement": Kind(make_measurement, read_measurement, guarded=True),
    "packing.h5": packing_kind("packing.h5", guarded=True, weight=CHILD),
    "packing.csv": packing_kind("packing.csv", guarded=True),
    "packing.vtp": packing_kind("packing.vtp", guarded=True, weight=CHILD),
    "packing.dump": packing_kind(
        "packing.dump", guarded=False, units="micro", phases={1: "AM", 2: "SE"}
    ),
    "packing.liggghts": packing_kind("packing.liggghts", guarded=False, phases={1: "AM", 2: "SE"}),
    "packing.data": packing_kind(
        "packing.data", guarded=True, units="micro", phases={1: "AM", 2: "SE"}
    ),
    "packing.vtk": foreign_packing("liggghts.vtk", child=True, units="si"),
    "packing of LIGGGHTS": foreign_packing("liggghts.vtp", child=True, units="si"),
    "packing with labels": foreign_packing("labels.data"),
    "packing of a general cell": foreign_packing("gen.data", units="micro"),
    "frames": foreign_packing("typelabel.dump", units="micro", phases=None),
    "packing of Yade": foreign_packing("yade_id.txt", units="si", phases={0: "AM", 1: "SE"}),
    "packing of MercuryDPM": foreign_packing(
        "mercury.data", units="micro", phases={0: "AM"}, box=None
    ),
    "image.npy": image_kind("image.npy", guarded=True, **NAMED),
    "image.tif": image_kind("image.tif", guarded=True, weight=CHILD),
    "image.vti": image_kind("image.vti", guarded=True, weight=CHILD),
    "image.h5": image_kind("image.h5", guarded=True, weight=CHILD),
    "image.npz": foreign_image(
        lambda folder: np.savez_compressed(folder / "image.npz", labels=examples.image().labels),
        "image.npz",
        axes="xyz",
    ),
    "image.raw": foreign_image(
        lambda folder: examples.image().labels.tofile(folder / "image.raw"),
        "image.raw",
        child=False,
        header=voxels.RawHeader(shape=examples.image().shape, fastest="z"),
    ),
    "image.mat": foreign_image(make_matlab, "image.mat", axes="xyz"),
    "image.dream3d": foreign_image(make_dream3d, "image.dream3d"),
    "image of PNG": foreign_image(make_png),
    "image planes": Kind(
        make_planes, lambda folder: voxels.read_image(folder, **NAMED), False, CHILD
    ),
    "mesh.msh": Kind(make_mesh, read_mesh, guarded=True, weight=CHILD),
    "mesh 4.1 binary": Kind(
        lambda folder: make_foreign_mesh(folder, version=4.1, binary=True), read_mesh, False, CHILD
    ),
    "mesh 2.2": Kind(
        lambda folder: make_foreign_mesh(folder, version=2.2, binary=False), read_mesh, False, CHILD
    ),
    "mesh.inp": foreign_mesh(make_abaqus, "cell.inp"),
    "mesh.e": foreign_mesh(make_exodus, "cell.e"),
    "curve.csv": Kind(
        write_text("curve.csv", "x,U [V]\n0.0,4.4\n0.4,3.9\n0.8,3.7\n1.0,3.0\n"),
        lambda folder: femssb.Curve.from_table(folder / "curve.csv", scale=4e4).function,
        False,
    ),
    "profile.csv": Kind(
        write_text("profile.csv", "t [s],I\n0.0,1.0\n4.0,-2.5\n4.0,3.5\n9.0,0.5\n"),
        lambda folder: femssb.Profile.read(folder / "profile.csv"),
        False,
    ),
    "bpx.json": Kind(
        write_text("bpx.json", BPX), lambda folder: library.read_bpx(folder / "bpx.json"), False
    ),
    "case.toml": Kind(make_case, read_a_case, False),
    "cells.tess": Kind(
        write_text("cells.tess", tessellation()),
        lambda folder: grains.read_tess(folder / "cells.tess"),
        False,
    ),
    "orientations.txt": Kind(
        write_text("orientations.txt", ORIENTATIONS),
        lambda folder: grains.read_orientations(
            folder / "orientations.txt", descriptor="quaternion:passive"
        ),
        guarded=False,
    ),
    "sites.csv": Kind(
        write_text("sites.csv", SITES),
        lambda folder: grains.read_sites(folder / "sites.csv"),
        False,
    ),
    "targets.csv": Kind(
        write_text("targets.csv", TARGETS),
        lambda folder: studies.read_targets(folder / "targets.csv"),
        guarded=False,
    ),
}
if util.find_spec("meshio"):
    KINDS["mesh.vtu"] = by_meshio("cell.vtu")
    KINDS["mesh.xdmf"] = by_meshio("cell.xdmf")
    KINDS["mesh.xdmf alone"] = by_meshio("cell.xdmf", data_format="XML")
    KINDS["mesh.med"] = by_meshio("cell.med")
if util.find_spec("nrrd"):
    KINDS["image.nrrd"] = foreign_image(copy_of("images/units.nrrd"), "units.nrrd")
if util.find_spec("imagecodecs"):
    KINDS["image.lzw"] = foreign_image(copy_of("images/lzw.tif"), "lzw.tif")
# Those that the sound calls of `examples` read.
OF_EXAMPLES = (
    "packing.csv", "image.npy", "mesh.msh", "cells.tess", "orientations.txt", "sites.csv",
    "targets.csv", "profile.csv", "case.toml", "bpx.json",
)  # fmt: skip
