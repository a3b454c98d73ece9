from .files import read_orientations as read_orientations
from .files import read_sites as read_sites
from .files import read_tess as read_tess
from .tessellation import Tessellation as Tessellation
from .tessellation import tessellate as tessellate
