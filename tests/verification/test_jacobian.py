"""The Jacobian in its two parts: products, the sum, and what is left of it in a coarse space.

If these fail, Newton's method follows another matrix than the one that preconditions it: slow at
best. Worth reading: `test_products_are_those_of_the_sum`.
"""

from __future__ import annotations

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import pytest

from femssb import HalfCell, Model, Polycrystal, library, mesh
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.boundary import Symmetric
from femssb.units import um
from tests.runs import tiny_model

pytestmark = pytest.mark.mpi

GRAINS = Polycrystal(radius=3 * um, grains=3)


def mechanics(comm, **options):
    """Return the mechanical problem of a small cell whose anode is a plane of symmetry."""
    cell = HalfCell(width=9 * um, cathode=9 * um, separator=3 * um, particles=(GRAINS,))
    model = Model(
        mesh(cell, size=2.5 * um, comm=comm),
        library.yuan2023.materials(),
        anode=Symmetric(),
        **options,
    )
    return model.mechanics


def tangents(problem, seed):
    """Return symmetric tangents that differ from point to point."""
    rng = np.random.default_rng(seed)
    found = []
    for operator in problem.operators:
        n, k = operator.values.shape[:2]
        some = rng.uniform(-1, 1, (n, k, k))
        found.append(1e17 * (some + some.mT))
    return found


def uneven(unknowns, seed):
    """Return unknowns of all sizes."""
    vector = unknowns.vector()
    vector.array[:] = np.sin(seed + 1.7 * (unknowns.offset + np.arange(unknowns.local_size)))
    return vector


def test_products_are_those_of_the_sum(comm):
    """Catches a part that is left out, counted twice, or old, and rows of held unknowns."""
    one = mechanics(comm)
    problem, unknowns = one.problem, one.unknowns
    held = problem._held - unknowns.offset
    assert problem.unknowns.comm.allreduce(held.size) > 0
    for seed in (1, 2):
        jacobian = problem.jacobian(tangents(problem, seed))
        x = uneven(unknowns, seed)
        x.array[held] = 0.0
        expected = jacobian.assembled() @ x
        error = jacobian.operator @ x - expected
        assert error.norm() < 1e-13 * expected.norm()
        # and the bulk may change: as with a stiffness that follows lithium
        problem.set_bulk([2.0 * jacobian._in_bulk])


def test_a_fixed_unknown_keeps_its_equation_alone(comm):
    """Catches a voltage that is held in the preconditioner, but not in the products, or at odds."""
    one = tiny_model(comm).electrochemistry
    fixed = one.unknowns.single["voltage"]
    jacobian = one.problem.jacobian([abs(t) for t in tangents(one.problem, 3)], fixed)
    x = uneven(one.unknowns, 4)
    expected = jacobian.assembled() @ x
    error = jacobian.operator @ x - expected
    assert error.norm() < 1e-12 * expected.norm()
    assert one.unknowns.comm.rank or error.array_r[fixed] == 0.0
    one.problem.jacobian(tangents(one.problem, 3))  # and is free again
    assert (jacobian.operator @ x - expected).norm() > 1e-6 * expected.norm()


def test_a_coarse_space_sees_the_sum(comm):
    """Catches a coarse matrix that keeps an interface closed, or open, or a held side free."""
    one = mechanics(comm, linear_solver=LinearSolver(method="incomplete"))
    space = one.linear_solver._coarse_space
    for seed, factor in ((1, 1.0), (2, 1.0), (2, 3.0)):
        one.problem.set_bulk([factor * one.problem._jacobian._in_bulk])
        jacobian = one.problem.jacobian(tangents(one.problem, seed))
        error = jacobian.projected(space)
        expected = jacobian.assembled().PtAP(space)
        error.axpy(-1.0, expected, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        assert error.norm() < 1e-12 * expected.norm()
