"""Currents of a solved network: through every plane, sideways, and at every node."""

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import threaded
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.network import Network, Single


def flow(
    parts: Longs,
    network: Network,
    lower: Single,
    potential: Array,
    *,
    shape: tuple[int, ...],
    periodic: tuple[bool, bool],
    at_nodes: bool,
    flux: int = 0,
) -> tuple[Array, Array, Array]:
    """Return the currents of own nodes for 1 V between the plates, over `Links.unit`.

    The potential is that of own nodes and ghosts, 1 at the lower plate and 0 at the upper; `lower`
    is the conductance to the lower plate, shape (n,); the shape is that of the whole image, whose
    second and third axis may be periodic; the plates lie across axis `flux`.

    Returns:
        Upward through the faces below each plane and above the last, shape (planes + 1,); the sum
        over all nodes of what follows, shape (3,); the mean of the currents through the two faces
        of a node across each axis, shape (n, 3), empty unless asked for.
    """
    enters, leaves = np.zeros((2, shape[flux]))
    total = np.zeros((len(parts) - 1, 3))
    nodes = np.empty((network.nodes if at_nodes else 0, 3))
    below = int(np.searchsorted(network.ghosts, network.first))
    # Two voxels that meet on both sides of a periodic image: their currents cancel.
    countable = np.array([not (n == 2 and p) for n, p in zip(shape[1:], periodic, strict=True)])
    _flow(
        *(parts, network, lower, potential, below, shape[1], shape[2], countable, flux),
        *(enters, leaves, total, nodes),
    )
    return np.append(enters, 0.0) + np.append(0.0, leaves), total.sum(axis=0), nodes


@threaded
def _flow(
    start: int,
    stop: int,
    parts: Longs,
    network: Network,
    lower: Single,
    potential: Array,
    below: int,
    rows: int,
    columns: int,
    countable: Array,
    flux: int,
    enters: Array,
    leaves: Array,
    total: Array,
    nodes: Array,
) -> None:
    """Write the currents from the lower plate into each plane, and upward out of it."""
    n, voxels = len(network.ground), network.voxels
    for part in range(start, stop):
        here = np.empty(3)
        for i in range(parts[part], parts[part + 1]):
            plane, rest = divmod(voxels[i], rows * columns)
            row, column = divmod(rest, columns)
            comes = lower[i] * (1 - potential[i])
            goes = (network.ground[i] - lower[i]) * potential[i]
            here[:] = 0.0
            here[flux] = (comes + goes) / 2
            layer = plane if flux == 0 else row if flux == 1 else column
            if lower[i] > 0:
                enters[layer] += comes
            if goes > 0:
                leaves[layer] += goes
            for e in range(network.starts[i], network.starts[i + 1]):
                j = network.neighbours[e]
                current = network.conductances[e] * (potential[i] - potential[j])  # out of i
                if j >= n:
                    axis, way = 0, (-1 if j < n + below else 1)
                else:
                    their_plane, their_rest = divmod(voxels[j], rows * columns)
                    their_row, their_column = divmod(their_rest, columns)
                    if their_plane != plane:
                        axis, way = 0, their_plane - plane
                    elif their_row != row:
                        axis, way = 1, their_row - row
                    else:
                        axis, way = 2, their_column - column
                    if axis > 0 and abs(way) > 1:
                        way = -1 if way > 0 else 1  # round the periodic side
                if axis == flux and way > 0:
                    leaves[layer] += current
                if axis == 0 or countable[axis - 1]:
                    here[axis] += way * current / 2
            for axis in range(3):
                total[part, axis] += here[axis]
                if len(nodes):
                    nodes[i, axis] = here[axis]
