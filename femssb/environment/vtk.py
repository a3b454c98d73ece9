"""VTK data as text of its XML files, to be written whole or not at all."""

from typing import Any, Literal

from femssb.environment.packages import load
from femssb.errors import EngineError


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
