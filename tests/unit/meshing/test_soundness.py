"""Meshes that cannot be right: each of these ran, and gave a voltage, before it was refused.

Worth reading: `test_layers_that_share_no_nodes_are_refused` and `test_what_is_cut_off_is_named`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import dolfinx.mesh
import numpy as np
import pytest

from femssb.cell.model import Model
from femssb.errors import InputError, MeshError
from femssb.inputs.protocol import Charge
from femssb.library import yuan2023
from femssb.meshing import MeshData, from_arrays
from femssb.run.simulation import Simulation
from femssb.units import nm, um

CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
CUBE = np.array(
    [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
)
Mesh = dict[str, Any]


def blocks(names: np.ndarray, *, size: float = um, origin: tuple[float, ...] = (0, 0, 0)) -> Mesh:
    """Return a box of cubes, each of six tetrahedra of one region; "" leaves a hole."""
    counts = np.array(names.shape)
    shape = counts + 1
    points = np.stack(np.unravel_index(np.arange(shape.prod()), shape), axis=1)
    cells, regions = [], []
    for at in np.ndindex(*names.shape):
        if names[at]:
            corners = np.ravel_multi_index((np.array(at) + CORNERS).T, shape)
            cells.append(corners[CUBE])
            regions += 6 * [str(names[at])]
    return {
        "points": (points + np.array(origin)) * size,
        "cells": np.vstack(cells),
        "regions": regions,
    }


def column(*names: str, **arguments: Any) -> Mesh:
    """Return cubes on top of each other."""
    return blocks(np.array(names)[None, None], **arguments)


def together(*meshes: Mesh) -> Mesh:
    """Return meshes side by side that share nothing."""
    starts = np.cumsum([0, *(len(mesh["points"]) for mesh in meshes)])
    return {
        "points": np.vstack([mesh["points"] for mesh in meshes]),
        "cells": np.vstack([m["cells"] + s for m, s in zip(meshes, starts, strict=False)]),
        "regions": [name for mesh in meshes for name in mesh["regions"]],
    }


@pytest.mark.mpi(ranks=2)
def test_layers_that_share_no_nodes_are_refused() -> None:
    """Would catch layers of a CAD that were not fragmented: no ion passes from one to the other."""
    lower = column("particle", "ecbd")
    upper = column("electrolyte", origin=(0, 0, 2))
    assert from_arrays(**column("particle", "ecbd", "electrolyte")).warnings == ()
    with pytest.raises(MeshError, match=r"4 pairs of nodes .*not shared.*'?ecbd and electrolyte"):
        from_arrays(**together(lower, upper))


@pytest.mark.parametrize("shift", [(0.1, 0.1, 2), (0, 0, 1.6)])
def test_layers_that_touch_or_overlap_elsewhere_are_refused(shift: tuple[float, ...]) -> None:
    """Would catch nodes that hang on the face of another region, and volumes that overlap."""
    lower = column("particle", "ecbd")
    upper = column("electrolyte", origin=shift)
    upper["points"][:, :2] = 0.8 * upper["points"][:, :2] + 0.05 * um
    with pytest.raises(MeshError, match=r"faces touch or enter.*(ecbd|electrolyte)"):
        from_arrays(**together(lower, upper))


def test_particle_that_was_not_cut_out_is_refused() -> None:
    """Would catch a particle and an ecbd that fill the same place."""
    matrix = blocks(np.full((3, 3, 3), "ecbd"))
    particle = column("particle", origin=(1.1, 1.2, 1.3))
    with pytest.raises(MeshError, match="faces touch or enter"):
        from_arrays(**together(matrix, particle))
    whole = column("particle", size=3 * um)
    whole["points"] *= 1 - 1e-2
    whole["points"] += 0.015 * um
    with pytest.raises(MeshError, match=r"overlap|touch or enter"):
        from_arrays(**together(matrix, whole))


def test_holes_are_allowed() -> None:
    """Would catch a pore taken for a region that was meshed apart, and cells lost in silence."""
    names = np.full((3, 3, 3), "ecbd", dtype="<U12")
    names[1, 1, 1] = ""
    names[1, 1, 0] = "particle"
    [warning] = from_arrays(**blocks(names)).warnings
    assert "holes, or is no box: 12 of its outer faces" in warning


def test_cells_that_overlap_are_refused() -> None:
    """Would catch cells given twice, three cells at a face, and cells folded over."""
    mesh = column("particle", "ecbd")
    twice = {**mesh, "cells": np.vstack([mesh["cells"], mesh["cells"][:1, ::-1]])}
    with pytest.raises(MeshError, match=r"1 tetrahedra are given more than once.*ecbd"):
        from_arrays(**{**twice, "regions": [*mesh["regions"], "ecbd"]})
    tetrahedra = {
        "points": np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.2, 2.0]]) * um,
        "cells": [[0, 1, 2, 3], [0, 1, 2, 4]],
        "regions": ["ecbd"] * 2,
    }
    with pytest.raises(MeshError, match="1 pairs of neighbouring tetrahedra lie on the same side"):
        from_arrays(**tetrahedra)
    three = {**tetrahedra, "points": np.vstack([tetrahedra["points"], [[0, 0, -um]]])}
    three |= {"cells": [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 5]], "regions": ["ecbd"] * 3}
    with pytest.raises(MeshError, match="1 faces belong to more than two tetrahedra"):
        from_arrays(**three)


@pytest.mark.mpi(ranks=2)
def test_regions_that_should_touch_and_do_not_are_refused() -> None:
    """Would catch a particle in a hole, and layers that meet at an edge only."""
    names = np.full((3, 3, 6), "ecbd", dtype="<U12")
    names[:, :, 2:] = ""
    names[1, 1, 3] = "particle"
    names[0, 0, 0] = "particle_2"
    message = (
        r"touches no ecbd: particle_1_grain_01 \(tag 100\), 6 tetrahedra near \(1.5, 1.5, 3.5\)"
    )
    with pytest.raises(MeshError, match=message):
        from_arrays(**blocks(names))
    names = np.array([[["particle", "ecbd", ""]], [["", "", "electrolyte"]]])
    with pytest.raises(MeshError, match="'ecbd' and 'electrolyte' share no face"):
        from_arrays(**blocks(names))


def test_grain_in_pieces_is_doubtful() -> None:
    """Would catch two grains under one name that nobody hears of."""
    names = np.array([[["ecbd", "grain_1", "ecbd", "grain_1", "ecbd"]]])
    assert from_arrays(**blocks(names)).warnings == (
        "'particle_1_grain_01' consists of 2 pieces that share no face",
    )


@pytest.mark.parametrize("size", [1.0, 15e-3, 5 * nm, 1e-3])
def test_slip_of_units_is_refused(size: float) -> None:
    """Would catch a cell of 15 nm because a file was in mm, and points in um given as metres."""
    with pytest.raises(MeshError, match=r"mesh is .* m long, outside \[2e-07, 0.002\] m.*unit"):
        from_arrays(**column("particle", "ecbd", "electrolyte", size=size))


def test_thickness_that_cannot_be_is_refused() -> None:
    """Would catch one coordinate in another unit."""
    mesh = column("particle", "ecbd", "electrolyte", size=10 * um)
    mesh["points"][:, 0] *= 1e-3 / 2
    with pytest.raises(MeshError, match="5e-09 m thick along x; at least 1e-08 m"):
        from_arrays(**mesh)


@pytest.mark.parametrize("size", [0.2 * um, 300 * um])
def test_unusual_size_is_doubtful(size: float) -> None:
    """Would catch a size that may be a slip and passes in silence."""
    [warning] = from_arrays(**column("particle", "ecbd", "electrolyte", size=size)).warnings
    assert "unusual" in warning


BOTTOM = [[0, 6, 9], [0, 3, 9]]


@pytest.mark.parametrize(
    ("facets", "message"),
    [
        ({"collector": []}, "'collector' are an empty list"),
        ({"collector": BOTTOM + BOTTOM[:1]}, "1 triangles of 'collector' are given twice"),
        ({"collector": BOTTOM, "bottom": BOTTOM}, "two names, 'collector' and 'bottom'"),
        ({"colector": BOTTOM}, "unknown name 'colector': is it 'collector'"),
        ({"Anode": BOTTOM}, "unknown name 'Anode': is it 'anode'"),
        ({"xmin": BOTTOM}, "unknown name 'xmin': is it 'x_min'"),
        ({3: BOTTOM}, "name 3, which is no word"),
        ({"collector": [[1, 7, 10], [1, 4, 10]]}, "2 triangles of 'collector' lie inside"),
        ({"collector": [[0, 6]]}, r"facets\['collector'\] must be whole numbers of shape \(k, 3\)"),
        ({"collector": [[0, 6, 9], [0]]}, r"facets\['collector'\]"),
        ({"collector": [[0.5, 6.0, 9.0]]}, "whole numbers"),
        (["collector"], "must map names to triangles"),
    ],
)
def test_bad_facets_are_refused(facets: object, message: str) -> None:
    """Would catch facets that are dropped without a word, or lie where they cannot be."""
    with pytest.raises(MeshError, match=message):
        from_arrays(**column("particle", "ecbd"), facets=facets)  # type: ignore[arg-type]


def test_names_of_no_meaning_are_said() -> None:
    """Would catch a user's side "left" that is thought to be periodic and is not."""
    data = from_arrays(**column("particle", "ecbd"), facets={"bottom": BOTTOM})
    assert data.warnings == ("facets ['bottom'] have names that mean nothing to a model",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": [[0, 0, 0], [0, 0]]}, "points"),
        ({"points": "points"}, "points must be numbers"),
        ({"points": None}, "points must be numbers"),
        ({"cells": np.full((12, 4), 1.5)}, "cells must be whole numbers"),
        ({"cells": np.full((12, 4), 2**63, dtype=np.uint64)}, "corners that do not exist"),
        ({"cells": []}, "region for each"),
        ({"regions": "ecbd"}, "must hold a name for each"),
        ({"regions": None}, "must hold a name for each"),
        ({"regions": [1] * 12}, "unknown regions"),
        ({"regions": ["particle_0"] * 12}, "unknown regions"),
        ({"regions": ["_"] * 12}, "unknown regions"),
        ({"orientations": np.eye(3) * 1j}, "orientations must be numbers"),
        ({"orientations": [[1]]}, "orientations must be numbers of shape"),
    ],
)
def test_wrong_kinds_of_arrays_are_refused(change: Mesh, message: str) -> None:
    """Would catch numbers that are cut to whole ones, or a bare error of NumPy."""
    with pytest.raises(MeshError, match=message):
        from_arrays(**{**column("particle", "ecbd"), **change})


def test_periodic_sides_meet_the_same_bodies() -> None:
    """Would catch a particle that ends at one side and does not go on at the other."""
    names = np.full((3, 1, 3), "ecbd", dtype="<U12")
    names[0, 0, 1] = "particle"
    with pytest.raises(MeshError, match="meet the periodic sides 'x_min' and 'x_max' in different"):
        from_arrays(**blocks(names))
    names[2, 0, 1] = "particle_2"
    assert from_arrays(**blocks(names)).warnings == ()


def test_nearly_flat_cells_are_doubtful() -> None:
    """Would catch slivers that make solvers fail hours later."""
    mesh = column("particle", "ecbd", "electrolyte")
    mesh["points"] *= [100, 100, 0.02]
    assert any("nearly flat" in warning for warning in from_arrays(**mesh).warnings)


BOTTOM_OF_THREE = [[0, 8, 12], [0, 4, 12]]
FLOATING = np.full((3, 3, 4), "ecbd", dtype="<U12")  # a piece of electrolyte touches nothing else
FLOATING[1, 1, 1] = "particle"
FLOATING[:, :, 2:] = [[["electrolyte", "electrolyte"]] + 2 * [["", ""]], *2 * [3 * [["", ""]]]]
FLOATING[2, 2, 3] = "electrolyte"


def ends(mesh: Mesh) -> dict[str, np.ndarray]:
    """Return the faces of cubes at the lowest and at the highest z."""
    faces = np.sort(mesh["cells"][:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]].reshape(-1, 3))
    z = mesh["points"][faces][:, :, 2]
    return {
        "collector": faces[(z == z.min()).all(axis=1)],
        "anode": faces[(z == z.max()).all(axis=1)],
    }


def island(carrier: str) -> MeshData:
    """Return a cell in which a part of the ecbd lacks a path for ions, or for electrons."""
    if carrier == "ions":
        return from_arrays(**column("ecbd", "particle", "ecbd", "electrolyte"))
    names = np.empty((3, 3, 6), dtype="<U12")
    names[:] = ["ecbd", "electrolyte", "ecbd", "ecbd", "ecbd", "electrolyte"]
    names[1, 1, 3] = "particle"
    return from_arrays(**blocks(names))


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("carrier", "place"),
    [
        ("ions", r"ecbd \(tag 1\), 6 tetrahedra near \(0.5, 0.5, 0.5\) um .* 'anode'"),
        ("electrons", r"ecbd \(tag 1\), 156 tetrahedra near \(1.5, 1.5, 3.5\) um .* 'collector'"),
    ],
)
def test_what_is_cut_off_is_named(carrier: str, place: str) -> None:
    """Would catch a potential that nothing determines: an error of a solver, or any voltage."""
    model = Model(island(carrier), yuan2023.materials())
    with pytest.raises(MeshError, match=f"no path for {carrier}: {place}"):
        Simulation(model, [Charge(c_rate=1.0, until_voltage=4.3)])


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (
            lambda: from_arrays(**column("particle", "ecbd", "electrolyte")),
            "2 of 2 facets 'collector' do not end .*particle_1_grain_01",
        ),
        (
            lambda: from_arrays(**blocks(FLOATING), facets=ends(blocks(FLOATING))),
            r"nothing holds a part of the cell: electrolyte \(tag 2\), 6 tetrahedra",
        ),
        (
            lambda: from_arrays(
                **column("ecbd", "particle", "ecbd"), facets={"collector": BOTTOM_OF_THREE}
            ),
            r"no facets \['anode'\]",
        ),
    ],
)
def test_cells_that_no_model_can_be_made_of(mesh: Callable[[], MeshData], message: str) -> None:
    """Would catch electrons that enter a particle, and a part that floats."""
    with pytest.raises(MeshError, match=message):
        Model(mesh(), yuan2023.materials())


@pytest.mark.parametrize("conductivity", [0.0, 1e-12])
def test_ecbd_without_electrons_is_refused(conductivity: float) -> None:
    """Would catch a conductivity of zero: error 76 of PETSc."""
    materials = yuan2023.materials()
    poor = replace(materials.ecbd, electronic_conductivity=conductivity)
    data = from_arrays(**column("ecbd", "particle", "ecbd", "electrolyte"))
    with pytest.raises(InputError, match=r"Materials\.ecbd\.electronic_conductivity = .* \[1e-07"):
        Model(data, replace(materials, ecbd=poor))


def test_meshes_made_by_hand_are_checked_by_the_model() -> None:
    """Would catch a `MeshData` that was not made by our own functions, used as it is."""
    data = from_arrays(**column("ecbd", "particle", "ecbd", "electrolyte"), comm=MPI.COMM_SELF)
    data.mesh.geometry.x[:] *= 1e3
    with pytest.raises(MeshError, match="unit of length"):
        Model(replace(data), yuan2023.materials())


def test_interface_that_is_not_all_there_is_refused() -> None:
    """Would catch a part of the interface that no lithium crosses, in a mesh made by hand."""
    data = from_arrays(**column("ecbd", "particle", "ecbd", "electrolyte"), comm=MPI.COMM_SELF)
    tags = data.facet_tags
    values = tags.values.copy()
    values[np.flatnonzero(values == data.facets["interface"])[0]] = 99
    cut = dolfinx.mesh.meshtags(data.mesh, 2, tags.indices, values)
    with pytest.raises(
        MeshError, match=r"'interface' \(3\) are not those between .* \(4, of which 3"
    ):
        Model(replace(data, facet_tags=cut), yuan2023.materials())
