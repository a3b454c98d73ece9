from .neper import read_orientations as read_orientations
from .neper import read_tess as read_tess
from .sites import read_sites as read_sites
from .tessellation import Tessellation as Tessellation
from .tessellation import tessellate as tessellate
from .voxel_fit import VoxelFit as VoxelFit
from .voxel_fit import from_voxels as from_voxels
