"""The mesh of a resolved cell: balls cut at radical planes, and the matrix around them.

All surfaces are triangulated first, without any CAD. Planar facets are convex and share the points
of their edges; each sphere is the hull of points on it and of the arcs in which planes cut it, so
that a particle lies in its own power cell and no two can ever cross. Then Gmsh fills the faces of
the box around the particles and the volumes between all surfaces. Free points of a sphere are moved
outwards until the flat triangles hold the volume of the ball; discs keep their area.

Where spheres of electrolyte are resolved, these are cut and triangulated as particles are; what is
in no sphere stays empty, and its faces are no facets.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.arrays import Array, Indices
from femssb.grains.tessellation import Tessellation, random_orientations, tessellate
from femssb.meshing.box_faces import Box, set_size
from femssb.meshing.curves import fill, merged
from femssb.meshing.cut_balls import (
    Balls,
    Cap,
    Facet,
    Grains,
    caps,
    cut_volumes,
    facets,
    narrowest,
)
from femssb.meshing.cut_spheres import cut_outlines, cut_sphere, sphere_sheets
from femssb.meshing.filling import Surface, tetrahedra
from femssb.meshing.formats import gmsh_session
from femssb.meshing.parts import FACETS, FIRST_GRAIN, REGIONS, Parts, facets_of
from femssb.meshing.pores import Pores, find_pores
from femssb.meshing.resolved_cell import ResolvedCell, balls_of
from femssb.meshing.sheets import (
    FIRST_CELL,
    FIRST_PORE,
    MATRIX,
    SEPARATOR_LAYER,
    Sheet,
    volume_number,
)
from femssb.units import um

FINER = 0.96  # of the size, from one attempt to the next
TURNS = 30  # of the grains of a particle that are tried
ROOM = 2.0  # least distance of edges that do not meet, in units of the smallest feature


def resolved(cell: ResolvedCell, size: float, far: float, attempt: int) -> Parts:
    """Mesh a resolved cell on this rank; sizes in um. Later attempts are a little finer."""
    size *= FINER**attempt
    balls = balls_of(cell)
    planes = caps(balls)
    wanted = cut_volumes(balls, planes)
    count = len(cell.particles)
    for part, volume in (
        (slice(count), cell.volume),
        (slice(count, None), cell.electrolyte_volume),
    ):
        if volume is not None:
            wanted[part] *= volume / um**3 / wanted[part].sum()
    tessellations: list[Tessellation | None] = [
        tessellate(particle, attempt=attempt) if particle.number_of_grains > 1 else None
        for particle in cell.particles
    ]
    tessellations += [None] * len(cell.electrolyte)
    grains = _turned(balls, planes, cell, tessellations, attempt)
    planar = facets(balls, planes, grains)
    outlines, arcs = cut_outlines(balls, planar, size)
    filled = [fill(facet, each, size) for facet, each in zip(planar, outlines, strict=True)]
    spheres = [
        cut_sphere(balls, ball, planes[ball], grains[ball], arcs[ball], size)
        for ball in range(len(balls.radii))
    ]
    first = np.cumsum([0] + [len(each.weights) for each in grains])
    sheets = sphere_sheets(balls, planar, filled, spheres, wanted, first, size)
    sheets += _facets(balls, planar, filled, first)
    near = 1e-6 * float(balls.radii.min())
    sheets += Box(balls, cell.separator / um, size, far, near).faces(sheets)
    points, surfaces = _merged(balls, cell.separator / um, sheets, near)
    pores = Pores((), 0.0)
    if cell.electrolyte:
        surfaces = _without_voids(surfaces, FIRST_CELL + 9 * int(first[count]))
    else:
        surfaces, pores = find_pores(points, surfaces, first)
    with gmsh_session() as gmsh:
        grade = partial(set_size, gmsh, balls.height, size, far)
        points, cells, tags = tetrahedra(gmsh, points, surfaces, grade)
    for number, owner in enumerate(pores.owners):
        tags[tags == FIRST_PORE + number] = owner
    parts = _parts(cell, points, cells, tags, surfaces, tessellations)
    if not pores.owners:
        return parts
    return replace(
        parts,
        warnings=(
            f"particles close {len(pores.owners)} pores of {pores.volume:.3g} um3 in all, which no "
            "ions reach: one of the particles around fills each",
        ),
    )


def _turned(
    balls: Balls,
    planes: list[list[Cap]],
    cell: ResolvedCell,
    tessellations: list[Tessellation | None],
    attempt: int,
) -> list[Grains]:
    """Turn the grains of each particle until no two of their edges come close.

    Grains that were given stay as they are.
    """
    found = [Grains(np.zeros((1, 3)), np.zeros(1))] * len(tessellations)
    for ball, (particle, made) in enumerate(zip(cell.particles, tessellations, strict=False)):
        if made is None:
            continue
        turns = [Rotation.identity()]
        if isinstance(particle.grains, int):
            turns += list(Rotation.random(TURNS, random_state=attempt))
        best, apart = found[ball], -1.0
        for turn in turns:
            found[ball] = Grains(turn.apply(made.points / um), made.weights / um**2)
            if (closest := narrowest(balls, planes, found, ball)) > apart:
                best, apart = found[ball], closest
            if apart > ROOM * cell.smallest / um:
                break
        found[ball] = best
    return found


def _facets(
    balls: Balls, planar: list[Facet], filled: list[tuple[Array, Indices]], first: Indices
) -> list[Sheet]:
    """Return the planar facets at their places in the box, those on its sides twice."""
    sheets = []
    for facet, (points, triangles) in zip(planar, filled, strict=True):
        lower = volume_number(facet.minus, first)
        placed = points - np.append(np.array(facet.minus[1:3]) * balls.lengths, 0.0)
        if facet.plus is None:
            layer = (SEPARATOR_LAYER,) if facet.name == "particle_separator" else ()
            sheets.append(Sheet(placed, triangles, (lower, *layer), facet.name))
            continue
        upper = volume_number(facet.plus, first)
        if facet.name not in ("x", "y"):
            sheets.append(Sheet(placed, triangles, (lower, upper), facet.name))
            continue
        axis = "xy".index(facet.name)
        low, high = f"{facet.name}_min", f"{facet.name}_max"
        placed[:, axis] = balls.lower[axis] + balls.lengths[axis]
        sheets.append(Sheet(placed, triangles, (lower,), high))
        across = placed.copy()
        across[:, axis] = balls.lower[axis]
        sheets.append(Sheet(across, triangles[:, ::-1], (upper,), low))
    return sheets


def _merged(
    balls: Balls, separator: float, sheets: list[Sheet], near: float
) -> tuple[Array, list[Surface]]:
    """Merge the points of all sheets."""
    counts = [len(sheet.points) for sheet in sheets]
    used = [np.unique(sheet.triangles) for sheet in sheets]
    starts = np.cumsum([0, *map(len, used)])[:-1]
    points, number = merged(
        np.vstack([sheet.points[rows] for sheet, rows in zip(sheets, used, strict=True)]), near
    )
    for axis in (0, 1):  # exactly on the sides, and alike on both
        low = balls.lower[axis]
        for level in (low, low + balls.lengths[axis]):
            points[np.abs(points[:, axis] - level) < near, axis] = level
    for level in (0.0, balls.height, balls.height + separator):
        points[np.abs(points[:, 2] - level) < near, 2] = level
    surfaces = []
    for sheet, rows, start, count in zip(sheets, used, starts.tolist(), counts, strict=True):
        table = np.full(count, -1)
        table[rows] = number[start : start + len(rows)]
        surfaces.append(Surface(table[sheet.triangles], sheet.volumes, sheet.name))
    return points, surfaces


def _without_voids(surfaces: list[Surface], first: int) -> list[Surface]:
    """Leave out what is between spheres, and name the surfaces of electrolyte.

    Volumes of electrolyte count from `first`; those of particles are below.
    """
    of_electrolyte = {"particle_collector": "collector", "particle_separator": None}
    found = []
    for triangles, volumes, name in surfaces:
        sides = tuple(volume for volume in volumes if volume != MATRIX)
        if name == "interface":  # of a sphere and the void
            name = None
        elif name == "contact":
            name = {0: "contact", 1: "interface", 2: None}[sum(side >= first for side in sides)]
        elif name in of_electrolyte and sides[0] >= first:
            name = of_electrolyte[name]
        if sides:
            found.append(Surface(triangles, sides, name))
    return found


def _parts(
    cell: ResolvedCell,
    points: Array,
    cells: Indices,
    tags: Indices,
    surfaces: list[Surface],
    tessellations: list[Tessellation | None],
) -> Parts:
    """Name the regions, grains and facets of a mesh."""
    count = [1 if each is None else len(each.points) for each in tessellations]
    del count[len(cell.particles) :]  # electrolyte
    grain = (tags - FIRST_CELL) // 9
    owners = np.where(
        (grain >= 0) & (grain < sum(count)),
        FIRST_GRAIN + grain,
        np.where(tags == SEPARATOR_LAYER, SEPARATOR_LAYER, MATRIX),
    )
    named = [(s.triangles, FACETS[s.name]) for s in surfaces if s.name]
    facet_tags = np.concatenate([np.full(len(t), tag, dtype=np.int32) for t, tag in named])
    return Parts(
        points=points * um,
        cells=cells,
        cell_tags=np.asarray(owners, dtype=np.int32),
        triangles=np.sort(np.vstack([triangles for triangles, _ in named]), axis=1),
        facet_tags=facet_tags,
        regions=dict(REGIONS),
        facets=facets_of(facet_tags),
        grain_particle=np.repeat(np.arange(len(count), dtype=np.int32), count),
        orientations=np.vstack(
            [
                random_orientations(1, particle.seed) if each is None else each.orientations
                for particle, each in zip(cell.particles, tessellations, strict=False)
            ]
        ),
        tessellations=tuple(each.statistics for each in tessellations if each is not None),
    )
