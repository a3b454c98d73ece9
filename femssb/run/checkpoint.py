"""A run kept on disk, so that it can resume after it was stopped, on any number of ranks.

A checkpoint is one NumPy archive, ``checkpoint.npz``, without pickled objects. It keeps the state
at which the protocol step began, number 0, and up to three accepted states of that step, numbers 1
to 3, newest first. Nodal values stand next to the coordinates of their nodes, interface values next
to those of their point and of the middle of its facet, which distinguishes coincident points of
neighbouring facets: nothing depends on how the mesh was shared out. Its arrays:

=============================  =========  ======================================================
``document``                   ()         JSON text, see below
``time``                       (states,)  time of each state [s]
``voltage``                    (states,)  cell voltage [V]
``current``                    (states,)  charging current [A]
``cohesive_dissipation``       (states,)  energy dissipated by debonding until then [J]
``viscous_dissipation``        (states,)  energy dissipated by its regularisation until then [J]
``charge``                     (states,)  charge passed until then, positive on charge [C]
``places of lithium``          (n, 3)     nodes of the particles [m]
``places of ionic``            (n, 3)     nodes of the ionic potential [m]
``places of electronic``       (n, 3)     nodes of the electronic potential [m]
``places of particle``         (n, 3)     nodes of the displacement of the particles [m]
``places of matrix``           (n, 3)     nodes of the displacement around them [m]
``places of interface``        (n, 6)     interface points, then the middles of their facets [m]
``lithium 0``, ...             (n,)       stoichiometry c / c_max at the places of lithium
``hydrostatic 0``, ...         (n,)       hydrostatic stress there [Pa]
``ionic 0``, ...               (n,)       ionic potential [V]
``electronic 0``, ...          (n,)       electronic potential minus the cell voltage [V]
``particle 0``, ...            (n, 3)     displacement of the particles [m]
``matrix 0``, ...              (n, 3)     displacement around them [m]
``jump 0``, ...                (n, 3)     displacement jump at the interface, axes of the box [m]
``damage 0``, ...              (n,)       damage of the interface: loss of stiffness
``spent 0``, ...               (n,)       share of its fracture energy that is spent
``gap 0``, ...                 (n,)       gap that the interface resistance was taken at [m]
=============================  =========  ======================================================

Keys of the document: ``format``; ``case``, the inputs of the model that must be the same to resume;
``index``, ``row``, ``first_row``, ``time_step``, ``ceiling`` and ``halfway``, as in `Position`; and
``log``: ``protocol`` (inputs), ``rows`` (of the time series, column -> value), ``records`` (of the
protocol steps that are over, as `StepRecord`), ``rejected`` (time steps) and ``wall_time`` [s].
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.arrays import Array
from femssb.cell.electrochemical_problem import VOLTAGE
from femssb.cell.model import Model, State
from femssb.cell.regions import ELECTRONIC, IONIC, MATRIX, PARTICLE
from femssb.cell.surfaces import INTERFACE
from femssb.environment.files import replacing
from femssb.environment.ranks import collect, from_first_rank, on_first_rank
from femssb.errors import InputError
from femssb.fem.constraints import Unknowns
from femssb.run.stepper import Past, Position

FILE = "checkpoint.npz"
_FORMAT = "femssb checkpoint 3"
_SAME_PLACE = 1e-9  # distance of a node from where it was, over the size of the cell
_POSITION = ("index", "row", "first_row", "time_step", "ceiling", "halfway")
_NUMBERS = ("time", "voltage", "current", "cohesive_dissipation", "viscous_dissipation")
_SCALARS, _VECTORS = ("lithium", "ionic", "electronic"), ("particle", "matrix")
# Each field of a state -> the places that it is given at.
_PLACES = {name: name for name in (*_SCALARS, *_VECTORS)} | {"hydrostatic": "lithium"}
_PLACES |= dict.fromkeys(("jump", "damage", "spent", "gap"), "interface")


def write(path: Path, model: Model, position: Position, log: Mapping[str, Any]) -> None:
    """Write a checkpoint with the log of the run, whole or not at all; collective.

    Raises:
        InputError: If the file cannot be written; on every rank.
    """
    comm = model.comm
    kept = (position.start, *position.past)
    arrays = {f"places of {name}": collect(comm, places) for name, places in _places(model).items()}
    for number, item in enumerate(kept):
        for name, values in _split(model, item.state).items():
            arrays[f"{name} {number}"] = collect(comm, values)
    for name in _NUMBERS:
        arrays[name] = np.array([getattr(item.state, name) for item in kept])
    arrays["charge"] = np.array([item.charge for item in kept])
    document = {"format": _FORMAT, "case": _essentials(model), "log": log}
    document |= {name: getattr(position, name) for name in _POSITION}

    def save() -> None:
        text = np.array(json.dumps(document, default=float))
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, document=text, **arrays)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error

    on_first_rank(comm, save)


def read(path: Path, model: Model) -> tuple[Position, dict[str, Any]]:
    """Return where the run of a checkpoint was, on any number of ranks, and its log; collective.

    Only how the model is solved may differ from then.

    Raises:
        InputError: If the file is missing, damaged or of another case; on every rank.
    """
    comm = model.comm
    document, arrays = from_first_rank(comm, lambda: _load(path))
    mine = json.loads(json.dumps(_essentials(model), default=float))
    other = sorted(name for name in mine if mine[name] != document["case"].get(name))
    if other:
        raise InputError(f"{path} is of another case: {', '.join(other)} differ")
    rows = {
        name: _rows(path, comm, arrays[f"places of {name}"], places)
        for name, places in _places(model).items()
    }
    start, *past = (
        Past(
            state=_join(
                model,
                {name: arrays[f"{name} {number}"][rows[at]] for name, at in _PLACES.items()},
                {name: float(arrays[name][number]) for name in _NUMBERS},
            ),
            charge=float(charge),
        )
        for number, charge in enumerate(arrays["charge"])
    )
    where = {name: document[name] for name in _POSITION}
    return Position(start=start, past=tuple(past), **where), document["log"]


def _essentials(model: Model) -> dict[str, Any]:
    """Return the inputs that must be the same to resume; of the mesh its nodes are compared."""
    return {k: value for k, value in model.inputs().items() if k not in ("linear_solver", "mesh")}


def _spaces(model: Model) -> dict[str, tuple[fem.FunctionSpace, int]]:
    """Return the space of each field, and how many of its nodes this rank owns."""
    spaces = {
        "lithium": model.bodies.scalars,
        "ionic": model.electrochemistry.spaces[IONIC],
        "electronic": model.electrochemistry.spaces[ELECTRONIC],
        "particle": model.mechanics.spaces[PARTICLE],
        "matrix": model.mechanics.spaces[MATRIX],
    }
    return {name: (space, space.dofmap.index_map.size_local) for name, space in spaces.items()}


def _places(model: Model) -> dict[str, Array]:
    """Return the places of the values that this rank owns."""
    points = model.bodies.points[INTERFACE]
    middles = np.repeat(points.vertices.mean(axis=1), points.per_facet, axis=0)
    places = {
        name: space.tabulate_dof_coordinates()[:owned]
        for name, (space, owned) in _spaces(model).items()
    }
    return places | {"interface": np.hstack([points.points, middles])}


def _split(model: Model, state: State) -> dict[str, Array]:
    """Return the owned values of each field."""
    scalars = model.electrochemistry.unknowns.expand(model.electrochemical(state))
    vectors = model.mechanics.unknowns.expand(model.mechanical(state))
    fields = dict(zip(_SCALARS, scalars, strict=True))
    fields |= {name: x.reshape(-1, 3) for name, x in zip(_VECTORS, vectors, strict=True)}
    owned = {name: fields[name][:n] for name, (_, n) in _spaces(model).items()}
    return owned | {
        "hydrostatic": state.hydrostatic[: len(owned["lithium"])],
        # In the axes of the box: the tangents depend on how the rank numbers a facet.
        "jump": np.einsum("nji,nj->ni", model.bodies.points[INTERFACE].frame, state.jump),
        "damage": state.damage,
        "spent": state.spent,
        "gap": state.gap,
    }


def _join(model: Model, values: Mapping[str, Array], numbers: Mapping[str, float]) -> State:
    """Return the state with such owned values and numbers; collective."""
    x = model.electrochemistry.unknowns.vector()
    for index, name in enumerate(_SCALARS):
        _put(model.electrochemistry.unknowns, x, index, values[name])
    model.electrochemistry.unknowns.write_single(x, VOLTAGE, numbers["voltage"])
    moved = model.mechanics.unknowns.vector()
    for index, name in enumerate(_VECTORS):
        _put(model.mechanics.unknowns, moved, index, values[name].ravel())
    return State(
        electrochemical=x.array_r.copy(),
        mechanical=moved.array_r.copy(),
        jump=np.einsum("nij,nj->ni", model.bodies.points[INTERFACE].frame, values["jump"]),
        damage=values["damage"],
        spent=values["spent"],
        gap=values["gap"],
        hydrostatic=model.bodies.spread(values["hydrostatic"]),
        **numbers,
    )


def _put(unknowns: Unknowns, vector: PETSc.Vec, index: int, values: Array) -> None:
    """Give the unknowns of a field, on this rank, the values of its owned nodes."""
    numbers = unknowns.reduced[index][: values.size] - unknowns.offset
    here = (numbers >= 0) & (numbers < unknowns.local_size)
    vector.array[numbers[here]] = values[here]


def _rows(path: Path, comm: MPI.Comm, known: Array, wanted: Array) -> NDArray[np.int64]:
    """Return the rows of the file that hold the values of places; collective."""
    distance, rows = cKDTree(known).query(wanted)
    apart = np.any(distance > _SAME_PLACE * np.ptp(known, axis=0).max())
    if comm.allreduce(len(wanted)) != len(known) or comm.allreduce(int(apart)):
        raise InputError(f"{path} is of another case: its mesh differs")
    return np.asarray(rows, dtype=np.int64)


def _load(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read the document and the arrays of a checkpoint."""
    if not path.exists():
        raise InputError(f"there is no {path} to resume from: run without resume first")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            document = json.loads(str(file["document"]))
            if document["format"] != _FORMAT:
                raise ValueError(f"format {document['format']!r} is not {_FORMAT!r}")
            return document, {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged or not a checkpoint of femssb: {error}") from error
