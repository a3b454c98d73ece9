"""If these fail, ParaView shows other stresses than were computed; VTK's filters are the oracle."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import pyvista as pv
from vtkmodules.vtkFiltersTensor import vtkTensorPrincipalInvariants

from femssb.errors import InputError
from femssb.results import vtk_files
from femssb.results.fields import FieldData
from femssb.tensors import COMPONENTS, PAIRS, VTK_COMPONENTS, components, von_mises

_rows = np.random.default_rng(0).normal(size=(40, 3, 3)) * 1e9
TENSORS = (_rows + _rows.transpose(0, 2, 1)) / 2
TENSORS[0] = [[1e9, 4e9, 6e9], [4e9, 2e9, 5e9], [6e9, 5e9, 3e9]]
# xx yy zz yz xz xy, written out once more
STRESS = np.stack(
    [TENSORS[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], axis=1
)

POINTS = np.vstack([np.zeros(3), np.eye(3)])
CELLS = np.repeat([[0, 1, 2, 3]], len(STRESS), axis=0)


def written(path: Path, **changes: Any) -> FieldData:
    """Return what was written to a file: tensors in the cells and at the points, and much else."""
    data = FieldData(
        points=POINTS,
        cells=CELLS,
        point_data={"Strain [-]": 1e-9 * STRESS[:4], "Displacement [m]": POINTS * 1e-9},
        cell_data={"Stress [Pa]": STRESS, "Grain <1> & \N{GREEK SMALL LETTER ALPHA}": CELLS[:, 1]}
        | changes,
    )
    vtk_files.write(path, data.points, data.cells, data.point_data, data.cell_data)
    return data


def test_vtk_finds_the_principal_stresses(tmp_path: Path) -> None:
    """Catches shear components in another order than VTK reads them in: stresses wrong by GPa."""
    data = written(tmp_path / "a.vtu")
    grid = pv.read(tmp_path / "a.vtu")
    filter_ = vtkTensorPrincipalInvariants()
    filter_.SetInputData(grid)
    filter_.GetCellDataArraySelection().EnableArray("Stress [Pa]")
    filter_.GetPointDataArraySelection().EnableArray("Strain [-]")
    filter_.SetScaleVectors(False)
    filter_.Update()
    found = pv.wrap(filter_.GetOutput())
    principal = np.linalg.eigvalsh(TENSORS)[:, ::-1]
    scale = np.abs(principal).max()
    for number in range(3):
        values = found.cell_data[filter_.GetSigmaValueArrayName("Stress [Pa]", number + 1)]
        np.testing.assert_allclose(values, principal[:, number], rtol=0, atol=1e-6 * scale)
        strains = found.point_data[filter_.GetSigmaValueArrayName("Strain [-]", number + 1)]
        np.testing.assert_allclose(strains, 1e-9 * principal[:4, number], atol=1e-15 * scale)
    np.testing.assert_allclose(von_mises(data.cell_data["Stress [Pa]"]), von_mises(TENSORS))


def test_components_have_their_names(tmp_path: Path) -> None:
    """Catches ParaView's menu of components calling yz what is xy."""
    written(tmp_path / "a.vtu")
    array = pv.read(tmp_path / "a.vtu").cell_data["Stress [Pa]"]
    names = [array.VTKObject.GetComponentName(k) for k in range(6)]
    assert names == list(VTK_COMPONENTS) == ["XX", "YY", "ZZ", "XY", "YZ", "XZ"]
    axes = [["XYZ".index(letter) for letter in name] for name in names]
    for number, (row, column) in enumerate(axes):
        np.testing.assert_array_equal(array[:, number], TENSORS[:, row, column])


def test_memory_keeps_the_order_of_the_package(tmp_path: Path) -> None:
    """Catches an order that is turned on the way out and not on the way in."""
    data = written(tmp_path / "a.vtu")
    points, cells, at_points, in_cells = vtk_files.read(tmp_path / "a.vtu")
    np.testing.assert_array_equal(points, data.points)
    np.testing.assert_array_equal(cells, data.cells)
    for found, given in ((at_points, data.point_data), (in_cells, data.cell_data)):
        assert list(found) == list(given)
        for name, values in given.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)
    np.testing.assert_array_equal(in_cells["Stress [Pa]"], components(TENSORS))
    assert [COMPONENTS[k] for k in range(6)] == ["xyz"[i] + "xyz"[j] for i, j in PAIRS]


def test_meshio_reads_the_files_too(tmp_path: Path) -> None:
    """Catches XML that only VTK forgives; arrays of several blocks are joined."""
    many = np.random.default_rng(1).normal(size=(len(CELLS), 3))
    data = written(tmp_path / "a.vtu", many=many)
    mesh = meshio.read(tmp_path / "a.vtu")
    np.testing.assert_array_equal(mesh.cells_dict["tetra"], CELLS)
    np.testing.assert_array_equal(mesh.cell_data["many"][0], many)
    turned = data.cell_data["Stress [Pa]"][:, [0, 1, 2, 5, 3, 4]]
    np.testing.assert_array_equal(mesh.cell_data["Stress [Pa]"][0], turned)


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 20000])
def test_blocks_of_any_size(tmp_path: Path, size: int) -> None:
    """Catches a last block that is full, empty, or counted twice."""
    cells = np.zeros((size, 3), np.int64)
    values = np.arange(float(size))
    vtk_files.write(tmp_path / "a.vtu", POINTS, cells, {}, {"a": values})
    np.testing.assert_array_equal(vtk_files.read(tmp_path / "a.vtu")[3]["a"], values)
    np.testing.assert_array_equal(pv.read(tmp_path / "a.vtu").cell_data["a"], values)


def test_tensors_without_names_are_refused(tmp_path: Path) -> None:
    """Catches files of older versions, or of other programs, whose shears would be swapped."""
    path = tmp_path / "a.vtu"
    written(path)
    text = path.read_text()
    path.write_text(re.sub(r' ComponentName\d="..?"', "", text))
    with pytest.raises(InputError, match=r"a\.vtu.*does not name its six components"):
        vtk_files.read(path)
    path.write_text(text.replace('ComponentName3="XY"', 'ComponentName3="XZ"'))
    with pytest.raises(InputError, match="does not name"):
        vtk_files.read(path)
    # names decide, whatever their order
    turned = text.replace('"XY"', '"--"').replace('"XZ"', '"XY"').replace('"--"', '"XZ"')
    path.write_text(turned)
    found = vtk_files.read(path)[3]["Stress [Pa]"]
    np.testing.assert_array_equal(found, STRESS[:, [0, 1, 2, 3, 5, 4]])


def test_damage_is_found(tmp_path: Path) -> None:
    """Catches a flipped bit that gives other numbers, and any error but ours."""
    path = tmp_path / "a.vtu"
    given = written(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        content[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(
            content[: int(rng.integers(len(whole)))] if rng.random() < 0.3 else content
        )
        try:
            points, cells, at_points, in_cells = vtk_files.read(path)
        except InputError:
            refused += 1
            continue
        # where it is read, no number has changed: a name, a space
        values = [points, cells, *at_points.values(), *in_cells.values()]
        wanted = [given.points, given.cells, *given.point_data.values(), *given.cell_data.values()]
        for one, other in zip(values, wanted, strict=False):
            np.testing.assert_array_equal(one, other)
    assert refused > 200
