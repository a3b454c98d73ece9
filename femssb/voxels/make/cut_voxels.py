"""Voxels cut by the surfaces of spheres: each keeps a piece of every body that reaches into it.

A body is a sphere of the packing, or the background. Where bodies overlap, the one painted last
owns the space, as in `femssb.voxels.make.voxelisation`. From the exact geometry come the shares of
every face that lie in each body, the areas at which two pieces of a voxel meet, and the distances
from the centre of the voxel to where they meet: all that a current needs to cross surfaces where
they really are (`femssb.voxels.conduct.cut_links`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.voxels.image import check_memory
from femssb.voxels.make.geometry import Geometry
from femssb.voxels.make.meetings import meetings_of
from femssb.voxels.make.necks import narrow_ends, narrow_necks
from femssb.voxels.make.pieces import above_of, pieces_of
from femssb.voxels.make.surfaces import discs_at_ends, entries_of, normals_of
from femssb.voxels.make.voxelisation import MOST_SAMPLES, grid_of, paint_order

Integers = NDArray[np.int32]
Counts = NDArray[np.uint8]
Single = NDArray[np.float32]

BYTES = 120.0  # memory of a voxel, its share of cut ones included


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CutVoxels:
    """A grid of box-shaped voxels that are cut by surfaces; a voxel holds one piece or more.

    Pieces are sorted by voxel, in C order of (i, j, k); the first piece of a voxel is that of the
    body that holds its centre. There are m pieces, and n places where two pieces meet.

    Attributes:
        shape: Number of voxels along x, y and z.
        spacing: Edges of a voxel [m].
        periodic: Whether the sides across x, y and z are periodic.
        phase_names: The background and the phases of the packing, as in its voxel image.
        starts: First piece of every voxel, and m, shape (voxels + 1,).
        body: Body of each piece, 0 for the background, else one more than the sphere's place in the
            order of painting, shape (m,).
        phase: Phase of each piece, index into `phase_names`, shape (m,).
        faces: Points of a piece on the lower and upper face of its voxel across x, y and z, out of
            ``samples**2``, shape (m, 6).
        above: Piece of the same body on the other side of the upper face across x, y and z, round a
            periodic side too; -1 where the face has no point of it or is a closed side, (m, 3).
        entries: Distance from the centre of the voxel, down and up along x, y and z, at which the
            body of a piece begins, over the spacing; `NOWHERE` if not before the next centre, shape
            (m, 6). Zero for the first piece of a voxel.
        normals: Squares of the components of the unit normal of the surface between a piece and the
            first piece of its voxel, shape (m, 3).
        inside: Whether that surface is the piece's own sphere, and not what surrounds it, (m,).
        pairs: The pieces that meet, the first of the voxel before others, shape (n, 2). They are of
            one voxel, or of two beside each other where a narrow neck lies on a face.
        areas: Area at which they meet, shape (n,) [m2].
        depths: Distance of the surface at which they meet from the centre of the voxel, or, if
            neither holds it, from the surface nearer to the centre; 0 if they are of two voxels,
            shape (n,) [m].
        necks: Radius of the circle in which two overlapping spheres meet; minus the mean gap
            between two that do not overlap, though nothing of what separates them was found in the
            voxel; 0 where one is the background, shape (n,) [m].
        discs: Radius of the circle in which each body meets the lower and upper end of the box
            across x, y and z, over the cosine between its surface and that end: infinite where a
            sphere is widest, and for the background; 0 where they do not meet, (bodies, 6) [m].
        ends: Pieces that meet an end of the box in a disc so narrow that points may miss it, and
            the number of that end, from 0 for the lower one across x to 5, shape (k, 2).
        end_areas: Area of that disc in the voxel of the piece, 0 of a sphere whose centre lies
            beyond that end, shape (k,) [m2].
        samples: Points along an edge of a face.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    periodic: tuple[bool, bool, bool]
    phase_names: tuple[str, ...]
    starts: NDArray[np.int64]
    body: Integers
    phase: Counts
    faces: Counts
    above: Integers
    entries: Single
    normals: Single
    inside: NDArray[np.bool_]
    pairs: Integers
    areas: Array
    depths: Array
    necks: Array
    discs: Array
    ends: Integers
    end_areas: Array
    samples: int

    @property
    def voxel(self) -> NDArray[np.int64]:
        """Voxel of each piece, shape (m,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def labels(self) -> Counts:
        """Phase at the centre of every voxel, shape (nx, ny, nz)."""
        return self.phase[self.starts[:-1]].reshape(self.shape)

    def fractions(self) -> dict[str, float]:
        """Return the share of the volume of every phase, from the points on all faces [-]."""
        sums = np.bincount(self.phase, self.faces.sum(axis=1), len(self.phase_names))
        shares = sums / sums.sum()
        return {name: float(share) for name, share in zip(self.phase_names, shares, strict=True)}


@checked
def cut_voxels(
    packing: Packing,
    *,
    spacing: float | Sequence[float],
    priority: Sequence[str] | None = None,
    samples: int = 6,
    background: str = "void",
) -> CutVoxels:
    """Cut the voxels of the box of a packing by the surfaces of its spheres.

    Args:
        packing: Spheres of named phases; they continue across periodic sides.
        spacing: As for `voxelise`: edge of a voxel, or its three edges [m].
        priority: As for `voxelise`.
        samples: Points along an edge of a face, 2 to 6.
        background: Name of the space outside all spheres.

    Raises:
        InputError: As `voxelise` does, or if more than `MOST_BODIES` bodies reach into a voxel.
    """
    shape, step = grid_of(packing, spacing)
    check_number("cut_voxels", "samples", samples, lower=2, upper=MOST_SAMPLES)
    names = (background, *packing.phase_names)
    if len(set(names)) < len(names):
        raise InputError(f"cut_voxels.background = {background!r} is a phase of the packing")
    check_memory("cut_voxels", shape, bytes_per_voxel=BYTES)
    spheres = paint_order(packing, priority)
    starts, body, faces = pieces_of(spheres, shape, step, samples)
    geometry = Geometry(
        np.array(shape),
        np.array(step),
        np.ascontiguousarray((packing.positions - packing.lower)[spheres.order]),
        packing.radii[spheres.order],
        np.asarray(packing.lengths, np.float64),
        np.array(packing.periodic),
    )
    normals, inside = normals_of(starts, body, geometry)
    meetings = meetings_of(starts, body, faces, samples, geometry)
    narrow = narrow_necks(starts, body, faces, geometry)
    pairs, areas, depths, necks = (
        np.concatenate(both) for both in zip(meetings, narrow, strict=True)
    )
    ends, end_areas = narrow_ends(starts, body, faces, geometry)
    phases = np.append(0, packing.phases[spheres.order] + 1).astype(np.uint8)
    return CutVoxels(
        shape=shape,
        spacing=step,
        periodic=packing.periodic,
        phase_names=names,
        starts=starts,
        body=body,
        phase=phases[body],
        faces=faces,
        above=above_of(starts, body, faces, geometry),
        entries=entries_of(starts, body, geometry),
        normals=normals,
        inside=inside,
        pairs=pairs,
        areas=areas,
        depths=depths,
        necks=necks,
        discs=discs_at_ends(geometry),
        ends=ends,
        end_areas=end_areas,
        samples=samples,
    )
