"""The default 1C cycle against the paper whose case it is, with the paper's own diffusivities.

C. Yuan, W. Lu, J. Xu (2023), Figure 2: one realisation of 53 grains; its supplement is not public.
Nothing here is calibrated; each band says why it is as wide as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from femssb import Charge, Discharge, HalfCell, Model, Simulation, library, mesh
from femssb.units import nm, um

PICOMOLE = 1e-12


@pytest.fixture(scope="module")
def cycle(tmp_path_factory):
    """The default case as the demo runs it."""
    model = Model(mesh(HalfCell(), size=0.5 * um), library.yuan2023.materials())
    protocol = [Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3.0)]
    folder: Path = tmp_path_factory.mktemp("cycle")
    return Simulation(model, protocol).run(folder, progress=False)


# key, paper, lowest and highest accepted, why
BANDS = [
    # Random orientations diffuse more slowly than the paper's one realisation.
    ("charge_time", 3103.0, 3103 * 0.92, 3103 * 1.08),
    # The same, and the kinetics of the closing interface are not in the paper.
    ("discharge_time", 3008.0, 3008 * 0.87, 3008 * 1.13),
    # Follows from the volume and the concentration alone.
    ("lithium_initial", 24.659 * PICOMOLE, 24.6 * PICOMOLE, 24.7 * PICOMOLE),
    # What stays behind is a small difference of large amounts.
    ("lithium_charge_end", 3.203 * PICOMOLE, 2.8 * PICOMOLE, 5.0 * PICOMOLE),
    # The modulus of the ecbd, which sets it, is not printed: 25 GPa is assumed.
    ("gap_mean_charge_end", 14.3 * nm, 10 * nm, 25 * nm),
    # Whatever the case: lithium is conserved.
    ("ledger_error", 0.0, -1e-8, 1e-8),
]


@pytest.mark.slow
@pytest.mark.parametrize(("key", "paper", "lowest", "highest"), BANDS, ids=lambda x: str(x))
def test_headline_numbers(cycle, key, paper, lowest, highest):
    """Catches a parameter or an equation that moved the result away from the paper."""
    assert lowest <= paper <= highest
    assert lowest <= cycle.summary[key] <= highest


@pytest.mark.slow
def test_gap_history(cycle):
    """Catches a gap that opens at once, never opens, collapses at the reversal or never closes."""
    time, gap = cycle.series["Time [s]"], cycle.series["Mean gap [m]"]
    charge, discharge = cycle.steps
    end, peak = gap[charge.end_row], gap.max()
    assert np.interp(0.15 * charge.end_time, time, gap) < 0.05 * end  # small at first
    opening = time[np.argmax(gap > 0.1 * end)], time[np.argmax(gap > 0.9 * end)]
    assert opening[1] - opening[0] < 0.5 * charge.end_time  # then it opens rapidly
    assert end > 0.95 * peak  # plateau around the reversal
    after = charge.end_time + 0.1 * (discharge.end_time - discharge.start_time)
    assert np.interp(after, time, gap) > 0.75 * peak
    assert 0.01 * nm < gap[discharge.end_row] < 0.3 * peak  # partial recovery
