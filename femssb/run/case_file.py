"""A half-cell, its protocol and how both are solved, in one file that a person can write.

The file is TOML or JSON, and has the shape of the ``case.json`` of any run: ``model`` (``mesh``,
``materials``, supports, couplings), ``protocol``, ``tolerances``, ``stepping``, ``start``, the
``folder`` of a run from whose end it goes on; ``output`` says where results go. Materials may begin
with ``library``, the name of a set that fills what is left out. All is SI.
"""

import inspect
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import femssb.environment.platform

from mpi4py import MPI

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Couplings, Model
from femssb.environment.ranks import from_first_rank
from femssb.errors import InputError, shown
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.boundary import Support
from femssb.inputs.condition import Condition
from femssb.inputs.cycle import Cycle
from femssb.inputs.geometry import HalfCell
from femssb.inputs.materials import Materials
from femssb.inputs.protocol import Charge, Discharge, Drive, Hold, Rest
from femssb.inputs.restoring import Reader
from femssb.library import nmc811, yuan2023
from femssb.meshing.data import MeshData
from femssb.meshing.files import read
from femssb.meshing.half_cell import mesh
from femssb.meshing.resolved_cell import ResolvedCell
from femssb.results.quantities import check_fields
from femssb.run.stepping import FixedSteps, Stepping

TEMPLATE = Path(__file__).with_name("template.toml")
_SECTIONS = ("model", "protocol", "tolerances", "stepping", "start", "output")
_MEASURED = ("grains", "cells", "unknowns")  # of the model of a run, which are no inputs
_OF_A_FILE = ("unit", "orientations", "names", "tags", "periodic")
_SUPPORTS = list(get_args(Support))
_STEPS = [Charge, Discharge, Hold, Rest, Drive, Cycle]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a case file says.

    Attributes:
        model: Keywords of `Model`, without the mesh.
        mesh: What the mesh is made of.
        size: Grains and cells of the mesh of the run that wrote the file, as far as it says.
        protocol: As `Simulation` takes it.
        tolerances, stepping: Likewise.
        start: The run from whose end it goes on: its folder, and the checksum of its checkpoint.
        output: Folder of the results as it is written, and whether figures are drawn.
    """

    model: Mapping[str, Any]
    mesh: Mapping[str, Any]
    size: Mapping[str, int]
    protocol: list[Any]
    tolerances: Tolerances
    stepping: Stepping | FixedSteps
    start: Mapping[str, str]
    output: Mapping[str, Any]


def read_case(path: Path, modules: Sequence[str], comm: MPI.Comm) -> Case:
    """Read a case file; collective.

    Raises:
        InputError: If it cannot be read, or says something that is no input; with the place.
    """
    document = from_first_rank(comm, lambda: _document(path))
    reader = Reader(folder=path.parent, modules=modules)
    _only(path.name, document, _SECTIONS)
    for name in ("model", "protocol"):
        if name not in document:
            raise InputError(f"{path.name} has no {name}")
    given = _table(path.name, document, "model")
    wanted = inspect.signature(Model.__init__).parameters
    names = [name for name in wanted if name not in ("self", "data")]
    _only("model", given, ("mesh", *names, *_MEASURED))
    of_mesh = _table("model", given, "mesh")
    _only("model.mesh", of_mesh, ("cell", "size", "far_size", "file", *_OF_A_FILE))
    kinds: dict[str, list[type]] = {
        "collector": _SUPPORTS,
        "anode": _SUPPORTS,
        "couplings": [Couplings],
    }
    model: dict[str, Any] = {"materials": _materials(reader, _table("model", given, "materials"))}
    for name, classes in kinds.items():
        if name in given:
            model[name] = reader.description(
                _table("model", given, name), classes, f"model.{name}", Couplings()
            )
    if "supports" in given:
        model["supports"] = {
            name: reader.description(value, _SUPPORTS, f"model.supports.{name}")
            for name, value in _table("model", given, "supports").items()
        }
    for name in ("coverage", "damage"):
        if name in given:
            model[name] = _places(reader, _table("model", given, name), f"model.{name}")
    if "displacement_order" in given:
        model["displacement_order"] = given["displacement_order"]
    if "linear_solver" in given:
        model["linear_solver"] = _solver(reader, _table("model", given, "linear_solver"))
    return Case(
        model=model,
        mesh=_mesh(reader, of_mesh),
        size={name: given[name] for name in ("grains", "cells") if name in given},
        protocol=_protocol(reader, document["protocol"]),
        tolerances=reader.description(
            _table(path.name, document, "tolerances"), [Tolerances], "tolerances", Tolerances()
        ),
        stepping=reader.description(
            _table(path.name, document, "stepping"), [Stepping, FixedSteps], "stepping", Stepping()
        ),
        start=_words("start", _table(path.name, document, "start"), ("folder", "sha256")),
        output=_output(_table(path.name, document, "output")),
    )


def meshed(case: Case, comm: MPI.Comm) -> MeshData:
    """Return the mesh of a case; collective.

    Raises:
        InputError: If it has another number of grains or cells than that of the run was.
        MeshError: If it cannot be meshed.
    """
    given = dict(case.mesh)
    made = (
        read(given.pop("file"), **given, comm=comm)
        if "file" in given
        else mesh(given.pop("cell"), **given, comm=comm)
    )
    found = {
        "grains": len(made.grain_tags),
        "cells": int(made.mesh.topology.index_map(3).size_global),
    }
    for name, count in case.size.items():
        if found[name] != count:
            raise InputError(
                f"the mesh has {found[name]} {name}, that of the run which wrote the case had"
                f" {count}: its file, or Gmsh, is another"
            )
    return made


def _document(path: Path) -> dict[str, Any]:
    """Return what a file holds."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            found = json.loads(text)
        elif path.suffix == ".toml":
            found = tomllib.loads(text)
        else:
            raise InputError(f"{path} must end in .toml or .json")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not understood: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no case: it must be a table with {', '.join(_SECTIONS)}")
    return found


def _table(where: str, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{where}.{name} must be a table, got {shown(found)}")
    return found


def _only(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [name for name in given if name not in known]:
        raise InputError(f"{where} has no {unknown[0]!r}; it has {list(known)}")


def _materials(reader: Reader, given: Mapping[str, Any]) -> Materials:
    """Return a parameter set, from the library where the file names one of its sets."""
    own = {name: value for name, value in given.items() if name not in ("library", "values")}
    base = None
    if "library" in given:
        sets = {
            "yuan2023": lambda: yuan2023.materials(),
            "yuan2023 calibrated": lambda: yuan2023.materials(values=yuan2023.CALIBRATED),
            "nmc811": lambda: nmc811.materials(),
        }
        if given["library"] not in list(sets):  # which may be anything
            raise InputError(
                f"model.materials.library = {shown(given['library'])} is none of {list(sets)}"
            )
        base = sets[given["library"]]()
    found: Materials = reader.description(own, [Materials], "model.materials", base)
    return found


def _solver(reader: Reader, given: Mapping[str, Any]) -> Any:
    """Return the linear solver of both problems, or of each by its name."""
    where = "model.linear_solver"
    if given and all(isinstance(value, Mapping) for value in given.values()):
        return {
            name: reader.description(value, [LinearSolver], f"{where}.{name}")
            for name, value in given.items()
        }
    return reader.description(given, [LinearSolver], where)


def _mesh(reader: Reader, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a mesh is made of."""
    if ("file" in given) == ("cell" in given):
        raise InputError("model.mesh needs a cell, or the file of a mesh")
    found = {name: value for name, value in given.items() if value is not None}
    if "file" in given:
        found["file"] = reader.folder / str(given["file"])
        if isinstance(given.get("orientations"), str):
            found["orientations"] = reader.folder / given["orientations"]
        if "names" in given:
            found["names"] = _names(given["names"])
        return found
    if "size" not in given:
        raise InputError("model.mesh.size is missing: the element size in the particles [m]")
    cell = _table("model.mesh", given, "cell")
    single = HalfCell if "class" not in cell else None
    classes = [single] if single else [HalfCell, ResolvedCell]
    return found | {"cell": reader.description(cell, classes, "model.mesh.cell")}


def _names(given: Any) -> dict[Any, Any]:
    """Return a map of names in a file of a mesh: a table, or rows that end with the new name.

    Keys of a table are words; one of digits stands for a number.
    """
    if isinstance(given, Mapping):
        return {int(key) if key.isdigit() else key: name for key, name in given.items()}
    if not isinstance(given, list) or not all(isinstance(row, list) for row in given):
        raise InputError(f"model.mesh.names must be a table, got {shown(given)}")
    return {tuple(keys) if len(keys) > 1 else keys[0]: name for *keys, name in given}


def _places(reader: Reader, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return shares by surface: numbers, and functions by name."""
    found = {}
    for name, value in given.items():
        named = value.get("function") if isinstance(value, Mapping) else value
        found[name] = reader.function(named, f"{where}.{name}") if isinstance(named, str) else value
    return found


def _protocol(reader: Reader, given: Any) -> list[Any]:
    """Return steps, sentences and cycles."""
    if not isinstance(given, list):
        raise InputError(f"protocol must be a list of steps, got {shown(given)}")
    found = []
    for row, step in enumerate(given):
        where = f"protocol[{row}]"
        if not isinstance(step, Mapping):
            found.append(step)  # a sentence
        elif step.get("class") == "Cycle":
            inner = {name: value for name, value in step.items() if name not in ("class", "steps")}
            if isinstance(inner.get("until"), Mapping):
                inner["until"] = reader.description(inner["until"], [Condition], f"{where}.until")
            steps = _protocol(reader, step.get("steps"))
            try:
                found.append(Cycle(steps=tuple(steps), **inner))
            except TypeError as error:
                raise InputError(f"{where}: {error}") from error
        else:
            found.append(reader.description(step, _STEPS, where))
    return found


def _words(where: str, given: Mapping[str, Any], known: Sequence[str]) -> Mapping[str, str]:
    _only(where, given, known)
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            raise InputError(f"{where}.{name} = {shown(value)} must be a word")
    return given


def _output(given: Mapping[str, Any]) -> Mapping[str, Any]:
    _only("output", given, ("folder", "figures", "fields"))
    if "fields" in given:
        check_fields("output.fields", given["fields"])
    for name, kind in (("folder", str), ("figures", bool)):
        if name in given and not isinstance(given[name], kind):
            raise InputError(f"output.{name} = {shown(given[name])} is of the wrong kind")
    return given
