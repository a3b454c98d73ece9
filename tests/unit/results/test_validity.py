"""If these fail, a run that cannot be trusted looks like any other."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.results.validity import doubts


def spoiled(run, **columns):
    """Return the series of a run with one value of some columns changed, in row 7."""
    series = {name: values.astype(float) for name, values in run.series.items()}
    for name, value in columns.items():
        series[name][7] = value
    return series


def test_a_sound_run_raises_no_doubt(made_up_run):
    """Catches warnings that come with every run, which nobody reads any more."""
    assert doubts(made_up_run(snapshots=False).series) == ()


@pytest.mark.parametrize("column", ["Lithium ledger error [-]", "Interface current error [-]"])
@pytest.mark.parametrize("value", [2e-6, -2e-6, np.nan])
def test_lithium_that_got_lost_is_a_doubt(made_up_run, column, value):
    """Catches a balance that does not close and passes silently."""
    run = made_up_run(snapshots=False)
    (sentence,) = doubts(spoiled(run, **{column: value}))
    for part in (column, f"{value:.3g}", f"{run.series['Time [s]'][7]:.6g} s", "1e-06"):
        assert part in sentence
