"""Meshes from files: whatever a user brings must be understood, or refused by name.

Worth reading: `test_cut_file_is_refused` and `test_missing_and_misnamed_groups_are_named`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import gmsh
import meshio
import numpy as np
import pytest

from femssb.errors import InputError, MeshError
from femssb.meshing import describe, from_arrays, mesh, read, write
from femssb.meshing.data import MeshData, gather
from femssb.meshing.files import from_gmsh
from femssb.meshing.parts import Parts
from femssb.units import um

FOLDER = Path(__file__).parents[3] / "meshes"
SMALL = FOLDER / "six_grains_1.5um.msh"
IDENTITY = np.eye(3)


def everything(data: MeshData) -> Parts:
    """Return the whole mesh on every rank."""
    parts: Parts = data.mesh.comm.bcast(gather(data), root=0)
    return parts


def copied(folder: Path, change: Callable[[str], str], name: str = "mine.msh") -> Path:
    """Write a changed copy of the small mesh, with its orientations, and return its path."""
    path = folder / name
    if MPI.COMM_WORLD.rank == 0:
        path.write_text(change(SMALL.read_text()))
        shutil.copy(SMALL.with_suffix(".orientations.csv"), folder / "mine.orientations.csv")
    MPI.COMM_WORLD.barrier()
    return path


def slabs(
    names: tuple[str, ...] = ("particle", "ecbd", "electrolyte"), *, shared: bool = True
) -> None:
    """Build three boxes on top of each other in the current Gmsh model, in um, and mesh them."""
    occ = gmsh.model.occ
    boxes = [(3, occ.addBox(0, 0, 2.0 * level, 3, 3, 2)) for level in range(len(names))]
    if shared:
        occ.fragment(boxes, [])
    occ.synchronize()
    for _, volume in gmsh.model.getEntities(3):
        level = round((occ.getCenterOfMass(3, volume)[2] - 1) / 2)
        gmsh.model.addPhysicalGroup(3, [volume], name=names[level])
    for axis, low, high in ((0, "x_min", "x_max"), (1, "y_min", "y_max")):
        sides: tuple[list[int], list[int]] = ([], [])
        for _, surface in gmsh.model.getEntities(2):
            centre = occ.getCenterOfMass(2, surface)
            for side, level in zip(sides, (0.0, 3.0), strict=True):
                if abs(centre[axis] - level) < 1e-6:
                    side.append(surface)
        shift = np.eye(4)
        shift[axis, 3] = 3.0
        gmsh.model.mesh.setPeriodic(2, sides[1], sides[0], shift.ravel().tolist())
        gmsh.model.addPhysicalGroup(2, sides[0], name=low)
        gmsh.model.addPhysicalGroup(2, sides[1], name=high)
    for name, level in (("collector", 0.0), ("anode", 2.0 * len(names))):
        found = [
            surface
            for _, surface in gmsh.model.getEntities(2)
            if abs(occ.getCenterOfMass(2, surface)[2] - level) < 1e-6
        ]
        gmsh.model.addPhysicalGroup(2, found, name=name)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 1.5)
    gmsh.model.mesh.generate(3)


@pytest.fixture
def user_gmsh() -> object:
    """Open Gmsh as a user would."""
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.add("mine")
    yield gmsh
    gmsh.finalize()


def test_small_meshes_are_small() -> None:
    """Would catch a heavy mesh put under version control."""
    found = list(FOLDER.glob("*.msh"))
    assert found
    assert all(path.stat().st_size < 500_000 for path in found)


@pytest.mark.mpi
def test_small_meshes_hold_the_ball() -> None:
    """Would catch a stored mesh that no longer is what its name says."""
    regions = describe(read(FOLDER / "single_crystal_2um.msh")).regions
    ball = 4 / 3 * np.pi * 125
    assert regions["particle_1_grain_01"].volume / um**3 == pytest.approx(ball, rel=1e-9)
    summary = describe(read(SMALL))
    assert sum("grain" in name for name in summary.regions) == 6
    assert summary.regions["electrolyte"].volume / um**3 == pytest.approx(12 * 12 * 3, rel=1e-9)
    assert summary.smallest_gamma > 0.05


@pytest.mark.mpi
def test_written_mesh_is_read_back(shared_path: Path) -> None:
    """Would catch regions, facets or orientations that change on the way through a file."""
    data = read(SMALL)
    write(data, shared_path / "deep" / "copy.msh")
    again = read(shared_path / "deep" / "copy.msh")
    first, second = everything(data), everything(again)
    assert second.points == pytest.approx(first.points, abs=1e-18)
    assert (second.cells == first.cells).all()
    assert (second.cell_tags == first.cell_tags).all()
    assert sorted(second.facets) == sorted(first.facets)
    assert again.orientations == pytest.approx(data.orientations, abs=1e-12)
    assert not np.allclose(data.orientations, IDENTITY)
    for name, area in describe(data).areas.items():
        assert describe(again).areas[name] / um**2 == pytest.approx(area / um**2)


@pytest.mark.mpi(ranks=2)
def test_write_refuses_bad_paths(shared_path: Path) -> None:
    """Would catch a bare error of the operating system on one rank while the others wait."""
    data = read(SMALL)
    with pytest.raises(InputError, match=r"must end in \.msh"):
        write(data, shared_path / "mesh.vtk")
    if MPI.COMM_WORLD.rank == 0:
        (shared_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write results to .*file"):
        write(data, shared_path / "file" / "mesh.msh")


# What is wrong is found by rank 0: one case of each kind shows that all others learn of it.
SHARED = pytest.mark.mpi(ranks=2)


@pytest.mark.parametrize(
    "share", [0.0, 0.02, 0.1, 0.3, pytest.param(0.5, marks=SHARED), 0.7, 0.9, 0.99]
)
def test_cut_file_is_refused(shared_path: Path, share: float) -> None:
    """Would catch a truncated file read as a smaller mesh, or an error of Gmsh passed on."""
    path = copied(shared_path, lambda text: text[: int(share * len(text))])
    with pytest.raises(MeshError, match=r"cut short|not a \.msh"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda text: text.replace('"ecbd"', '"matrix"'),
            "missing ecbd; unknown matrix",
            marks=SHARED,
        ),
        (lambda text: text.replace('"collector"', '"colector"'), "missing collector.*colector"),
        (lambda text: text.replace('"anode"', '"Anode"'), "missing anode.*Anode"),
        (lambda text: text.replace("_grain_03", "_crystal_3"), "unknown particle_1_crystal_3"),
        (lambda text: text.replace('"x_max"', '"right"'), "'x_max' are missing"),
        (lambda text: text.replace('"particle_1_grain_03"', '"grain_2"'), "same grain"),
        (lambda text: text.replace("particle_1_grain", "electrode"), "missing a grain"),
        (lambda text: text.replace('"particle_1_grain_06"', '""'), "has no name|missing|name"),
    ],
)
def test_missing_and_misnamed_groups_are_named(
    shared_path: Path, change: Callable[[str], str], message: str
) -> None:
    """Would catch a misspelt region that is silently left out of the model."""
    with pytest.raises(MeshError, match=message):
        read(copied(shared_path, change), orientations=IDENTITY)


@pytest.mark.parametrize("unit", [1.0, pytest.param(1e-3, marks=SHARED), 1e-9, 1e-12])
def test_slip_of_units_is_caught(unit: float) -> None:
    """Would catch a cell of 15 m, 15 mm or 15 nm, because the file was in another unit."""
    with pytest.raises(MeshError, match="is its unit of length"):
        read(SMALL, unit=unit)


@pytest.mark.parametrize("unit", [0.0, -1e-6, "um", float("nan")])
def test_bad_unit_is_refused(unit: object) -> None:
    """Would catch a mesh collapsed into a point or turned inside out."""
    with pytest.raises(InputError, match=r"read\.unit"):
        read(SMALL, unit=unit)  # type: ignore[arg-type]


@pytest.mark.mpi(ranks=2)
def test_missing_files_are_named(shared_path: Path) -> None:
    """Would catch a traceback of Gmsh for a file that is not there."""
    with pytest.raises(InputError, match=r"nowhere\.msh"):
        read(shared_path / "nowhere.msh")
    path = copied(shared_path, lambda text: text, name="other.msh")
    with pytest.raises(InputError, match=r"no other\.orientations\.csv next to other\.msh"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda text: text.replace("grain,qw", "grain,w"), "must begin with", marks=SHARED
        ),
        (lambda text: "\n".join([*text.splitlines()[:6], ""]), "no line for particle_1_grain_06"),
        (lambda text: text[: text.index("grain_06") + 20], "may be cut short"),
        (lambda text: text.replace("particle_1_grain_02,", "particle_1_grain_02,x"), "line 3"),
        (lambda text: text + "grain_9,1,0,0,0\n", "line 8: 'grain_9' is no grain"),
        (lambda text: text + "grain_2,1,0,0,0\n", "line 8.*has an orientation already"),
        (lambda text: text.replace("0.158273", "1.158273"), "line 2.*length 1.5"),
        (lambda text: text.replace("0.158273651703337,", ""), "line 2 needs 4 numbers"),
        (lambda text: text.replace("0.158273651703337", "0_158273"), "line 2.*'0_158273'"),
        (lambda text: text.replace("0.158273651703337", "nan"), "line 2.*'nan'"),
    ],
)
def test_damaged_orientations_are_refused(
    shared_path: Path, change: Callable[[str], str], message: str
) -> None:
    """Would catch grains that get the orientation of another, or none."""
    path = copied(shared_path, lambda text: text)
    table = path.with_suffix(".orientations.csv")
    if MPI.COMM_WORLD.rank == 0:
        plain = "".join(table.read_text().splitlines(keepends=True)[:-1])  # without its checksum
        table.write_text(change(plain))
    MPI.COMM_WORLD.barrier()
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("-0.317074438225815", "-0.317074438225816"), "differs from"),
        (lambda text: text + "# a remark\n", "differs from"),
        (lambda text: text[:-2], "may be cut short"),
        (lambda text: text[: text.index("# sha256") - 5], "may be cut short"),
    ],
)
def test_changed_orientations_of_our_own_are_refused(
    shared_path: Path, change: Callable[[str], str], message: str
) -> None:
    """Would catch a number that changed on the disk, or one that was cut and is a number still."""
    path = copied(shared_path, lambda text: text)
    table = path.with_suffix(".orientations.csv")
    if MPI.COMM_WORLD.rank == 0:
        table.write_text(change(table.read_text()))
    MPI.COMM_WORLD.barrier()
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.mpi
def test_derived_facets_replace_missing_ones(shared_path: Path) -> None:
    """Would catch an interface that is lost because the file does not name it."""
    path = shared_path / "plain.msh"
    expected = describe(read(SMALL)).areas
    if MPI.COMM_WORLD.rank == 0:
        lines = SMALL.read_text().splitlines(keepends=True)
        kept = [line for line in lines if '"interface"' not in line and '"grain_b' not in line]
        start = kept.index("$PhysicalNames\n") + 1
        kept[start] = f"{int(kept[start]) - 2}\n"
        path.write_text("".join(kept))
    MPI.COMM_WORLD.barrier()
    areas = describe(read(path, orientations=IDENTITY)).areas
    for name in ("interface", "grain_boundary"):
        assert areas[name] / um**2 == pytest.approx(expected[name] / um**2)


@pytest.mark.mpi(ranks=2)
def test_sides_that_do_not_match_are_refused() -> None:
    """Would catch a mesh whose periodic sides were meshed one by one."""
    parts = everything(read(SMALL))
    sheet = parts.triangles[parts.facet_tags == parts.facets["x_max"]]
    inner = [node for node in np.unique(sheet) if np.abs(parts.points[node, 1]) < 5.5 * um]
    points = parts.points.copy()
    points[inner[0], 1] += 0.05 * um
    regions = np.array(
        ["", "ecbd", "electrolyte"] + [""] * 97 + [f"grain_{g}" for g in range(1, 7)]
    )
    with pytest.raises(MeshError, match=r"'x_min' \(\d+\) and 'x_max' \(\d+\) do not match"):
        from_arrays(points, parts.cells, regions[parts.cell_tags].tolist())


def test_model_built_in_python(user_gmsh: object) -> None:
    """Would catch a Gmsh model of the user that is misread, changed or closed."""
    slabs()
    data = from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)
    summary = describe(data)
    for name in ("particle_1_grain_01", "ecbd", "electrolyte"):
        assert summary.regions[name].volume / um**3 == pytest.approx(18)
    assert summary.areas["interface"] / um**2 == pytest.approx(9)
    assert summary.areas["x_min"] / um**2 == pytest.approx(18)
    assert gmsh.model.getCurrent() == "mine"
    with pytest.raises(InputError, match="orientations are needed"):
        from_gmsh(gmsh.model, comm=MPI.COMM_SELF)


def test_model_without_a_mesh_is_refused(user_gmsh: object) -> None:
    """Would catch an empty mesh handed on."""
    with pytest.raises(MeshError, match="generate the mesh first"):
        from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)


def test_model_whose_volumes_were_not_fragmented_is_refused(user_gmsh: object) -> None:
    """Would catch layers that share no face: a run of them gave 4.74 V where 4.63 V is right."""
    slabs(shared=False)
    with pytest.raises(MeshError, match=r"not shared.*ecbd and (particle|electrolyte).*fragment"):
        from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)


def test_particle_that_was_not_cut_out_of_the_box_is_refused(user_gmsh: object) -> None:
    """Would catch a particle and an ecbd in the same place, each with nodes of its own."""
    occ = gmsh.model.occ
    for name, tag in (
        ("ecbd", occ.addBox(0, 0, 0, 6, 6, 6)),
        ("particle", occ.addSphere(3, 3, 3, 2)),
    ):
        occ.synchronize()
        gmsh.model.addPhysicalGroup(3, [tag], name=name)
    for name, level in (("collector", 0), ("anode", 6)):
        found = [s for _, s in gmsh.model.getEntities(2) if occ.getCenterOfMass(2, s)[2] == level]
        gmsh.model.addPhysicalGroup(2, found, name=name)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 1.5)
    gmsh.model.mesh.generate(3)
    with pytest.raises(MeshError, match="faces touch or enter tetrahedra"):
        from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)


def test_model_with_unnamed_or_double_volumes_is_refused(user_gmsh: object) -> None:
    """Would catch cells that belong to no region, or to two."""
    slabs()
    groups = {gmsh.model.getPhysicalName(3, tag): tag for _, tag in gmsh.model.getPhysicalGroups(3)}
    volume = gmsh.model.getEntitiesForPhysicalGroup(3, groups["ecbd"])
    gmsh.model.addPhysicalGroup(3, volume, name="grain_2")
    with pytest.raises(MeshError, match="is both"):
        from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)
    gmsh.model.removePhysicalGroups([(3, groups["ecbd"])])
    gmsh.model.removePhysicalName("grain_2")
    gmsh.model.removePhysicalName("electrolyte")
    with pytest.raises(MeshError, match=r"no name|no named volume"):
        from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)


def test_elements_of_second_order_become_linear(user_gmsh: object) -> None:
    """Would catch corners that are mistaken, or a change of the mesh that nobody is told of."""
    slabs()
    linear = describe(from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF))
    gmsh.model.mesh.setOrder(2)
    data = from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF)
    assert describe(data).report() == linear.report()
    assert any("made linear" in text for text in data.warnings)


@pytest.mark.parametrize(("version", "binary"), [(2.2, 0), (2.2, 1), (4.0, 0), (4.1, 1)])
def test_other_versions_of_gmsh_files(
    user_gmsh: object, tmp_path: Path, version: float, binary: int
) -> None:
    """Would catch formats of Gmsh that only seem to be read."""
    slabs()
    gmsh.option.setNumber("Mesh.MshFileVersion", version)
    gmsh.option.setNumber("Mesh.Binary", binary)
    gmsh.write(str(tmp_path / "mesh.msh"))
    expected = describe(from_gmsh(gmsh.model, orientations=IDENTITY, comm=MPI.COMM_SELF))
    found = describe(read(tmp_path / "mesh.msh", orientations=IDENTITY, comm=MPI.COMM_SELF))
    assert found.cells == expected.cells
    assert found.areas == pytest.approx(expected.areas)
    content = (tmp_path / "mesh.msh").read_bytes()
    (tmp_path / "cut.msh").write_bytes(content[: int(0.8 * len(content))])
    with pytest.raises(MeshError, match="cut short"):
        read(tmp_path / "cut.msh", orientations=IDENTITY, comm=MPI.COMM_SELF)


@pytest.mark.parametrize("name", ["mesh.inp", "mesh.vtu", "mesh.vtk"])
def test_formats_of_meshio(tmp_path: Path, name: str) -> None:
    """Would catch element sets of other formats that are lost or shifted between blocks."""
    parts = everything(read(SMALL, comm=MPI.COMM_SELF))
    regions = {tag: region for region, tag in parts.regions.items()}
    regions |= {100 + grain: f"particle_1_grain_{grain + 1}" for grain in range(6)}
    blocks, sets = [], {}
    order = [*regions.items(), *((-tag, side) for side, tag in parts.facets.items())]
    for tag, region in order:
        cells = parts.cells[parts.cell_tags == tag]
        triangles = parts.triangles[parts.facet_tags == -tag]
        blocks.append(("tetra", cells) if tag > 0 else ("triangle", triangles))
        sets[region] = [
            np.arange(len(blocks[-1][1])) if i == len(blocks) - 1 else [] for i in range(len(order))
        ]
    written = meshio.Mesh(parts.points / um, blocks, cell_sets=sets)
    path = tmp_path / name
    if name != "mesh.inp":  # these hold no names
        written.cell_sets = {}
        written.write(path)
        with pytest.raises(MeshError, match="0 of them in named volumes"):
            read(path, orientations=IDENTITY, comm=MPI.COMM_SELF)
        return
    written.write(path)
    found = describe(read(path, orientations=IDENTITY, comm=MPI.COMM_SELF))
    expected = describe(read(SMALL, comm=MPI.COMM_SELF))
    for region, summary in expected.regions.items():
        assert found.regions[region].cells == summary.cells
    for side, area in expected.areas.items():
        assert found.areas[side] / um**2 == pytest.approx(area / um**2)


@pytest.mark.parametrize(
    "name", [pytest.param("text.vtu", marks=SHARED), "text.unknown", "text.inp"]
)
def test_files_that_meshio_cannot_read(
    shared_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Would catch meshio leaving Python, or printing, when it meets a file it does not know."""
    if MPI.COMM_WORLD.rank == 0:
        (shared_path / name).write_text("nothing of use\n")
    MPI.COMM_WORLD.barrier()
    with pytest.raises(MeshError, match=name):
        read(shared_path / name, orientations=IDENTITY)
    assert capfd.readouterr().out == ""


def test_standard_geometries_are_what_they_say() -> None:
    """Would catch a standard definition that no longer can be built."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("standard", FOLDER / "standard.py")
    assert spec is not None
    assert spec.loader is not None
    standard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standard)
    cell, size = standard.SMALL_MESHES["six_grains_1.5um"]
    made = describe(mesh(cell, size=size, comm=MPI.COMM_SELF))
    stored = describe(read(SMALL, comm=MPI.COMM_SELF))
    # another version of Gmsh may place other points
    assert made.cells == pytest.approx(stored.cells, rel=0.1)
    assert standard.BASELINE.particles[0].number_of_grains == 53
    assert len(standard.TWO_PARTICLES.particles) == 2


@pytest.mark.parametrize("change", ["digit", "another mesh"])
def test_a_mesh_that_is_not_that_of_its_orientations_is_refused(
    tmp_path: Path, change: str
) -> None:
    """Catches a damaged coordinate, and a mesh that was replaced before its orientations were."""
    comm, path = MPI.COMM_SELF, tmp_path / "cell.msh"
    write(read(SMALL, comm=comm), path)
    text = path.read_text()
    side = path.with_suffix(".orientations.csv")
    if change == "digit":
        at = text.index(".", text.index("$Nodes")) + 6  # within a coordinate
        path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])
    else:
        write(read(FOLDER / "single_crystal_2um.msh", comm=comm), tmp_path / "other.msh")
        shutil.copy(tmp_path / "other.msh", path)
    with pytest.raises(InputError, match=r"cell\.msh is damaged, or not the mesh"):
        read(path, comm=comm)
    if change == "digit":  # on purpose
        lines = side.read_text().splitlines()
        side.write_text("".join(f"{x}\n" for x in lines if not x.startswith("#")))
        read(path, comm=comm)
