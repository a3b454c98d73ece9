"""VTK data and its files in XML: written whole or not at all, read whole or not at all.

Left to itself VTK hides that a disk is full, fills what a file lacks of its extent with whatever
was in the memory, and reports other damage only in the window for its messages.
"""

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.environment.isolation import damaged
from femssb.environment.packages import load
from femssb.errors import EngineError

_HEAD = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)?<VTKFile\s(?:[^>]*?\s)?type=\"(\w+)\"", re.DOTALL
)
_LEGACY = b"# vtk DataFile Version"
_EXTENT = re.compile(rb"<(ImageData|Piece)\s[^>]*?Extent=\"([^\"]*)\"")


def xml(data: Any, kind: Literal["ImageData", "PolyData"]) -> str:
    """Return a data set as VTK would write it into a file, where it hides that a disk is full.

    Args:
        data: The data set, of VTK or PyVista.
        kind: Of data.

    Raises:
        EngineError: If VTK is missing or fails.
    """
    writer = getattr(load("vtkmodules.vtkIOXML", extra="plot"), f"vtkXML{kind}Writer")()
    writer.SetInputData(data)
    writer.SetDataModeToBinary()
    writer.WriteToOutputStringOn()
    if not writer.Write():
        raise EngineError(f"VTK could not write {kind}")
    return str(writer.GetOutputString())


def read(path: Path, kind: Literal["ImageData", "PolyData"]) -> Any:
    """Return the data set of a file; to be called by `femssb.environment.isolation.in_child`.

    Raises:
        InputError: If it is of another kind, or not whole.
        EngineError: If VTK is missing.
    """
    core = load("vtkmodules.vtkCommonCore", extra="plot")
    reader = getattr(load("vtkmodules.vtkIOXML", extra="plot"), f"vtkXML{kind}Reader")()
    content = path.read_bytes()
    start = _HEAD.match(content)
    if start is None or start[1].decode() != kind:
        raise damaged(path, f"it does not begin as {kind} of VTK in XML")
    if kind == "ImageData":
        _check_extent(path, content)
    window = core.vtkStringOutputWindow()
    core.vtkOutputWindow.SetInstance(window)
    reader.SetFileName(str(path))
    reader.Update()
    if said := " ".join(window.GetOutput().split()):
        raise damaged(path, said[:300])
    return reader.GetOutput()


def read_legacy(path: Path) -> Any:
    """Return the points of a file in VTK's older format; for `isolation.in_child`, too.

    Raises:
        InputError: If it holds no points, or is not whole.
        EngineError: If VTK is missing.
    """
    core = load("vtkmodules.vtkCommonCore", extra="plot")
    reader = load("vtkmodules.vtkIOLegacy", extra="plot").vtkGenericDataObjectReader()
    with path.open("rb") as file:
        if not file.read(len(_LEGACY)) == _LEGACY:
            raise damaged(path, "it does not begin as a file of VTK")
    window = core.vtkStringOutputWindow()
    core.vtkOutputWindow.SetInstance(window)
    reader.SetFileName(str(path))
    for kind in ("Scalars", "Vectors", "Fields"):  # by itself it reads one of each
        getattr(reader, f"ReadAll{kind}On")()
    reader.Update()
    if said := " ".join(window.GetOutput().split()):
        raise damaged(path, said[:300])
    if not hasattr(data := reader.GetOutput(), "GetPoints"):
        raise damaged(path, "it holds no points")
    return data


def arrays(data: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of point, cell or field data by their names; words are one string each."""
    to_numpy = load("vtkmodules.util.numpy_support", extra="plot").vtk_to_numpy
    found = {}
    for column in range(data.GetNumberOfArrays()):
        array = data.GetAbstractArray(column)
        if array.IsA("vtkStringArray"):
            found[str(array.GetName())] = np.array([array.GetValue(0)] * array.GetNumberOfValues())
        elif array.IsA("vtkDataArray"):
            found[str(array.GetName())] = to_numpy(array)
    return found


def points(cloud: Any) -> NDArray[Any]:
    """Return the points of a data set, shape (n, 3)."""
    to_numpy = load("vtkmodules.util.numpy_support", extra="plot").vtk_to_numpy
    found: NDArray[Any] = (
        to_numpy(cloud.GetPoints().GetData()) if cloud.GetNumberOfPoints() else np.empty((0, 3))
    )
    return found


def _check_extent(path: Path, content: bytes) -> None:
    """Check that the pieces of an image fill it."""
    whole, *pieces = [
        (name, [int(word) for word in words.split()])
        for name, words in _EXTENT.findall(content[: content.find(b"<AppendedData")])
    ]
    cells = {b"ImageData": 0, b"Piece": 0}
    for name, extent in (whole, *pieces):
        if len(extent) != 6 or any(a > b for a, b in zip(extent[::2], extent[1::2], strict=True)):
            raise damaged(path, f"an extent is {extent}")
        cells[name] += math.prod(
            max(b - a, 1) for a, b in zip(extent[::2], extent[1::2], strict=True)
        )
    if whole[0] != b"ImageData" or cells[b"ImageData"] != cells[b"Piece"]:
        raise damaged(path, f"its pieces have {cells[b'Piece']} of {cells[b'ImageData']} voxels")
