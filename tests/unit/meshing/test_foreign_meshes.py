"""One mesh in the formats and names of other programs: each must come in as the same mesh.

Worth reading: `test_it_is_the_same_mesh`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import dolfinx.mesh
import gmsh
import h5py
import meshio
import numpy as np
import pytest
from dolfinx.io import XDMFFile
from scipy.io import netcdf_file

from femssb.errors import InputError, MeshError
from femssb.meshing import MeshData, MeshSummary, describe, from_arrays, read
from femssb.units import um

IDENTITY = np.eye(3)
REGIONS = ("particle", "ecbd", "electrolyte")
SIDES = ("collector", "anode")
SIX = [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]]


def column() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points [um], tetrahedra and the layer of each, and the triangles of both ends."""
    points = np.array([[x, y, z] for z in range(4) for y in (0, 1) for x in (0, 1)]) * 2.0
    cells = np.array([[corner + 4 * z for corner in tet] for z in range(3) for tet in SIX])
    ends = np.array([[0, 1, 3], [0, 3, 2], [12, 13, 15], [12, 15, 14]])
    return points, cells, np.repeat([0, 1, 2], 6), ends


def expected() -> MeshSummary:
    """Return the mesh as arrays give it."""
    points, cells, layer, ends = column()
    names = [REGIONS[k] for k in layer]
    facets = dict(zip(SIDES, (ends[:2], ends[2:]), strict=True))
    return describe(from_arrays(points * um, cells, names, facets=facets, comm=MPI.COMM_SELF))


def came_in(path: Path, **arguments: object) -> MeshData:
    """Read a mesh on this rank."""
    return read(path, orientations=IDENTITY, comm=MPI.COMM_SELF, **arguments)  # type: ignore[arg-type]


def quadratic(cells: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return simplices with the middles of their edges, and the points with these."""
    pairs = {4: [(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)], 3: [(0, 1), (1, 2), (0, 2)]}
    ends = np.array(pairs[cells.shape[1]])
    middles = points[cells[:, ends]].mean(axis=2)
    numbers = len(points) + np.arange(middles.shape[0] * middles.shape[1])
    return np.hstack([cells, numbers.reshape(len(cells), -1)]), np.vstack(
        [points, middles.reshape(-1, 3)]
    )


def by_meshio(path: Path, *, order: int = 1, **options: object) -> None:
    """Write layers 7, 8, 9 and ends 21, 22 as numbers of cells."""
    points, cells, layer, ends = column()
    kinds = "tetra", "triangle"
    if order == 2:
        (cells, points), kinds = quadratic(cells, points), ("tetra10", "triangle6")
        ends, points = quadratic(ends, points)
    tags = [layer + 7, np.array([21, 21, 22, 22])]
    name = options.pop("tags", "region")
    data = {str(name): tags}
    if path.suffix == ".msh":
        data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
    blocks = list(zip(kinds, (cells, ends), strict=True))
    mesh = meshio.Mesh(points, blocks, cell_data=data)
    if options.get("file_format") == "gmsh":  # of version 4.1 it writes a block of each entity
        parts = [cells[layer == k] for k in range(3)] + [ends[:2], ends[2:]]
        numbers = [np.full(len(part), tag) for part, tag in zip(parts, NUMBERS, strict=True)]
        blocks = list(zip(3 * ["tetra"] + 2 * ["triangle"], parts, strict=True))
        of_nodes = 4 * [(2, 21)] + 2 * [(3, 7)] + 2 * [(3, 8)] + 4 * [(3, 9)] + 4 * [(2, 22)]
        mesh = meshio.Mesh(
            points,
            blocks,
            point_data={"gmsh:dim_tags": np.array(of_nodes)},
            cell_data={"gmsh:physical": numbers, "gmsh:geometrical": numbers},
        )
    if path.suffix == ".med":
        mesh = meshio.Mesh(points, blocks, cell_data={"cell_tags": [-t for t in tags]})
        families = zip((-7, -8, -9, -21, -22), (*REGIONS, *SIDES), strict=True)
        mesh.cell_tags = {number: [f"of {name}", "all"] for number, name in families}
    mesh.write(path, **options)


NUMBERS = {7: "particle", 8: "ecbd", 9: "electrolyte", 21: "collector", 22: "anode"}
OF = {f"of {name}": name for name in (*REGIONS, *SIDES)}


def gmsh_numbers(path: Path, version: float) -> None:
    """Write what Gmsh does of volumes and surfaces that nobody named."""
    points, cells, layer, ends = column()
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        model = gmsh.model
        model.add("mine")
        for k in range(3):
            model.addDiscreteEntity(3, 7 + k)
        model.mesh.addNodes(3, 7, np.arange(1, len(points) + 1), points.ravel())
        for k in range(3):
            model.mesh.addElementsByType(7 + k, 4, [], cells[layer == k].ravel() + 1)
        for k, tag in enumerate((21, 22)):
            model.addDiscreteEntity(2, tag)
            model.mesh.addElementsByType(tag, 2, [], ends[2 * k : 2 * k + 2].ravel() + 1)
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.SaveAll", 1)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


def abaqus(path: Path) -> None:
    """Write sets before the elements that they name, and ends as sides of elements."""
    points, cells, _, ends = column()
    whole = {tuple(sorted(tet)): row for row, tet in enumerate(cells.tolist())}
    sides = ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0))
    of_end = []
    for triangle in ends.tolist():
        for tet, row in whole.items():
            if set(triangle) <= set(tet):
                corners = cells[row]
                face = next(
                    k for k, s in enumerate(sides) if set(corners[list(s)]) == set(triangle)
                )
                of_end.append(f"{row + 1}, S{face + 1}")
    lines = [
        "*Heading", "** a remark", "*Part, name=Part-1",
        "*Elset, elset=Matrix", "lower, upper",
        "*Elset, elset=lower, generate", "7, 12, 1",
        "*Elset, elset=upper", "13, 14, 15,", "16, 17",
        "*Elset, elset=Upper", "18",
        "*Surface, type=ELEMENT, name=Bottom", *of_end[:2],
        "*Surface, name=Top", *of_end[2:],
        "*Node", *(f"{n + 1}, {x}, {y}, {z}" for n, (x, y, z) in enumerate(points)),
        "*Element, type=C3D4", *(f"{n + 1}, " + ", ".join(map(str, t + 1))
                                 for n, t in enumerate(cells)),
        "*Elset, elset=grain", "1, 2, 3, 4, 5, 6", "*End Part",
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")


OF_ABAQUS = {
    "grain": "particle", "lower": "ecbd", "upper": "electrolyte", "Bottom": "collector",
    "Top": "anode",
}  # fmt: skip


def exodus(path: Path, *, modern: bool) -> None:
    """Write blocks of layers, of which one has no name, and side sets."""
    points, cells, layer, ends = column()
    sides = ((0, 1, 3), (1, 2, 3), (0, 3, 2), (0, 2, 1))
    found: dict[str, np.ndarray] = {f"coord{a}": points[:, k] for k, a in enumerate("xyz")}
    for k in range(3):
        found[f"connect{k + 1}"] = (cells[layer == k] + 1).astype(np.int32)
    for k in range(2):
        pairs = [
            (row + 1, face + 1)
            for triangle in ends[2 * k : 2 * k + 2].tolist()
            for row, tet in enumerate(cells)
            for face, side in enumerate(sides)
            if set(tet[list(side)].tolist()) == set(triangle)
        ]
        found[f"elem_ss{k + 1}"], found[f"side_ss{k + 1}"] = np.array(pairs, np.int32).T
    found |= {"eb_prop1": np.array([7, 8, 9], np.int32), "ss_prop1": np.array([21, 22], np.int32)}
    names = {"eb_names": ("particle", "", "electrolyte"), "ss_names": ("collector", "anode")}
    if modern:
        with h5py.File(path, "w") as file:
            for name, values in found.items():
                file[name] = values
                if name.startswith("connect"):
                    file[name].attrs["elem_type"] = b"TET4"
            for name, words in names.items():
                file[name] = np.array([list(w.ljust(32, "\0")) for w in words], "S1")
        return
    with netcdf_file(path, "w") as file:
        for name, values in found.items():
            dimensions = tuple(f"{name}_{k}" for k in range(values.ndim))
            for dimension, size in zip(dimensions, values.shape, strict=True):
                file.createDimension(dimension, size)
            made = file.createVariable(name, values.dtype.char, dimensions)
            made[:] = values
            if name.startswith("connect"):
                made.elem_type = "TETRA"
        file.createDimension("len", 32)
        for name, words in names.items():
            file.createDimension(name, len(words))
            made = file.createVariable(name, "c", (name, "len"))
            made[:] = np.array([list(w.ljust(32, "\0")) for w in words], "S1")


def dolfinx_tags(path: Path) -> None:
    """Write a mesh, and its tags, as DOLFINx does: a grid for each."""
    points, cells, layer, ends = column()
    data = from_arrays(
        points * um, cells, [REGIONS[k] for k in layer], periodic="", comm=MPI.COMM_SELF,
        facets=dict(zip(SIDES, (ends[:2], ends[2:]), strict=True)),
    )  # fmt: skip
    mesh, numbers = data.mesh, {"particle": 7, "ecbd": 8, "electrolyte": 9}
    known = {int(data.grain_tags[0]): "particle"} | {t: name for name, t in data.regions.items()}
    regions = np.array([numbers[known[tag]] for tag in data.cell_tags.values.tolist()], np.int32)
    chosen, sides = [], []
    for tag, name in zip((21, 22), SIDES, strict=True):
        chosen.append(data.facet_tags.find(data.facets[name]))
        sides.append(np.full(len(chosen[-1]), tag, np.int32))
    facets = np.concatenate(chosen)
    order = np.argsort(facets)
    made = {
        "of cells": dolfinx.mesh.meshtags(mesh, 3, data.cell_tags.indices, regions),
        "of facets": dolfinx.mesh.meshtags(mesh, 2, facets[order], np.concatenate(sides)[order]),
    }
    mesh.geometry.x[:] *= 1 / um
    mesh.topology.create_connectivity(2, 3)
    with XDMFFile(MPI.COMM_SELF, path, "w") as file:
        file.write_mesh(mesh)
        for name, tags in made.items():
            tags.name = name
            file.write_meshtags(tags, mesh.geometry)


FILES: dict[str, tuple[str, Callable[[Path], None], dict[str, object]]] = {
    "VTU": ("a.vtu", by_meshio, {"names": NUMBERS}),
    "VTU of second order": ("a.vtu", lambda p: by_meshio(p, order=2), {"names": NUMBERS}),
    "XDMF with HDF5": ("a.xdmf", by_meshio, {"names": NUMBERS}),
    "XDMF alone": ("a.xdmf", lambda p: by_meshio(p, data_format="XML"), {"names": NUMBERS}),
    "XDMF of DOLFINx": ("a.xdmf", dolfinx_tags, {"names": NUMBERS}),
    "MED": ("a.med", by_meshio, {"names": OF}),
    "MSH 2.2 of meshio": ("a.msh", lambda p: by_meshio(p, file_format="gmsh22"),
                          {"names": NUMBERS}),
    "MSH 4.1 of meshio": ("a.msh", lambda p: by_meshio(p, file_format="gmsh"),
                          {"names": NUMBERS}),
    "MSH 4.1 of Gmsh": ("a.msh", lambda p: gmsh_numbers(p, 4.1), {"names": NUMBERS}),
    "MSH 2.2 of Gmsh": ("a.msh", lambda p: gmsh_numbers(p, 2.2), {"names": NUMBERS}),
    "Abaqus": ("a.inp", abaqus, {"names": OF_ABAQUS}),
    "Exodus on HDF5": ("a.exo", lambda p: exodus(p, modern=True), {"names": {8: "ecbd"}}),
    "Exodus": ("a.e", lambda p: exodus(p, modern=False), {"names": {8: "ecbd"}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_it_is_the_same_mesh(tmp_path: Path, kind: str) -> None:
    """Would catch regions or ends that are shifted, swapped or lost on the way from a format."""
    name, write, arguments = FILES[kind]
    write(tmp_path / name)
    data = came_in(tmp_path / name, **arguments)
    found, wanted = describe(data), expected()
    assert found.nodes == wanted.nodes
    assert list(found.regions) == list(wanted.regions)
    for region, summary in wanted.regions.items():
        assert found.regions[region].volume == pytest.approx(summary.volume, rel=1e-9), region
    for side, area in wanted.areas.items():
        assert found.areas[side] == pytest.approx(area), side
    assert any("made linear" in text for text in data.warnings) == ("second" in kind)


def test_a_file_without_surfaces_has_those_of_its_box(tmp_path: Path) -> None:
    """Would catch a mesh that is refused for lack of triangles, or sides that nobody is told of."""
    points, cells, layer, _ = column()
    mesh = meshio.Mesh(points, [("tetra", cells)], cell_data={"material": [layer]})
    mesh.write(tmp_path / "a.vtu")
    names = dict(enumerate(REGIONS))
    data = came_in(tmp_path / "a.vtu", names=names)
    assert describe(data).areas == pytest.approx(
        {**expected().areas, "x_min": 12e-12, "x_max": 12e-12, "y_min": 12e-12, "y_max": 12e-12}
    )
    assert data.periodic == (0, 1)
    assert any("names no surface" in text for text in data.warnings)
    assert came_in(tmp_path / "a.vtu", names=names, periodic="y").periodic == (1,)


def test_curved_edges_are_measured(tmp_path: Path) -> None:
    """Would catch a curved mesh that is made straight without a word on how curved it was."""
    by_meshio(tmp_path / "a.vtu", order=2)
    mesh = meshio.read(tmp_path / "a.vtu")
    mesh.points[16] += [0.0, 0.1, 0.0]  # the middle of an edge of 2 um
    mesh.write(tmp_path / "a.vtu")
    warnings = came_in(tmp_path / "a.vtu", names=NUMBERS).warnings
    assert any("18 tetrahedra" in text and "up to 5 %" in text for text in warnings)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, MeshError, r"volumes \[7, 8, 9\] have no name: `names`"),
        ({"names": {6: "ecbd"}}, InputError, "has no 6; it has the volumes"),
        ({"names": {**NUMBERS, 9: "seperator"}}, MeshError, "unknown seperator"),
        ({"names": {7: "particle", 8: "ecbd"}}, MeshError, r"volumes \[9\] have no name"),
        ({"names": {True: "ecbd"}}, InputError, "has the key True"),
        ({"names": {7: 3}}, InputError, "must be a name"),
        ({"names": ["ecbd"]}, InputError, "must map"),
        ({"names": NUMBERS, "tags": "mat"}, MeshError, "has no numbers of cells 'mat'"),
        ({"names": NUMBERS, "periodic": "z"}, InputError, "periodic = 'z'"),
    ],
)
def test_a_wrong_map_is_refused(
    tmp_path: Path, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    """Would catch a part of the mesh that is left out because its number was misread."""
    by_meshio(tmp_path / "a.vtu")
    with pytest.raises(error, match=words):
        came_in(tmp_path / "a.vtu", **arguments)


def test_xdmf_takes_from_no_other_file(tmp_path: Path) -> None:
    """Would catch a file that makes femssb open any other one of this machine."""
    by_meshio(tmp_path / "a.xdmf")
    text = (tmp_path / "a.xdmf").read_text()
    (tmp_path / "a.xdmf").write_text(text.replace("a.h5:", "/tmp/other.h5:"))
    with pytest.raises(MeshError, match=r"it may only do so from a\.h5"):
        came_in(tmp_path / "a.xdmf", names=NUMBERS)


ANOTHER = """<Grid Name="more" GridType="Uniform"><Topology TopologyType="Tetrahedron">
<DataItem Dimensions="1 4" NumberType="Int" Format="XML">0 1 2 4</DataItem></Topology>
<Attribute Name="other" Center="Cell"><DataItem Dimensions="1 1" Format="XML">7</DataItem>
</Attribute></Grid>"""


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda text: text.replace('GridType="Uniform"', 'GridType="Collection"', 1), {},
         "grid 'mesh' is a Collection"),
        (lambda text: text.replace('Name="of facets" GridType', 'Name="of cells" GridType'), {},
         "two grids 'of cells'"),
        (lambda text: text.replace("</Domain>", f"{ANOTHER}</Domain>"), {},
         "several numbers of tetrahedra, 'of cells' in grid 'of cells', 'other' in grid 'more'"),
        (lambda text: text, {"tags": "mat"}, "has no numbers of cells 'mat'; it has"),
        (lambda text: text.replace("</Domain>", f"{ANOTHER}</Domain>").replace(
            'Name="more" GridType="Uniform">', 'Name="more"><Geometry GeometryType="XYZ"><DataItem '
            'Dimensions="1 3" Format="XML">0 0 0</DataItem></Geometry>'), {},
         "grid 'more' has other points than 'mesh'"),
    ],
)  # fmt: skip
def test_grids_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, change: Callable[[str], str], arguments: dict[str, str], words: str
) -> None:
    """Would catch regions of one grid with the numbers of another."""
    dolfinx_tags(tmp_path / "a.xdmf")
    text = (tmp_path / "a.xdmf").read_text()
    (tmp_path / "a.xdmf").write_text(change(text))
    with pytest.raises(MeshError, match=words):
        came_in(tmp_path / "a.xdmf", names=NUMBERS, **arguments)


def test_of_several_grids_one_may_be_named(tmp_path: Path) -> None:
    """Would catch a name that is taken for facets, too."""
    dolfinx_tags(tmp_path / "a.xdmf")
    text = (tmp_path / "a.xdmf").read_text()
    (tmp_path / "a.xdmf").write_text(text.replace("</Domain>", f"{ANOTHER}</Domain>"))
    data = came_in(tmp_path / "a.xdmf", names=NUMBERS, tags="of cells")
    assert describe(data).areas == pytest.approx(expected().areas)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("*Node", "*Include, input=other.inp\n*Node"), "another file"),
        (lambda text: text.replace("*End Part", "*Part, name=B"), "several parts"),
        (lambda text: text.replace("C3D4", "C3D8"), "C3D8.*not tetrahedra"),
        (lambda text: text.replace("lower, upper", "lower, Matrix"), "contains itself"),
        (lambda text: text.replace("lower, upper", "lower, uper"), "the set 'UPER'"),
        (lambda text: text.replace(", S1", "").replace(", S2", "").replace(", S3", "")
         .replace(", S4", ""), "without their sides"),
        (lambda text: text[: text.index("*Element")], "no nodes or no elements"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_abaqus_is_refused(
    tmp_path: Path, change: Callable[[str], str], words: str
) -> None:
    """Would catch a set that is silently empty, or elements that are dropped."""
    abaqus(tmp_path / "a.inp")
    text = (tmp_path / "a.inp").read_text()
    (tmp_path / "a.inp").write_text(change(text))
    with pytest.raises(MeshError, match=words):
        came_in(tmp_path / "a.inp", names=OF_ABAQUS)
