"""A packing pressed between rigid planes by LIGGGHTS, another code for granular matter.

If this fails while the tests of single contacts pass, contacts are missed, lost or counted twice in
a packing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.library.cathodes import NCM523
from femssb.library.electrolytes import LI6PS5CL
from femssb.packing import Component, LognormalSizes, Recipe, insert
from femssb.particles import HertzMindlin, Isostatic, Uniaxial, press
from femssb.particles.lammps.engine import Engine
from femssb.units import MPa, um
from tests.verification import liggghts

SOLIDS = {"AM": NCM523, "SE": LI6PS5CL}
FRICTION, RESTITUTION = 0.5, 0.3
START = 50 * MPa  # isostatic pressure from which one plane is pushed in
STRAIN = 0.1
POINTS = 20
# Of LIGGGHTS: speed of the plane [um/us], time step [us], steps before the plane moves.
SPEED, TIME_STEP, REST = 0.5, 1e-4, 20_000


def packing():
    """Return about a thousand spheres between six planes.

    They were pressed without friction: at rest without tangential springs, as both codes start.
    """
    components = tuple(
        Component(
            name=name,
            solid=SOLIDS[name],
            share=share,
            sizes=LognormalSizes(
                median=median,
                geometric_deviation=1.2,
                smallest=0.75 * median,
                largest=1.25 * median,
            ),
        )
        for name, share, median in (("AM", 0.73, 4 * um), ("SE", 0.27, 6 * um))
    )
    powder = insert(
        Recipe(components=components, loading=0.08, width=45 * um), height=60 * um, seed=2
    )
    law = HertzMindlin(solids=SOLIDS, friction=FRICTION, restitution=RESTITUTION)
    stages = [Uniaxial(pressure=START), Isostatic(pressure=START)]
    return press(powder, stages, replace(law, friction=0.0))[-1], law


def pressures_of_ours(start, law):
    """Return the strain and the pressure on the upper plane as it is pushed in [Pa]."""
    steps = 2000  # between two points
    height = start.lengths[2]
    found = []
    with Engine(start, law) as engine:
        engine.run(4 * steps)
        velocities = np.zeros((3, 2))
        velocities[2, 1] = -STRAIN * height / (POINTS * steps)
        for _ in range(POINTS):
            engine.rescale_masses(engine.balance(), START)
            engine.move_planes(velocities)
            engine.run(steps)
            strain = 1 - (engine.planes[2, 1] - engine.planes[2, 0]) / height
            found.append([strain, engine.pressures()[2, 1]])
    return np.transpose(found)


def pressures_of_liggghts(start, law, folder):
    """Return the same by LIGGGHTS."""
    height = start.lengths[2] / um
    every = round(STRAIN * height / (POINTS * SPEED * TIME_STEP))
    commands = f"""
thermo {every}
run {REST - REST % every}
fix move all move/mesh mesh top linear 0. 0. -{SPEED}
run {POINTS * every}
"""
    output = liggghts.run(start, law, folder, commands, time_step=TIME_STEP)
    _, _, moved = output.rpartition("Step ")
    rows = [line.split() for line in moved.splitlines()[1:]]
    force = np.array([float(row[1]) for row in rows if len(row) == 2 and row[0].isdigit()])
    strain = np.arange(1, POINTS + 1) * every * SPEED * TIME_STEP / height
    return strain, force[1 : POINTS + 1] / np.prod(start.lengths[:2] / um)


@pytest.mark.slow
@pytest.mark.skipif(not liggghts.installed(), reason="LIGGGHTS is not installed")
def test_pressed_as_by_liggghts(tmp_path):
    """Would catch a law, friction or planes that differ from those of another code.

    Tangential springs of unlike spheres that are half as stiff as they should be, say, make 1.4 %.
    """
    start, law = packing()
    strain, pressure = pressures_of_ours(start, law)
    other = np.interp(strain, *pressures_of_liggghts(start, law, tmp_path))
    assert pressure.min() > START
    assert pressure.max() > 500 * MPa
    assert other.mean() == pytest.approx(pressure.mean(), rel=5e-3)
    np.testing.assert_allclose(other, pressure, rtol=0.02)
