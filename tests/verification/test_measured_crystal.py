"""A crystal whose axes each have a curve: if this fails, a grain strains along the wrong axis.

Worth reading: `test_a_free_crystal_follows_the_table`.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb import (
    Charge,
    Couplings,
    Discharge,
    Grain,
    HalfCell,
    InputError,
    Model,
    Polycrystal,
    Simulation,
    library,
    mesh,
)
from femssb.inputs.interfaces import CohesiveLaw
from femssb.units import nm, um
from tests.runs import tiny_model
from tests.verification.solids import quadrature

nmc811 = library.nmc811
SCATTER_A, SCATTER_C = 1.5e-4, 7e-4  # of the table, by its third differences [angstrom]


def free(active):
    """Return materials in which a crystal is held by hardly anything."""
    loose = CohesiveLaw(
        normal_strength=np.inf,
        shear_strength=np.inf,
        normal_fracture_energy=np.inf,
        shear_fracture_energy=np.inf,
        stiffness=1e9,
    )
    return replace(library.yuan2023.materials(), active=active, cohesive=loose)


def strain_of(model, concentration):
    """Return the mean strain tensor (3, 3) of a grain of uniform lithium, in its own axes."""
    electrochemistry, mechanics = model.electrochemistry, model.mechanics
    x, _ = electrochemistry.at_rest()
    filled = concentration / model.materials.active.maximum_concentration
    electrochemistry.unknowns.assign(x, 0, np.full(electrochemistry.node_charge.size, filled))
    n = model.bodies.weights.size
    moved = mechanics.unknowns.vector()
    mechanics.solve(
        moved,
        expansion=model.expansion(x),
        previous=moved.array_r.copy(),
        damage=np.zeros(n),
        spent=np.zeros(n),
        previous_jump=np.zeros((n, 3)),
        time_step=1.0,
        tolerance=1e-9,
    )
    q = quadrature(mechanics.spaces["particle"])
    gradient = q.gradient(mechanics.unknowns.expand(moved)[0])
    mean = np.einsum("cq,cqij->ij", q.weights, gradient) / q.weights.sum()
    turn = model.data.orientations[0]
    return turn.T @ (0.5 * (mean + mean.T)) @ turn


def test_a_free_crystal_follows_the_table():
    """Catches axes that are exchanged or turned the wrong way, and a wrong scale of lithium."""
    active = replace(nmc811.active(), stress_free_concentration=nmc811.MAXIMUM)
    capacity, a, c = nmc811.lattice()
    assert len(capacity) == 79
    concentration = nmc811.MAXIMUM * (1 - capacity / nmc811.CAPACITY)
    along = active.chemical_strain(concentration)
    angstrom = 0.1 * nm
    wrong_a = (a[0] * (1 + along[0]) - a) / angstrom
    wrong_c = (c[0] * (1 + along[2]) - c) / angstrom
    assert np.std(wrong_a) < SCATTER_A
    assert np.std(wrong_c) < SCATTER_C
    assert np.abs(wrong_a).max() < 3 * SCATTER_A
    assert np.abs(wrong_c).max() < 4 * SCATTER_C
    volume = np.prod(1 + along, axis=0)
    assert volume[-1] - 1 == pytest.approx(-0.053, abs=5e-4)


@pytest.mark.parametrize("row", [40, -1])
def test_a_turned_crystal_strains_along_its_own_axes(row):
    """Catches a curve that acts along an axis of the box, and one of the three that is lost."""
    active = replace(nmc811.active(), stress_free_concentration=nmc811.MAXIMUM)
    turn = Rotation.random(random_state=8).as_matrix()
    grain = Grain(point=(0.0, 0.0, 0.0), orientation=tuple(map(tuple, turn.tolist())))
    cell = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=3 * um, grains=(grain,)),),
    )
    data = mesh(cell, size=2.5 * um, comm=MPI.COMM_SELF)
    model = Model(data, free(active), couplings=Couplings(debonding=False))
    concentration = nmc811.MAXIMUM * (1 - nmc811.lattice()[0][row] / nmc811.CAPACITY)
    expected = np.diag(active.chemical_strain(np.array([concentration]))[:, 0])
    found = strain_of(model, concentration)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_equal_curves_are_one_curve():
    """Catches a sum over axes that differs from the ratio of old."""
    base = library.yuan2023.materials()
    curve = base.active.expansion
    three = replace(base.active, expansion=(curve,) * 3, expansion_ratio=(1.0, 1.0, 1.0))
    one = replace(base.active, expansion_ratio=(1.0, 1.0, 1.0))
    model_of = {
        name: tiny_model(materials=replace(base, active=active))
        for name, active in (("three", three), ("one", one))
    }
    x = {name: strain_of(model, 20000.0) for name, model in model_of.items()}
    np.testing.assert_allclose(x["three"], x["one"], atol=1e-9)


def test_a_ratio_beside_three_curves_is_refused():
    """Catches a ratio that would be ignored without a word."""
    with pytest.raises(InputError, match="expansion_ratio"):
        replace(nmc811.active(), expansion_ratio=(1.0, 1.0, -1.0))


@pytest.mark.slow
def test_the_set_goes_through_a_cycle():
    """Catches values with which no cycle can be run."""
    model = tiny_model(materials=nmc811.materials())
    solution = Simulation(
        model, [Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3.0)]
    ).run(progress=False)
    assert [step.ended_by for step in solution.steps] == ["voltage", "voltage"]
