"""A crystal of low symmetry, and the turning of its stiffness index by index."""

import numpy as np

# A trigonal crystal: six constants, and C14 distinguishes the two senses of rotation.
CRYSTAL = np.array(
    [
        [350, 110, 90, 25, 0, 0],
        [110, 350, 90, -25, 0, 0],
        [90, 90, 240, 0, 0, 0],
        [25, -25, 0, 85, 0, 0],
        [0, 0, 0, 0, 85, 25],
        [0, 0, 0, 0, 25, 120],
    ]
)
PAIRS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def fourth_order(stiffness):
    """Return the stiffness tensor (3, 3, 3, 3) of a Voigt matrix."""
    full = np.empty((3, 3, 3, 3))
    for row, (i, j) in enumerate(PAIRS):
        for column, (k, m) in enumerate(PAIRS):
            for a, b in ((i, j), (j, i)):
                full[a, b, k, m] = full[a, b, m, k] = stiffness[row, column]
    return full


def turned(stiffness, q):
    """Return a Voigt matrix turned by q, active: every index of the tensor by itself."""
    full = np.einsum("ia,jb,kc,ld,abcd->ijkl", q, q, q, q, fourth_order(stiffness))
    return np.array([[full[i, j, k, m] for k, m in PAIRS] for i, j in PAIRS])
