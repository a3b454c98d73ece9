"""A run kept on disk, so that it can resume after it was stopped, on any number of ranks.

A checkpoint is one NumPy archive, ``checkpoint.npz``, without pickled objects, that ends in a line
with its SHA-256; ``checkpoint.previous.npz`` is the one before it, for the case that it is damaged.
It keeps all that enters the equations, so that another case is told from its own; the state at
which the protocol step began, number 0; and up to three accepted states of that step, numbers 1 to
3, newest first. Nodal values stand next to the coordinates of their nodes, interface values next to
those of their point and of the middle of its facet, which distinguishes coincident points of
neighbouring facets: nothing depends on how the mesh was numbered or shared out. Interface values
are those at all cohesive surfaces. Where particles touch, or grains can break apart, several nodes
lie in one place: there the places of nodes have a fourth column, the size of the cell times 1 +
particle, or grain (0: none). Its arrays:

=============================  =========  ======================================================
``document``                   ()         JSON text, see below
``mesh points``                (k, 3)     nodes of the mesh [m]
``mesh cells``                 (m, 4)     corners of its tetrahedra, rows of the points
``mesh cell tags``             (m,)       region or grain of each tetrahedron
``mesh facets``                (f, 3)     corners of the named facets
``mesh facet tags``            (f,)       name of each of them
``particle of grains``         (g,)       particle that each grain belongs to
``orientations``               (g, 3, 3)  active rotation of each grain
``curves``                     (c, 2, s)  samples of the property curves: concentration, value
``time``                       (states,)  time of each state [s]
``voltage``                    (states,)  cell voltage [V]
``current``                    (states,)  charging current [A]
``cohesive_dissipation``       (states,)  energy dissipated by debonding until then [J]
``viscous_dissipation``        (states,)  energy dissipated by its regularisation until then [J]
``crack_dissipation``          (states,)  part of the first that grain boundaries took [J]
``snap_release``               (states,)  energy lost where it snapped until then [J]
``charge``                     (states,)  charge passed until then, positive on charge [C]
``places of lithium``          (n, 3)     nodes of the particles [m]
``places of ionic``            (n, 3)     nodes of the ionic potential [m]
``places of electronic``       (n, 3)     nodes of the electronic potential [m]
``places of particle``         (n, 3)     nodes of the displacement of the particles [m]
``places of matrix``           (n, 3)     nodes of the displacement around them [m]
``places of matrix edges``     (n, 3)     middles of edges, where it has a quadratic part [m]
``places of interface``        (n, 6)     interface points, then the middles of their facets [m]
``lithium 0``, ...             (n,)       stoichiometry c / c_max at the places of lithium
``hydrostatic 0``, ...         (n,)       hydrostatic stress there [Pa]
``pull 0``, ...                (n,)       energy that stress releases there with lithium [J/mol]
``ionic 0``, ...               (n,)       ionic potential [V]
``electronic 0``, ...          (n,)       electronic potential minus the cell voltage [V]
``particle 0``, ...            (n, 3)     displacement of the particles [m]
``matrix 0``, ...              (n, 3)     displacement around them [m]
``matrix edges 0``, ...        (n, 3)     its quadratic part in the middle of each edge [m]
``jump 0``, ...                (n, 3)     displacement jump at the interface, axes of the box [m]
``damage 0``, ...              (n,)       damage of the interface: loss of stiffness
``spent 0``, ...               (n,)       share of its fracture energy that is spent
``gap 0``, ...                 (n,)       gap that the interface resistance was taken at [m]
``layer 0``, ...               (n, 10)    modes of the boundary layer of lithium at the interface
=============================  =========  ======================================================

Keys of the document: ``format``; ``case``, the inputs that must be the same to resume;
``index``, ``row``, ``first_row``, ``time_step``, ``ceiling`` and ``halfway``, as in `Position`; and
``log``: ``rows`` (of the time series, column -> value), ``records`` (of the protocol steps that are
over, as `StepRecord`), ``rejected`` and ``failed`` (time steps), ``wall_time`` [s], and ``over``,
whether the run is.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any
from warnings import warn

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.arrays import Array
from femssb.cell.model import Model, State
from femssb.cell.regions import ELECTRONIC, IONIC, VOLTAGE
from femssb.environment.files import append_seal, newest, read_sealed, writing
from femssb.environment.ranks import collect, from_first_rank
from femssb.errors import InputError
from femssb.fem.constraints import Unknowns
from femssb.inputs.case import describe
from femssb.inputs.curves import Curve
from femssb.inputs.cycle import Cycle
from femssb.inputs.protocol import Step
from femssb.meshing.data import gather
from femssb.results.folder import CHECKPOINT, EARLIER_CHECKPOINT
from femssb.run.stepper import Past, Position

_FORMAT = "femssb checkpoint 7"
_SAMPLES = 1001  # of a curve, by which it is known
_ROUNDING = 1e-9  # relative difference of inputs that another processor may make
_SAME_PLACE = 1e-9  # distance of a node from where it was, over the size of the cell
_POSITION = tuple(one.name for one in fields(Position) if one.name not in ("start", "past"))
_NUMBERS = (
    "time",
    "voltage",
    "current",
    "cohesive_dissipation",
    "viscous_dissipation",
    "crack_dissipation",
    "snap_release",
)
_NAMES = 8  # of what differs, that a message has room for
# What may differ between a run and the one that it starts from.
_FREE = (
    ("start",),
    ("protocol",),
    ("materials", "temperature"),
    ("materials", "kinetics"),
    ("materials", "resistance"),
    ("materials", "anode"),
    ("anode", "pressure"),
    ("collector", "pressure"),
)
_SCALARS = ("lithium", "ionic", "electronic")


@dataclass(frozen=True)
class Case:
    """All that enters the equations of a run, by which its checkpoints are known."""

    inputs: Mapping[str, Any]  # plain data
    arrays: Mapping[str, NDArray[Any]]  # of the mesh, and samples of the curves; on rank 0


def case_of(
    model: Model, protocol: Sequence[Step | Cycle], start: Mapping[str, Any] | None = None
) -> Case:
    """Return what must be the same to resume: all but how the equations are solved; collective.

    The start says which run this one goes on from, if any.
    """
    parts = gather(model.data)
    given = {k: v for k, v in model.inputs().items() if k not in ("linear_solver", "mesh")}
    given |= {"protocol": describe(protocol)} | ({"start": dict(start)} if start else {})
    given |= {"regions": dict(model.data.regions), "facets": dict(model.data.facets)}
    curves = dict(_curves(model.materials, "materials"))
    given |= {"curves": list(curves)}
    inputs = json.loads(json.dumps(given, default=float))
    if parts is None:
        return Case(inputs, {})
    arrays: dict[str, NDArray[Any]] = {
        "mesh points": parts.points,
        "mesh cells": parts.cells,
        "mesh cell tags": parts.cell_tags,
        "mesh facets": parts.triangles,
        "mesh facet tags": parts.facet_tags,
        "particle of grains": parts.grain_particle,
        "orientations": parts.orientations,
        "curves": np.array([_samples(curve) for curve in curves.values()]),
    }
    return Case(inputs, arrays)


def content(
    model: Model, case: Case, position: Position, log: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a checkpoint, with the log of the run, on rank 0; collective."""
    comm = model.comm
    kept = (position.start, *position.past)
    arrays = {f"places of {name}": collect(comm, places) for name, places in _places(model).items()}
    for number, item in enumerate(kept):
        for name, values in _split(model, item.state).items():
            arrays[f"{name} {number}"] = collect(comm, values)
    for name in _NUMBERS:
        arrays[name] = np.array([getattr(item.state, name) for item in kept])
    arrays["charge"] = np.array([item.charge for item in kept])
    document = {"format": _FORMAT, "case": case.inputs, "log": log}
    document |= {name: getattr(position, name) for name in _POSITION}
    text = np.array(json.dumps(document, default=float))
    return {"document": text, **case.arrays, **arrays}


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a checkpoint, with its checksum.

    Raises:
        InputError: If the file cannot be written.
    """
    with writing(path):
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        append_seal(path)


def load(folder: Path) -> tuple[Path, dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the newest checkpoint of a folder that is as it was written, and what it holds.

    Raises:
        InputError: If there is none.
    """
    paths = [newest(folder, name) for name in (CHECKPOINT, EARLIER_CHECKPOINT)]
    present = [path for path in paths if path.exists()]
    if not present:
        raise InputError(f"there is no {paths[0]} to resume from: run without resume first")
    failures: list[str] = []
    for path in present:
        try:
            document, arrays = _load(path)
        except InputError as error:
            failures.append(str(error))
            continue
        if failures:
            warn(f"{failures[0]}; {path}, which is older, takes its place", stacklevel=2)
        return path, document, arrays
    raise InputError("; ".join(failures))


def differences(
    case: Case, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Return the names of what differs in a checkpoint from a case; on rank 0."""
    found = list(_differing(document["case"], case.inputs, ""))
    if not found:  # else the arrays may be of other lengths
        stored = {name: arrays[name] for name in case.arrays}
        found = list(_other_arrays(stored, case.arrays))
        curves = zip(case.inputs["curves"], stored["curves"], case.arrays["curves"], strict=True)
        found += [name for name, one, other in curves if not _same(one, other)]
    return found


def position_of(
    path: Path, model: Model, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Position:
    """Return where the run of a checkpoint was, on any number of ranks; collective.

    Args:
        path: The file, for messages.
        model: The model of the same case.
        document: What the file holds, the same on every rank.
        arrays: Likewise.

    Raises:
        InputError: If its nodes lie elsewhere; on every rank.
    """
    comm = model.comm
    rows = {
        name: _rows(path, comm, arrays[f"places of {name}"], places)
        for name, places in _places(model).items()
    }
    start, *past = (
        Past(
            state=_join(
                model,
                {name: arrays[f"{name} {number}"][rows[at]] for name, at in _fields(model).items()},
                {name: float(arrays[name][number]) for name in _NUMBERS},
            ),
            charge=float(charge),
        )
        for number, charge in enumerate(arrays["charge"])
    )
    where = {name: document[name] for name in _POSITION}
    return Position(start=start, past=tuple(past), **where)


def end_of_run(folder: Path, model: Model) -> tuple[Past, float, dict[str, str]]:
    """Return state and temperature [K] in which a run of the same cell ended, and which it was.

    Time, charge and dissipated energies go on from there. Collective.

    Raises:
        InputError: If there is no such run, it is not over, or more of the cell differs than what
            may change between runs; on every rank.
    """
    own = case_of(model, [])

    def read() -> tuple[Path, dict[str, Any], dict[str, Any], str]:
        path, document, arrays = load(folder)
        stored = document["case"]
        if not document["log"]["over"]:
            raise InputError(f"the run in {folder} is not over: resume it first")
        inputs = _with(own.inputs, stored)
        other = differences(Case(inputs, own.arrays), {**document, "case": stored}, arrays)
        if other:
            raise InputError(
                f"{folder} cannot be the start: {', '.join(other[:_NAMES])} differ; between runs"
                f" only {', '.join('.'.join(names) for names in _FREE[2:])} may"
            )
        return path, document, arrays, hashlib.sha256(path.read_bytes()).hexdigest()

    path, document, arrays, word = from_first_rank(model.comm, read)
    ended = position_of(path, model, document, arrays).past[0]
    temperature = document["log"]["rows"][-1]["Temperature [K]"]
    return ended, temperature, {"folder": str(folder.absolute()), "sha256": word}


def _with(own: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with the values of others where runs that follow each other may differ."""
    found = {key: value for key, value in own.items() if key != "start"}
    for *outer, last in _FREE:
        here, there = found, stored
        for name in outer:
            if isinstance(here.get(name), Mapping):
                here[name] = dict(here[name])
            here, there = here.get(name) or {}, there.get(name) or {}
        if last in there and (last in here or last == "start"):
            here[last] = there[last]
    return found


def _curves(value: Any, name: str) -> Iterator[tuple[str, Curve]]:
    """Yield the curves within a description, by name."""
    if isinstance(value, Curve):
        yield name, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _curves(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _curves(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _curves(item, f"{name}[{number}]")


def _samples(curve: Curve) -> Array:
    """Return concentrations and values of a curve, shape (2, samples)."""
    at = np.linspace(curve.lower, curve.upper, _SAMPLES)
    return np.array([at, curve.value(at)])


def _differing(one: Any, other: Any, name: str) -> Iterator[str]:
    """Yield the names of what differs between plain data, but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        kinds = one.get("class"), other.get("class")
        if kinds[0] != kinds[1]:
            yield f"{name} (was {kinds[0]}, is {kinds[1]})"
        if kinds[0] != kinds[1] or kinds[0] == "Curve":  # of curves, samples are compared
            return
        for key in sorted(one.keys() | other.keys()):
            inner = f"{name}.{key}" if name else key
            if (key in one) != (key in other):
                yield inner
            else:
                yield from _differing(one[key], other[key], inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if one and all(type(item) is float for item in (*one, *other)):
            if not _same(np.array(one), np.array(other)):
                yield name
        else:
            for number, items in enumerate(zip(one, other, strict=True)):
                yield from _differing(*items, f"{name}[{number}]")
    elif {type(one), type(other)} <= {int, float}:
        if not math.isclose(one, other, rel_tol=_ROUNDING):
            yield f"{name} (was {one:.10g}, is {other:.10g})"
    elif one != other:
        plain = all(isinstance(value, str | float | bool | None) for value in (one, other))
        yield f"{name} (was {one}, is {other})" if plain else name


def _same(one: Array, other: Array) -> bool:
    """Return whether arrays differ by no more than rounding, for each row on its own scale."""
    if one.shape != other.shape:
        return False
    scale = np.abs(one).max(axis=-1, keepdims=True, initial=0.0)
    return bool(np.all(np.abs(one - other) <= _ROUNDING * scale))


def _other_arrays(
    stored: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]
) -> Iterator[str]:
    """Yield the names of arrays that differ but for rounding and the numbers of nodes and cells."""
    size = np.ptp(stored["mesh points"], axis=0).max()
    distance, rows = cKDTree(stored["mesh points"]).query(own["mesh points"])
    same = len(rows) == len(stored["mesh points"]) and len(np.unique(rows)) == len(rows)
    if not same or np.any(distance > _SAME_PLACE * size):
        yield "mesh points"
        return
    for name in ("mesh cells", "mesh facets"):
        tags = f"{name[:-1]} tags"
        corners, here = np.sort(stored[name], axis=1), np.sort(rows[own[name]], axis=1)
        order, at = np.lexsort(corners.T), np.lexsort(here.T)
        if not np.array_equal(corners[order], here[at]):
            yield name
        elif not np.array_equal(stored[tags][order], own[tags][at]):
            yield tags
    if not np.array_equal(stored["particle of grains"], own["particle of grains"]):
        yield "particle of grains"
    if not _same(stored["orientations"], own["orientations"]):
        yield "orientations"


def _spaces(model: Model) -> dict[str, tuple[fem.FunctionSpace, int]]:
    """Return the space of each field, and how many of its nodes this rank owns."""
    spaces = {
        "lithium": model.bodies.scalars,
        "ionic": model.electrochemistry.spaces[IONIC],
        "electronic": model.electrochemistry.spaces[ELECTRONIC],
    } | model.mechanics.spaces
    return {name: (space, space.dofmap.index_map.size_local) for name, space in spaces.items()}


def _fields(model: Model) -> dict[str, str]:
    """Return each field of a state and what it is given at the places of."""
    fields = {name: name for name in _spaces(model)} | dict.fromkeys(
        ("hydrostatic", "pull"), "lithium"
    )
    return fields | dict.fromkeys(("jump", "damage", "spent", "gap", "layer"), "interface")


def _places(model: Model) -> dict[str, Array]:
    """Return the places of the values that this rank owns."""
    points = [model.bodies.points[name] for name in model.bodies.cohesive]
    middles = [np.repeat(p.vertices.mean(axis=1), p.per_facet, axis=0) for p in points]
    fields = dict(zip(_SCALARS, model.electrochemistry.unknowns.fields, strict=True))
    fields |= dict(zip(model.mechanics.spaces, model.mechanics.unknowns.fields, strict=True))
    size = float(np.max(model.bodies.period[1] - model.bodies.period[0]))
    places = {}
    for name, (space, owned) in _spaces(model).items():
        places[name] = space.tabulate_dof_coordinates()[:owned]
        if (piece := fields[name].piece) is not None:
            places[name] = np.column_stack([places[name], size * piece[:owned]])
    at_points = [np.hstack([p.points, middle]) for p, middle in zip(points, middles, strict=True)]
    return places | {"interface": np.concatenate(at_points)}


def _frame(model: Model) -> Array:
    """Return the local frame at the cohesive points, (n, 3, 3)."""
    return np.concatenate([model.bodies.points[name].frame for name in model.bodies.cohesive])


def _split(model: Model, state: State) -> dict[str, Array]:
    """Return the owned values of each field."""
    scalars = model.electrochemistry.unknowns.expand(model.electrochemical(state))
    vectors = model.mechanics.unknowns.expand(model.mechanical(state))
    fields = dict(zip(_SCALARS, scalars, strict=True))
    fields |= {
        name: x.reshape(-1, 3) for name, x in zip(model.mechanics.spaces, vectors, strict=True)
    }
    owned = {name: fields[name][:n] for name, (_, n) in _spaces(model).items()}
    return owned | {
        "hydrostatic": state.hydrostatic[: len(owned["lithium"])],
        "pull": state.pull[: len(owned["lithium"])],
        # In the axes of the box: the tangents depend on how the rank numbers a facet.
        "jump": np.einsum("nji,nj->ni", _frame(model), state.jump),
        "damage": state.damage,
        "spent": state.spent,
        "gap": state.gap,
        "layer": state.layer,
    }


def _join(model: Model, values: Mapping[str, Array], numbers: Mapping[str, float]) -> State:
    """Return the state with such owned values and numbers; collective."""
    x = model.electrochemistry.unknowns.vector()
    for index, name in enumerate(_SCALARS):
        _put(model.electrochemistry.unknowns, x, index, values[name])
    model.electrochemistry.unknowns.write_single(x, VOLTAGE, numbers["voltage"])
    moved = model.mechanics.unknowns.vector()
    for index, name in enumerate(model.mechanics.spaces):
        _put(model.mechanics.unknowns, moved, index, values[name].ravel())
    return State(
        electrochemical=x.array_r.copy(),
        mechanical=moved.array_r.copy(),
        jump=np.einsum("nij,nj->ni", _frame(model), values["jump"]),
        damage=values["damage"],
        spent=values["spent"],
        gap=values["gap"],
        layer=values["layer"],
        hydrostatic=model.bodies.spread(values["hydrostatic"]),
        pull=model.bodies.spread(values["pull"]),
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


def _load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read the document and the arrays of a checkpoint."""
    read = io.BytesIO(read_sealed(path))
    try:
        with np.load(read, allow_pickle=False) as file:
            document = json.loads(str(file["document"]))
            if document["format"] != _FORMAT:
                raise ValueError(f"format {document['format']!r} is not {_FORMAT!r}")
            return document, {name: file[name] for name in file.files if name != "document"}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a checkpoint of this femssb: {error}") from error
