"""Currents of a solved network: through every plane, sideways, and at every node."""

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.conduct.network import Network, Single


def flow(
    network: Network,
    lower: Single,
    potential: Array,
    *,
    shape: tuple[int, ...],
    periodic: tuple[bool, bool],
    at_nodes: bool,
) -> tuple[Array, Array, Array]:
    """Return the currents of own nodes for 1 V between the plates, over `Links.unit`.

    The potential is that of own nodes and ghosts, 1 at the lower plate and 0 at the upper; `lower`
    is the conductance to the lower plate, shape (n,); the shape of the whole image has the flux
    direction first.

    Returns:
        Upward through the faces below each plane and above the last, shape (planes + 1,); the sum
        over all nodes of what follows, shape (3,); the mean of the currents through the two faces
        of a node across each axis, flux direction first, shape (n, 3), empty unless asked for.
    """
    planes, total = np.zeros(shape[0] + 1), np.zeros(3)
    nodes = np.empty((network.nodes if at_nodes else 0, 3))
    below = int(np.searchsorted(network.ghosts, network.first))
    # Two voxels that meet on both sides of a periodic image: their currents cancel.
    countable = np.array([not (n == 2 and p) for n, p in zip(shape[1:], periodic, strict=True)])
    _flow(network, lower, potential, below, shape[1], shape[2], countable, planes, total, nodes)
    return planes, total, nodes


@njit(cache=True)
def _flow(
    network: Network,
    lower: Single,
    potential: Array,
    below: int,
    rows: int,
    columns: int,
    countable: Array,
    planes: Array,
    total: Array,
    nodes: Array,
) -> None:
    n, voxels = len(network.ground), network.voxels
    here = np.empty(3)
    for i in range(n):
        plane, rest = divmod(voxels[i], rows * columns)
        row, column = divmod(rest, columns)
        enters = lower[i] * (1 - potential[i])
        leaves = (network.ground[i] - lower[i]) * potential[i]
        here[0], here[1], here[2] = (enters + leaves) / 2, 0.0, 0.0
        if lower[i] > 0:
            planes[plane] += enters
        if leaves > 0:
            planes[plane + 1] += leaves
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
            if axis == 0 and way > 0:
                planes[plane + 1] += current
            if axis == 0 or countable[axis - 1]:
                here[axis] += way * current / 2
        for axis in range(3):
            total[axis] += here[axis]
            if len(nodes):
                nodes[i, axis] = here[axis]
