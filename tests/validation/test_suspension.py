"""What our own force field gives for the slurry with which it is calibrated.

If these fail, slurries by default no longer flow as they are said to: calibrate again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.library import alabdali2023, suspension
from femssb.packing import disperse
from femssb.particles import Drying, Shear, Slurry, Window, flow_curve, process

pytestmark = pytest.mark.slow


def test_the_slurry_flows_as_it_was_calibrated():
    """Would catch constants, dashpots or sizes that have moved.

    With the beads placed anew, direct runs are within three standard errors of the prediction of
    the master curve, .330 +- .013 and .443 +- .020 Pa s, and in the window.
    """
    formulation = replace(alabdali2023.formulation(beads=200), swelling=None)
    stages = [Slurry(pressure_tolerance=0.1)]
    stages += [Shear(rate=rate) for rate in (1000, 100)]
    start = disperse(formulation, seed=3)
    end = process(start, stages, formulation, suspension(formulation), progress=False)[-1]
    curve = flow_curve(end)
    predicted, errors = np.array([0.443, 0.330]), np.array([0.020, 0.013])
    allowed = 3 * np.hypot(errors, curve.errors / curve.rates)
    assert np.all(np.abs(curve.viscosities - predicted) <= allowed)
    assert Window().holds(curve.rates, curve.viscosities)
    warned = [text for stage in end.origin["stages"] for text in stage["warnings"]]
    assert not warned


def test_the_film_dries_nearly_to_the_porosity_of_the_paper():
    """Would catch dried forces that have moved: .466 was measured, the paper has about .50."""
    formulation = replace(alabdali2023.formulation(beads=500), swelling=None)
    start = disperse(formulation, seed=1)
    stages = [Slurry(pressure_tolerance=0.1), Drying()]
    film = process(start, stages, formulation, suspension(formulation), progress=False)[-1]
    assert film.origin["stages"][-1]["porosity"] == pytest.approx(0.466, abs=0.03)
