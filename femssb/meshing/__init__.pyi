from .data import MeshData as MeshData
from .data import from_arrays as from_arrays
from .files import read as read
from .files import write as write
from .half_cell import mesh as mesh
from .quality import MeshSummary as MeshSummary
from .quality import RegionSummary as RegionSummary
from .quality import describe as describe
