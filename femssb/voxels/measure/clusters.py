"""Clusters of touching voxels, and which of them are connected to the plates.

Voxels of the chosen phases are neighbours if they share a face, as for the conduction solver:
edges and corners do not conduct. Periodic sides connect, except across the axis of transport,
where the plates are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from femssb.description import checked
from femssb.errors import InputError
from femssb.voxels.image import AXES, Axis, VoxelImage, check_memory
from femssb.voxels.measure.pieces import pieces

Reach = Literal["lower", "upper", "percolating", "isolated"]
Plate = Literal["lower", "upper"]
Mask = NDArray[np.bool_]


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clusters:
    """Clusters of one phase, or of several that conduct together, the largest first.

    Attributes:
        image: The image.
        phases: Phases that the clusters are made of.
        axis: Direction of transport; the plates are the sides across it.
        labels: Number of the cluster of each voxel, 1 for the largest, 0 outside, shape
            (nx, ny, nz), read-only.
        voxels: Number of voxels of each cluster and phase, shape (n, len(phases)).
        touches: Whether each cluster touches the lower and the upper plate, shape (n, 2).
    """

    image: VoxelImage
    phases: tuple[str, ...]
    axis: Axis
    labels: NDArray[np.int32] | NDArray[np.int64]
    voxels: NDArray[np.int64]
    touches: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.voxels)

    @property
    def percolates(self) -> bool:
        """Whether a cluster connects both plates."""
        return bool(self.touches.all(axis=1).any())

    @checked
    def select(self, reach: Reach) -> Mask:
        """Return a mask of the clusters that reach a plate, shape (n,).

        Args:
            reach: "lower" or "upper" for those that touch this plate, "percolating" for those that
                touch both, "isolated" for those that touch none.

        Raises:
            InputError: If `reach` is none of these.
        """
        lower, upper = self.touches.T
        choices = {
            "lower": lower,
            "upper": upper,
            "percolating": lower & upper,
            "isolated": ~(lower | upper),
        }
        return choices[reach]

    @checked
    def mask(self, reach: Reach) -> Mask:
        """Return a mask of the voxels of the clusters that reach a plate, shape (nx, ny, nz).

        Raises:
            InputError: If `reach` is not known, see `select`.
        """
        wanted = np.concatenate([[False], self.select(reach)])
        mask = np.empty(self.labels.shape, dtype=np.bool_)
        for part in pieces(mask.shape):
            mask[part] = wanted[self.labels[part]]
        return mask

    @checked
    def utilisation(self, reach: Reach) -> dict[str, float]:
        """Return the share of each phase that is in the clusters that reach a plate [-].

        The share of a phase without voxels is 0.

        Raises:
            InputError: If `reach` is not known, see `select`.
        """
        total = self.voxels.sum(axis=0)
        used = self.voxels[self.select(reach)].sum(axis=0)
        shares = np.divide(used, total, out=np.zeros(len(total)), where=total > 0)
        return {name: float(share) for name, share in zip(self.phases, shares, strict=True)}


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Networks:
    """The electronic and the ionic network of an electrode.

    A conductor of electrons is in use where it is connected to the current collector, one of ions
    where it is connected to the separator: a dead end counts, an island does not.

    Attributes:
        electronic: Clusters of the phases that conduct electrons.
        ionic: Clusters of the phases that conduct ions.
        collector: Plate at which the current collector is; the separator is at the other one.
    """

    electronic: Clusters
    ionic: Clusters
    collector: Plate

    @property
    def separator(self) -> Plate:
        """Plate at which the separator is."""
        return "upper" if self.collector == "lower" else "lower"

    def utilisation(self) -> dict[str, float]:
        """Return the share of every conducting phase that is in its network [-].

        Source: utilisation level of Bielefeld 2020, doi:10.1021/acsami.9b22788, section 2.
        """
        electronic = self.electronic.utilisation(self.collector)
        return electronic | self.ionic.utilisation(self.separator)


@checked
def find_clusters(image: VoxelImage, phases: str | Sequence[str], *, axis: Axis = "z") -> Clusters:
    """Find the clusters of voxels of one or several phases.

    Takes up to 8 bytes per voxel, and 0.05 s per million voxels.

    Args:
        image: The image.
        phases: The phase, or the phases that conduct into one another.
        axis: Direction of transport.

    Raises:
        InputError: If a phase is unknown or given twice, if there is none, or if there is no such
            axis.
    """
    names = (phases,) if isinstance(phases, str) else tuple(phases)
    chosen = [image.label(name) for name in names]
    if not names or len(set(names)) < len(names):
        raise InputError(f"phases = {phases!r} must name at least one phase, and each only once")
    across = AXES.index(axis)
    check_memory("find_clusters", image.shape, bytes_per_voxel=8)
    mask = image.labels == chosen[0]
    for label in chosen[1:]:
        mask |= image.labels == label
    labels, found = ndimage.label(mask)
    cluster = _across_sides(labels, found, image.periodic, across)
    voxels = _count(labels, cluster, image, chosen)
    order = np.argsort(-voxels.sum(axis=1), kind="stable")
    number = np.concatenate([[0], 1 + np.argsort(order)[cluster]]).astype(labels.dtype)
    for part in pieces(labels.shape):
        labels[part] = number[labels[part]]
    touches = np.zeros((len(order), 2), dtype=np.bool_)
    for side, place in enumerate((0, -1)):
        at_plate = np.unique(labels.take(place, axis=across))
        touches[at_plate[at_plate > 0] - 1, side] = True
    labels.flags.writeable = False
    return Clusters(
        image=image, phases=names, axis=axis, labels=labels, voxels=voxels[order], touches=touches
    )


@checked
def find_networks(
    image: VoxelImage,
    *,
    electronic: str | Sequence[str] = "AM",
    ionic: str | Sequence[str] = "SE",
    axis: Axis = "z",
    collector: Plate = "lower",
) -> Networks:
    """Find the electronic and the ionic network of an electrode.

    Args:
        image: The electrode.
        electronic: The phases that conduct electrons into one another, such as ("AM", "CBD").
        ionic: The phases that conduct ions into one another.
        axis: Direction of transport.
        collector: Plate at which the current collector is; the separator is at the other one.

    Raises:
        InputError: If a phase is unknown, or in both networks, or there is no such axis or plate.
    """
    networks = Networks(
        electronic=find_clusters(image, electronic, axis=axis),
        ionic=find_clusters(image, ionic, axis=axis),
        collector=collector,
    )
    both = set(networks.electronic.phases) & set(networks.ionic.phases)
    if both:
        raise InputError(f"phases {sorted(both)!r} are given as electronic and as ionic")
    return networks


def _across_sides(
    labels: NDArray[np.int32], found: int, periodic: tuple[bool, bool, bool], plates: int
) -> NDArray[np.int32]:
    """Return the cluster of every label, from 0, shape (found,): periodic sides are joined."""
    joins = [np.empty((0, 2), dtype=labels.dtype)]
    for side in range(3):
        if periodic[side] and side != plates:
            pairs = np.stack([labels.take(0, axis=side), labels.take(-1, axis=side)], axis=-1)
            joins.append(np.unique(pairs[pairs.all(axis=-1)], axis=0))
    first, second = np.concatenate(joins).T - 1
    graph = sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(found, found))
    return csgraph.connected_components(graph, directed=False)[1]


def _count(
    labels: NDArray[np.int32], cluster: NDArray[np.int32], image: VoxelImage, chosen: list[int]
) -> NDArray[np.int64]:
    """Return the number of voxels of each cluster and chosen phase, shape (n, len(chosen))."""
    phases = len(chosen)
    column = np.zeros(len(image.phase_names), dtype=np.int64)
    column[chosen] = np.arange(phases)
    found = len(cluster)
    counts = np.zeros((found + 1) * phases, dtype=np.int64)  # row 0: outside
    for part in pieces(labels.shape):
        index = labels[part] * np.int64(phases) + column[image.labels[part]]
        counts += np.bincount(index.ravel(), minlength=len(counts))
    table = np.zeros((int(cluster.max(initial=-1)) + 1, phases), dtype=np.int64)
    np.add.at(table, cluster, counts.reshape(found + 1, phases)[1:])
    return table
