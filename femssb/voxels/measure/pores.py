"""Pores and the throats between them, or the pieces of any phase and the necks between those.

A phase is split at its narrow places by a watershed of the distance from its surface; each piece
is a node of a network, each face that two pieces share a throat. For the void this is the pore
network, for the electrolyte the network of its particles.

The work is done by PoreSpy, which is optional: ``pip install porespy``. Loading it takes up to half
a minute; the work then takes 3 s per million voxels and 40 bytes per voxel.

Source: Gostick, doi:10.1103/PhysRevE.96.023307.
"""

import logging
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.packages import load
from femssb.errors import InputError, check_number
from femssb.voxels.image import VoxelImage, check_memory


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoreNetwork:
    """Nodes and throats of a phase; nodes at the sides of the image are cut by them.

    Attributes:
        phase: The phase.
        centres: Centre of mass of each node, shape (n, 3) [m].
        volumes: Volume of each node, shape (n,) [m3].
        diameters: Of the largest sphere in each node, one to two voxels too small, shape (n,) [m].
        throats: The two nodes of each throat, shape (m, 2).
        throat_diameters: Of the largest sphere that passes each throat, shape (m,) [m].
    """

    phase: str
    centres: Array
    volumes: Array
    diameters: Array
    throats: NDArray[np.int64]
    throat_diameters: Array

    def __len__(self) -> int:
        return len(self.volumes)

    @property
    def coordination(self) -> NDArray[np.int64]:
        """Number of throats of each node, shape (n,)."""
        return np.bincount(self.throats.ravel(), minlength=len(self)).astype(np.int64)

    @property
    def mean_diameter(self) -> float:
        """Mean diameter of the nodes, weighted by their volume [m]."""
        return float(np.average(self.diameters, weights=self.volumes))


@checked
def pore_network(
    image: VoxelImage, phase: str, *, smoothing: float = 0.4, window: int = 4
) -> PoreNetwork:
    """Split a phase into nodes and throats.

    Sides of the image end the phase, periodic ones too.

    Args:
        image: Image of cubic voxels.
        phase: The phase to split, such as the void.
        smoothing: Standard deviation of the blur of the distance map; more gives fewer nodes
            [voxels].
        window: Radius within which a node has one summit of the distance map [voxels].

    Raises:
        InputError: If the phase is unknown or has no voxel, the voxels are no cubes, or an argument
            is out of its bounds.
        EngineError: If PoreSpy is not installed.
    """
    label = image.label(phase)
    check_number("pore_network", "smoothing", smoothing, lower=0, unit="voxels")
    check_number("pore_network", "window", window, lower=1, unit="voxels")
    edge = image.spacing[0]
    if not np.allclose(image.spacing, edge, rtol=1e-6, atol=0):
        raise InputError(f"VoxelImage.spacing = {image.spacing} m: a network needs cubic voxels")
    check_memory("pore_network", image.shape, bytes_per_voxel=40)
    mask = image.labels == label
    if not mask.any():
        raise InputError(f"VoxelImage has no voxel of {phase!r}: there is no network")
    porespy = _load_porespy()
    regions = porespy.filters.snow_partitioning(mask, sigma=smoothing, r_max=window).regions
    found = porespy.networks.regions_to_network(regions, voxel_size=edge)
    return PoreNetwork(
        phase=phase,
        centres=np.asarray(found["pore.coords"]) + edge / 2,  # from the corner of the first voxel
        volumes=np.asarray(found["pore.region_volume"]),
        diameters=np.asarray(found["pore.inscribed_diameter"]),
        throats=np.asarray(found["throat.conns"], dtype=np.int64),
        throat_diameters=np.asarray(found["throat.inscribed_diameter"]),
    )


def _load_porespy() -> ModuleType:
    """Load PoreSpy and undo its changes to NumPy's error handling and to the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with np.errstate():
            porespy: ModuleType = load("porespy", extra="pores")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    return porespy
