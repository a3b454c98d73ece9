"""A run kept on disk, so that it can go on after it was stopped, on any number of ranks.

The file holds nodal values beside the coordinates of their nodes, and interface values beside the
coordinates of their point and of the middle of its facet, which tells coincident points of
neighbouring facets apart. So nothing in it depends on how the mesh was shared out.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.cell.electrochemical_problem import VOLTAGE
from femssb.cell.model import Model, State
from femssb.cell.regions import ELECTRONIC, IONIC, MATRIX, PARTICLE
from femssb.cell.surfaces import INTERFACE
from femssb.environment.files import replacing
from femssb.environment.ranks import collect, on_first_rank
from femssb.errors import InputError
from femssb.fem.constraints import Unknowns

Array = NDArray[np.float64]

FILE = "checkpoint.npz"
_FORMAT = "femssb checkpoint 1"
_SAME_PLACE = 1e-9  # distance of a node from where it was, over the size of the cell


@dataclass(frozen=True, kw_only=True)
class Past:
    """An accepted state and the charge passed until then."""

    state: State
    charge: float  # [C]


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is in its protocol."""

    index: int  # of the protocol step
    start: Past  # where that step began
    past: tuple[Past, ...]  # up to three accepted states of that step, newest first
    time_step: float  # to try next [s]
    ceiling: float  # of time steps since Newton last failed, infinite before [s]
    first_row: int  # row of the series at which the step began
    halfway: bool  # whether the middle of the step is behind


def write(path: Path, model: Model, position: Position, log: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; collective.

    Args:
        path: The file.
        model: The discretised half-cell.
        position: Where the run is.
        log: What the run has recorded, ready for JSON.

    Raises:
        InputError: If the file cannot be written; on every rank.
    """
    comm = model.comm
    arrays = {f"places of {name}": collect(comm, places) for name, places in _places(model).items()}
    scalars = []
    for number, item in enumerate((position.start, *position.past)):
        values, single = _split(model, item)
        arrays |= {f"{name} {number}": collect(comm, value) for name, value in values.items()}
        scalars.append(single)
    document = {
        "format": _FORMAT,
        "case": _essentials(model),
        "index": position.index,
        "time_step": position.time_step,
        "ceiling": position.ceiling,
        "first_row": position.first_row,
        "halfway": position.halfway,
        "log": log,
    }

    def save() -> None:
        text = np.array(json.dumps(document, default=float))
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file, allow_pickle=False, document=text, scalars=np.array(scalars), **arrays
                )
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error

    on_first_rank(comm, save)


def read(path: Path, model: Model) -> tuple[Position, dict[str, Any]]:
    """Read a checkpoint, written on any number of ranks; collective.

    Args:
        path: The file.
        model: The same half-cell; only how it is solved may differ.

    Returns:
        Where the run was, and what it had recorded.

    Raises:
        InputError: If the file is missing, damaged or of another case; on every rank.
    """
    comm = model.comm
    document, scalars, arrays = comm.bcast(on_first_rank(comm, lambda: _load(path)), root=0)
    mine = json.loads(json.dumps(_essentials(model), default=float))
    other = sorted(name for name in mine if mine[name] != document["case"].get(name))
    if other:
        raise InputError(f"{path} is of another case: {', '.join(other)} differ")
    rows = {
        name: _rows(path, comm, arrays[f"places of {name}"], places)
        for name, places in _places(model).items()
    }
    items = [
        _join(model, {name: arrays[f"{name} {number}"][rows[at]] for name, at in _AT.items()}, one)
        for number, one in enumerate(scalars)
    ]
    position = Position(
        index=document["index"],
        start=items[0],
        past=tuple(items[1:]),
        time_step=document["time_step"],
        ceiling=document["ceiling"],
        first_row=document["first_row"],
        halfway=document["halfway"],
    )
    return position, document["log"]


# Each field of a state -> the places that it is given at.
_AT = {
    "lithium": "lithium",
    "hydrostatic": "lithium",
    "ionic": "ionic",
    "electronic": "electronic",
    "particle": "particle",
    "matrix": "matrix",
    "jump": "interface",
    "damage": "interface",
    "gap": "interface",
}


def _essentials(model: Model) -> dict[str, Any]:
    """Return what must be the same for a run to go on: all inputs but how they are solved.

    The mesh is known by its nodes, wherever it came from.
    """
    inputs = model.inputs()
    return {name: inputs[name] for name in inputs if name not in ("linear_solver", "mesh")}


def _places(model: Model) -> dict[str, Array]:
    """Return where the values that this rank owns are given."""
    spaces = {
        "lithium": model.bodies.scalars,
        "ionic": model.electrochemistry.spaces[IONIC],
        "electronic": model.electrochemistry.spaces[ELECTRONIC],
        "particle": model.mechanics.spaces[PARTICLE],
        "matrix": model.mechanics.spaces[MATRIX],
    }
    points = model.bodies.points[INTERFACE]
    middles = np.repeat(points.vertices.mean(axis=1), points.per_facet, axis=0)
    return {
        **{
            name: space.tabulate_dof_coordinates()[: _owned(space)]
            for name, space in spaces.items()
        },
        "interface": np.hstack([points.points, middles]),
    }


def _owned(space: fem.FunctionSpace) -> int:
    return int(space.dofmap.index_map.size_local)


def _split(model: Model, item: Past) -> tuple[dict[str, Array], list[float]]:
    """Return the owned values of each field, and the numbers that belong to no place."""
    state = item.state
    lithium, ionic, electronic = model.electrochemistry.unknowns.expand(
        model.electrochemical(state)
    )
    particle, matrix = model.mechanics.unknowns.expand(model.mechanical(state))
    nodes = _owned(model.bodies.scalars)
    values = {
        "lithium": lithium[:nodes],
        "hydrostatic": state.hydrostatic[:nodes],
        "ionic": ionic[: _owned(model.electrochemistry.spaces[IONIC])],
        "electronic": electronic[: _owned(model.electrochemistry.spaces[ELECTRONIC])],
        "particle": particle.reshape(-1, 3)[: _owned(model.mechanics.spaces[PARTICLE])],
        "matrix": matrix.reshape(-1, 3)[: _owned(model.mechanics.spaces[MATRIX])],
        # In the axes of the box: the tangents depend on how the rank numbers a facet.
        "jump": np.einsum("nji,nj->ni", model.bodies.points[INTERFACE].frame, state.jump),
        "damage": state.damage,
        "gap": state.gap,
    }
    return values, [
        state.time,
        state.voltage,
        state.current,
        state.cohesive_dissipation,
        state.viscous_dissipation,
        item.charge,
    ]


def _join(model: Model, values: Mapping[str, Array], single: Array) -> Past:
    """Undo `_split`; collective."""
    time, voltage, current, cohesive, viscous, charge = (float(number) for number in single)
    x = model.electrochemistry.unknowns.vector()
    for index, name in enumerate(("lithium", "ionic", "electronic")):
        _put(model.electrochemistry.unknowns, x, index, values[name])
    model.electrochemistry.unknowns.write_single(x, VOLTAGE, voltage)
    moved = model.mechanics.unknowns.vector()
    for index, name in enumerate(("particle", "matrix")):
        _put(model.mechanics.unknowns, moved, index, values[name].ravel())
    state = State(
        time=time,
        electrochemical=x.array_r.copy(),
        mechanical=moved.array_r.copy(),
        jump=np.einsum("nij,nj->ni", model.bodies.points[INTERFACE].frame, values["jump"]),
        damage=values["damage"],
        gap=values["gap"],
        hydrostatic=model.bodies.spread(values["hydrostatic"]),
        voltage=voltage,
        current=current,
        cohesive_dissipation=cohesive,
        viscous_dissipation=viscous,
    )
    return Past(state=state, charge=charge)


def _put(unknowns: Unknowns, vector: PETSc.Vec, index: int, values: Array) -> None:
    """Give the unknowns of a field, on this rank, the values of its owned nodes."""
    numbers = unknowns.reduced[index][: values.size] - unknowns.offset
    here = (numbers >= 0) & (numbers < unknowns.local_size)
    vector.array[numbers[here]] = values[here]


def _rows(path: Path, comm: MPI.Comm, known: Array, wanted: Array) -> NDArray[np.int64]:
    """Return where in the file the values of places are; collective."""
    distance, rows = cKDTree(known).query(wanted)
    apart = np.any(distance > _SAME_PLACE * np.ptp(known, axis=0).max())
    if comm.allreduce(len(wanted)) != len(known) or comm.allreduce(int(apart)):
        raise InputError(f"{path} is of another case: its mesh differs")
    return np.asarray(rows, dtype=np.int64)


def _load(path: Path) -> tuple[dict[str, Any], Array, dict[str, Array]]:
    """Read a checkpoint as it is."""
    if not path.exists():
        raise InputError(f"there is no {path} to go on from: run without resume first")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            document = json.loads(str(file["document"]))
            if document["format"] != _FORMAT:
                raise ValueError(f"format {document['format']!r} is not {_FORMAT!r}")
            return document, file["scalars"], {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged or not a checkpoint of femssb: {error}") from error
