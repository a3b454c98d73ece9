"""Rotations described by numbers: quaternions, angles, vectors and matrices, as in files of Neper.

The sample frame turned by the rotation that the numbers describe is the crystal frame, so that its
matrix has the crystal axes as columns; a `rotmat` has them as rows. Angles are those of Bunge
(phi1, Phi, phi2 about z, x, z), of Kocks (Psi = phi1 - 90, Theta = Phi, phi = 90 - phi2) or of Roe
(Psi = phi1 - 90, Theta = Phi, Phi = phi2 + 90) [degrees].

Sources: U. F. Kocks, C. N. Tome, H.-R. Wenk, Texture and Anisotropy (1998), section 2.3; the
reference manual of Neper, section on rotations and orientations.
"""

from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.arrays import Array
from femssb.errors import InputError
from femssb.tables import numbers

type Angles = Literal["degrees", "radians"]

# Number of parameters, which of them are angles, and other names.
DESCRIPTORS: dict[str, tuple[int, slice]] = {
    "rodrigues": (3, slice(0)),
    "quaternion": (4, slice(0)),
    "euler-bunge": (3, slice(3)),
    "euler-kocks": (3, slice(3)),
    "euler-roe": (3, slice(3)),
    "axis-angle": (4, slice(3, 4)),
    "rotmat": (9, slice(0)),
}
SHORT = {
    "R": "rodrigues",
    "q": "quaternion",
    "e": "euler-bunge",
    "ek": "euler-kocks",
    "er": "euler-roe",
    "rtheta": "axis-angle",
    "g": "rotmat",
}
CLOSE = 1e-3  # how far lengths and products of numbers with few digits may be from 1


def split_descriptor(where: str, descriptor: str) -> tuple[str, str]:
    """Return the full name and the convention (or "") of a descriptor such as ``e:active``.

    Raises:
        InputError: If either is unknown.
    """
    name, _, convention = descriptor.partition(":")
    name = SHORT.get(name, name)
    known = convention in ("active", "passive") or descriptor == descriptor.partition(":")[0]
    if name not in DESCRIPTORS or not known:
        raise InputError(
            f"{where}: unknown descriptor {descriptor!r}; allowed are {', '.join(DESCRIPTORS)}, "
            f"perhaps with :active or :passive"
        )
    return name, convention


def parse_rotations(
    where: str, name: str, lines: list[str], angles: Angles | None = None
) -> Rotation:
    """Return the rotation on each line; see `rotations`."""
    rows = [line.split() for line in lines]
    if not rows:
        raise InputError(f"{where}: {name}: there are no orientations")
    return rotations(where, name, numbers(f"{where}: {name}", rows, DESCRIPTORS[name][0]), angles)


def rotations(where: str, name: str, values: Array, angles: Angles | None = None) -> Rotation:
    """Return rotations that numbers describe.

    Args:
        where: File, for the messages.
        name: One of `DESCRIPTORS`.
        values: The numbers, shape (n, k).
        angles: Unit of the angles; if it is not said, degrees, where they can be nothing else.

    Raises:
        InputError: If a row describes no rotation, or if angles of an unknown unit may be radians.
    """
    turned = values[:, DESCRIPTORS[name][1]]
    if turned.size:
        largest, circle = float(np.abs(turned).max()), 2 * np.pi
        if angles is None and 0 < largest <= circle * (1 + CLOSE):
            raise InputError(
                f"{where}: {name}: the largest angle is {largest:.6g}: give angles='radians', or "
                f"angles='degrees' if all of them really lie within {circle:.6g} degrees"
            )
        bound = circle * (1 + CLOSE) if angles == "radians" else 360 * (1 + 1e-9)
        if largest > bound:
            row = int(np.abs(turned).max(axis=1).argmax())
            raise InputError(
                f"{where}: {name}, row {row + 1}: angle {largest:.6g} {angles or 'degrees'} is "
                f"outside [-{bound:.6g}, {bound:.6g}]: is that its unit?"
            )
        values = values.copy()
        values[:, DESCRIPTORS[name][1]] = turned if angles == "radians" else np.radians(turned)
    if name == "rodrigues":
        quaternions = np.insert(values, 0, 1, axis=1)
        quaternions /= np.abs(quaternions).max(axis=1, keepdims=True)  # squares do not overflow
        return Rotation.from_quat(quaternions, scalar_first=True)
    if name == "quaternion":
        _check_lengths(where, name, values)
        return Rotation.from_quat(values, scalar_first=True)
    if name == "axis-angle":
        still = (values[:, 3] == 0) & (values[:, :3] == 0).all(axis=1)  # no rotation: no axis
        values[still, 0] = 1.0
        lengths = _lengths(where, name, values[:, :3])
        return Rotation.from_rotvec(values[:, 3:] * (values[:, :3] / lengths[:, None]))
    if name == "rotmat":
        return _from_matrices(where, values.reshape(-1, 3, 3)).inv()
    if name == "euler-kocks":
        values = np.stack([values[:, 0], values[:, 1], -values[:, 2]], axis=1) + QUARTER
    if name == "euler-roe":
        values = values + QUARTER * [1, 0, -1]
    return Rotation.from_euler("ZXZ", values)


QUARTER = np.array([np.pi / 2, 0.0, np.pi / 2])  # from Psi and phi of Kocks to phi1 and phi2


def _lengths(where: str, name: str, vectors: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.all():
        row = int(np.argmin(lengths))
        raise InputError(f"{where}: {name}, row {row + 1}: has length zero")
    return np.asarray(lengths)


def _check_lengths(where: str, name: str, vectors: Array) -> None:
    lengths = _lengths(where, name, vectors)
    off = np.abs(lengths - 1)
    if (row := int(np.argmax(off))) >= 0 and off[row] > CLOSE:
        raise InputError(
            f"{where}: {name}, row {row + 1}: has length {lengths[row]:.6g}, not 1 "
            f"(within {CLOSE:g}): is it one?"
        )


def _from_matrices(where: str, matrices: Array) -> Rotation:
    matrices = np.clip(matrices, -2, 2)  # those of no rotation stay so, and do not overflow
    skew = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = np.flatnonzero(~(skew < CLOSE) | (np.linalg.det(matrices) < 0))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"{where}: rotmat, row {row + 1} is no rotation: Q Q^T differs from 1 by "
            f"{skew[row]:.2g} (at most {CLOSE:g}), determinant "
            f"{np.linalg.det(matrices[row]):.3g} (must be 1)"
        )
    return Rotation.from_matrix(matrices)
