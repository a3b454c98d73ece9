"""Damaged files of every kind that is read: an error of ours, or what the sound file holds.

Where a checksum can know, damage is never read as other numbers. The files are read in a process of
their own, so that a crash or a hang in a library is laid to the file. The slow test draws new
damage, `FEMSSB_FUZZ_FILES` files of each kind; files that are misread are kept in
``results/robustness``.
"""

from __future__ import annotations

import os

import pytest

from tests.robustness import tally
from tests.robustness.batches import read_damaged, tasks

FEW = 5  # files of each kind in the quick test
MANY = int(os.environ.get("FEMSSB_FUZZ_FILES", "100"))  # in the slow one


def test_damaged_files_are_refused() -> None:
    """Catches what falls out of a parser, a crash, a hang, and numbers that were not kept."""
    failures = read_damaged(tasks(FEW, first=0))
    assert not failures, "\n".join(failures)


@pytest.mark.slow
def test_many_damaged_files_are_refused() -> None:
    """Catches what a few files miss."""
    failures = read_damaged(tasks(MANY, first=tally.seed()))
    assert not failures, "\n".join(failures)
