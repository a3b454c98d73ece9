"""Symmetric tensors in Voigt order, their rotations, and the von Mises stress."""

import numpy as np

from femssb.arrays import Array

COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")  # Voigt order
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # row and column of each
VTK_COMPONENTS = ("XX", "YY", "ZZ", "XY", "YZ", "XZ")  # what VTK and ParaView take six numbers for


def von_mises(stress: Array) -> Array:
    """Return the von Mises stress (n,) of stresses (n, 6) in Voigt order or (n, 3, 3) [Pa]."""
    xx, yy, zz, yz, xz, xy = (stress if stress.ndim == 2 else components(stress)).T
    return np.sqrt(
        0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3 * (yz**2 + xz**2 + xy**2)
    )


def components(tensors: Array) -> Array:
    """Return the components in Voigt order, (n, 6), of symmetric tensors (n, 3, 3)."""
    rows, columns = np.transpose(PAIRS)
    return tensors[:, rows, columns]


def rotate_stiffness(stiffness: Array, rotations: Array) -> Array:
    """Turn a stiffness from crystal axes into the sample frame.

    Args:
        stiffness: (6, 6) Voigt matrix in crystal axes [Pa].
        rotations: (n, 3, 3) active rotations, columns are the crystal axes.

    Returns:
        (n, 6, 6) Voigt matrices in the sample frame [Pa].
    """
    bond = bond_matrices(rotations)
    return np.einsum("nij,jk,nlk->nil", bond, stiffness, bond)


def bond_matrices(rotations: Array) -> Array:
    """Return (n, 6, 6) matrices that turn Voigt stresses: stress' = M stress.

    Source: Auld, Acoustic Fields and Waves in Solids (1973), section 3D.
    """
    matrices = np.empty((len(rotations), 6, 6))
    for row, (i, j) in enumerate(PAIRS):
        for column, (k, m) in enumerate(PAIRS):
            direct = rotations[:, i, k] * rotations[:, j, m]
            crossed = rotations[:, i, m] * rotations[:, j, k]
            matrices[:, row, column] = direct if k == m else direct + crossed
    return matrices
