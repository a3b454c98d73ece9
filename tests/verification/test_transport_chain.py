"""Layers joined by interface laws, against closed forms and other codes.

If these fail, every voltage is wrong. The two worth reading: `test_grain_boundary_chain`, which has
all there is between two electrodes, and `test_permeable_slabs`, the only one that runs in time.
"""

from __future__ import annotations

import numpy as np
import pytest

from femssb.cell.kinetics import metal_current
from femssb.inputs.interfaces import MetalKinetics
from femssb.run.stepping import bdf
from femssb.units import FARADAY, GAS_CONSTANT
from tests.verification.chain import Chain, transfer
from tests.verification.rates import observed_order

TEMPERATURE = 298.0  # [K] of the grain-boundary chain


def butler_volmer(exchange):
    kinetics = MetalKinetics(exchange_current=exchange, anodic_transfer=0.5)
    return transfer(lambda difference: metal_current(kinetics, TEMPERATURE, difference))


def film(resistance):
    """Return the law of a plane with a potential of its own between two equal resistances."""
    conductance = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [-1.0, -1.0, 2.0]]) / resistance

    def law(values):
        return values @ conductance, np.broadcast_to(conductance, (len(values), 3, 3))

    return law


@pytest.mark.mpi
def test_grain_boundary_chain():
    """Would catch a lost resistance, Butler-Volmer with the wrong slope, or a wrong tie.

    Potentials: 4C, test of a grain boundary between two Butler-Volmer interfaces.
    """
    current = 1e-5 * FARADAY
    chain = Chain(
        [(2.0, 4, 1.0), (1.0, 2, 1.0), (1.0, 2, 1.0), (2.0, 4, 1.0)],
        grounded=(0,),
        tied=True,
        own_unknown=(2,),
    )
    load, x = chain.unknowns.vector(), chain.unknowns.vector()
    chain.unknowns.write_single(load, "end", current)
    laws = [butler_volmer(current), film(1.0364273109887785), butler_volmer(current)]
    chain.solve(x, laws, load=load)

    found = [
        chain.at(x, 1, 2.0),
        chain.unknowns.read_single(x, "plane 2"),
        chain.at(x, 2, 3.0),
        chain.unknowns.read_single(x, "end"),
    ]
    gold = [1.9544215294, 3.9192753422, 4.9192757560, 7.8385506844]
    assert found == pytest.approx(gold, abs=2e-6)  # 4C has other digits of F and R
    overpotential = 2 * GAS_CONSTANT * TEMPERATURE / FARADAY * np.arcsinh(0.5)
    films = 2 * 1.0364273109887785 * current
    assert found[-1] == pytest.approx(6 * current + films + 2 * overpotential, rel=1e-12)


@pytest.mark.mpi(ranks=2)
def test_hyperbolic_sine_between_thirds():
    """Would catch a law taken with the sides swapped, and conductivities given to the wrong layer.

    The law is that of the CEA regression test of NREL's echemAMR, i = 3 sinh(difference + U), from
    the middle third to both outer ones.
    """

    def law(offset, sign):  # the middle third is above the first plane and below the second
        def flux(difference):
            drive = sign * difference + offset
            return sign * 3.0 * np.sinh(drive), 3.0 * np.cosh(drive)

        return transfer(flux)

    chain = Chain(
        [(1 / 3, 4, 2.0), (1 / 3, 4, 1.0), (1 / 3, 4, 5.0)],
        grounded=(0, 2),
    )
    x = chain.unknowns.vector()
    chain.solve(x, [law(1.0, -1.0), law(0.2, 1.0)])

    found = [chain.at(x, k, plane / 3) for k, plane in ((0, 1), (1, 1), (1, 2), (2, 2))]
    assert found == pytest.approx([0.1085596, -0.6759917, -0.4588725, -0.0434239], abs=5e-8)
    slope = 3 * found[0]
    assert slope == pytest.approx(0.3256789126, abs=5e-11)


def march(chain, x, law, step, times):
    """Take x through equal time steps and return it at each of the times."""
    load = chain.unknowns.vector()
    kept, older, time = [], None, 0.0
    while len(kept) < len(times):
        new, last, second = bdf(step, None if older is None else step)
        past = last * x.array_r + (0.0 if older is None else second * older)
        load.array[:] = -chain.content * past
        older = x.array_r.copy()
        chain.solve(x, [law], load=load, rate=new)
        time += step
        if abs(time - times[len(kept)]) < step / 2:
            kept.append(x.copy())
    return kept


def test_permeable_slabs():
    """Would catch a flux scaled by the wrong area or capacity, or a time formula of order one.

    Two slabs of length 1 and diffusivity 1 start at 0 | 1 and exchange the difference. Exact: each
    relaxes as cos(beta x) exp(-beta^2 t) with beta tan(beta) = 2 for all such beta.
    """
    law = transfer(lambda difference: (difference, np.ones_like(difference)))
    exact = [0.7768021, 0.6565663, 0.5876003]
    sizes, errors = [1 / 20, 1 / 40], []
    for size in sizes:
        chain = Chain([(1.0, round(1 / size), 1.0)] * 2, capacity=1.0)
        x = chain.unknowns.vector()
        x.array[chain.unknowns.owned(1)] = 1.0
        found = march(chain, x, law, size / 10, [0.1, 0.5, 1.0])

        right = [chain.at(x, 1, 1.0) for x in found]
        left = [chain.at(x, 0, 1.0) for x in found]
        assert np.add(left, right) == pytest.approx(1.0, abs=1e-10)
        assert chain.at(found[-1], 1, 2.0) == pytest.approx(0.6847779, abs=0.01 * size**2)
        errors.append(np.max(np.abs(np.subtract(right, exact))))
    assert errors[-1] < 2e-5
    assert observed_order(sizes, errors) == pytest.approx(2.0, abs=0.1)
