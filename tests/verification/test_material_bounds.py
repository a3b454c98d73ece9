"""Every bound of every material: if these fail, what is accepted ends in another's error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, Discharge, HalfCell, Model, Polycrystal, Simulation, library, mesh
from femssb.errors import FemssbError, InputError, NotConverged
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.curves import Curve
from femssb.inputs.materials import Materials
from femssb.meshing.data import MeshData
from femssb.run.stepping import FixedSteps
from femssb.units import um
from tests.runs import tiny_model

BASE = library.yuan2023.materials()
SHORT = FixedSteps(sizes=(0.5, 2.0))


@pytest.fixture(scope="module")
def data() -> MeshData:
    """The mesh of `tests.runs`."""
    shape = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=3 * um, grains=3),),
    )
    return mesh(shape, size=2.5 * um, comm=MPI.COMM_SELF)


def bounds(given: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and value of each bound of a description and of those in it."""
    for item in fields(given):
        value, here = getattr(given, item.name), (*path, item.name)
        if is_dataclass(value) and not isinstance(value, Curve):
            yield from bounds(value, here)
            continue
        known = item.metadata["bounds"]
        extremes = [known[name] for name in ("lower", "upper") if name in known]
        extremes += [
            math.nextafter(known[name], known[name] + sign)
            for name, sign in (("above", 1), ("below", -1))
            if name in known
        ]
        extremes += [math.inf] if item.metadata["infinite"] else []
        for extreme in extremes:
            if isinstance(value, tuple):
                for row in range(len(value)):
                    yield here, (*value[:row], extreme, *value[row + 1 :])
                yield here, (extreme,) * len(value)
            else:
                yield here, extreme


def changed(given: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a description with another value deep inside."""
    name, *rest = path
    new = changed(getattr(given, name), tuple(rest), value) if rest else value
    return replace(given, **{name: new})


@pytest.mark.parametrize(
    ("path", "value"), list(bounds(BASE)), ids=lambda part: str(part).replace("'", "")
)
def test_a_bound_is_refused_or_runs(data: MeshData, path: tuple[str, ...], value: Any) -> None:
    """Catches bounds at which solvers fail: no conductivity, no compressibility, no reaction."""
    try:
        materials: Materials = changed(BASE, path, value)
    except InputError as error:
        assert path[-1] in str(error) or "CohesiveLaw" in str(error) or "ActiveMat" in str(error)  # noqa: PT017
        return
    run = Simulation(
        Model(data, materials), [Charge(c_rate=1, until_duration=4.5)], stepping=SHORT
    ).run(progress=False)
    assert run.steps[0].ended_by == "duration"
    assert all(np.isfinite(values).all() for values in run.series.values())
    assert abs(run.summary["ledger_error"]) < 1e-8


FAST = {("active", "diffusivity"): (1e-9, 1e-9, 1e-9)}
SLOW = {("kinetics", "rate_constant"): 1e-14, ("anode", "exchange_current"): 1e-3}
CONDUCTING = {
    ("ecbd", "ionic_conductivity"): 1e3,
    ("ecbd", "electronic_conductivity"): 1e6,
    ("electrolyte", "ionic_conductivity"): 1e3,
}


@pytest.mark.parametrize(
    ("radius", "changes"),
    [
        (5 * um, FAST | SLOW),
        (0.1 * um, FAST | CONDUCTING),
    ],
    ids=["slow reactions", "small and conducting"],
)
def test_corners_take_steps_as_long_as_their_answer_allows(
    radius: float, changes: dict[tuple[str, ...], Any]
) -> None:
    """Catches Newton's method that stops above the roundoff, and a guess that decides the step.

    Lithium that follows the stress at once swung from step to step, by what two problems need not
    agree about: time steps fell to milliseconds, and stayed there.
    """
    shape = HalfCell(
        width=3 * radius,
        cathode=3 * radius,
        separator=radius,
        particles=(Polycrystal(radius=radius, grains=3),),
    )
    materials = BASE
    for path, value in changes.items():
        materials = changed(materials, path, value)
    model = Model(mesh(shape, size=radius / 2.2, comm=MPI.COMM_SELF), materials)
    protocol = [Charge(c_rate=1, until_duration=300.0), Discharge(c_rate=1, until_duration=5.0)]
    run = Simulation(model, protocol).run(progress=False)
    assert run.performance["failed_steps"] == 0
    assert run.summary["ledger_error"] < 1e-5
    late = run.series["Time [s]"] > 303.0
    assert run.series["Step size [s]"][late].max() > 0.3


@pytest.mark.parametrize(("region", "value"), [("ecbd", 0.0), ("ecbd", 1e-9), ("electrolyte", 1.0)])
def test_electrons_move_in_the_ecbd_alone(region: str, value: float) -> None:
    """Catches a matrix that is singular, and a short circuit that the model does not see."""
    conductor = replace(getattr(BASE, region), electronic_conductivity=value)
    with pytest.raises(InputError, match=rf"{region}\.electronic_conductivity = {value:g} S/m"):
        replace(BASE, **{region: conductor})


def test_an_expansion_beyond_small_strains_is_refused() -> None:
    """Catches a strain in percent, and a ratio that is one of moduli."""
    with pytest.raises(InputError, match=r"expansion \(largest, along any axis\) = 1\.2"):
        replace(BASE.active, expansion_ratio=(1.0, 1.0, -100.0))


def test_an_error_of_petsc_is_ours() -> None:
    """Catches a traceback of petsc4py from a factorisation that fails."""
    model = tiny_model()
    problem = model.electrochemistry.problem
    sizes = [(op.weights.size, op.values.shape[1]) for op in problem.operators]
    jacobian = problem.jacobian([np.zeros((n, k, k)) for n, k in sizes])
    jacobian.set_bulk(np.zeros_like(jacobian._in_bulk))
    right_side = model.electrochemistry.unknowns.vector()
    right_side.set(1.0)
    with pytest.raises(NotConverged, match=r"electrochemistry: (PETSc|the linear solver) failed"):
        model.electrochemistry.linear_solver.solve(jacobian, right_side)


@pytest.mark.parametrize(
    "options",
    [{"pc_type": "nonsense"}, {"ksp_max_it": "many"}, {"pc_factor_mat_solver_type": "nonsense"}],
)
def test_options_that_petsc_refuses_are_named(options: dict[str, str]) -> None:
    """Catches error 86 of PETSc, or a run that goes on without what was asked for."""
    small = tiny_model()
    solver = LinearSolver(method="direct", options=options)

    def attempt() -> None:
        model = Model(small.data, small.materials, linear_solver=solver)
        charge = Charge(c_rate=1, until_duration=1.0)
        Simulation(model, [charge], stepping=SHORT).run(progress=False)

    with pytest.raises(FemssbError, match=next(iter(options))):
        attempt()
