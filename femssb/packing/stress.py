"""Stress in every sphere, from the forces on its contacts; tension is positive.

A sphere at rest under contact forces f at points x has the mean Cauchy stress

    sigma = 1/V  sum over contacts of  (x - centre) f^T,

K. Bagi, Mech. Mater. 22, 165 (1996), doi 10.1016/0167-6636(95)00044-5. The arm x - centre ends
where the contact is: half the overlap inside the surface. LAMMPS and LIGGGHTS know no contact
points and give each of two touching spheres one half of the whole branch instead
(``partition="halves"``): in a mixture of sizes the small sphere then gets stress that belongs to
the large one. The sum over all spheres is the same, but only with the contacts with the planes,
which those programs leave out, does it equal the applied pressure.
"""

from typing import Literal

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, shown
from femssb.packing.packing import Contacts, Packing


def particle_stress(
    packing: Packing, *, partition: Literal["arms", "halves"] = "arms", planes: bool = True
) -> Array:
    """Return the mean stress in every sphere.

    Args:
        packing: With its contacts.
        partition: How the branch between two centres is shared: ``"arms"``, by the place of the
            contact, or ``"halves"``, as LAMMPS and LIGGGHTS do.
        planes: Whether contacts with planes count; LAMMPS and LIGGGHTS leave them out.

    Returns:
        Shape (n, 3, 3) [Pa]; the volume of a sphere is that of the whole ball.

    Raises:
        InputError: If the packing has no contacts, or the partition is unknown.
    """
    contacts = contacts_of(packing)
    if not isinstance(partition, str) or partition not in ("arms", "halves"):
        raise InputError(
            f"particle_stress: partition = {shown(partition)} must be 'arms' or 'halves'"
        )
    if not isinstance(planes, bool):
        raise InputError(f"particle_stress: planes = {shown(planes)} must be True or False")
    ball = contacts.between_spheres
    own, other = packing.radii[contacts.first], packing.radii[contacts.second[ball]]
    share = np.ones(len(ball))  # of the branch that lies in the first sphere
    if partition == "halves":
        share[ball] = 0.5
    else:
        distance = np.linalg.norm(contacts.branches[ball], axis=1)
        share[ball] = 0.5 + (own[ball] - other) / (2 * distance)
    moment = contacts.branches[:, :, None] * contacts.forces[:, None, :]
    if not planes:
        share = np.where(ball, share, 0.0)
    total = np.zeros((len(packing.radii), 3, 3))
    np.add.at(total, contacts.first, share[:, None, None] * moment)
    np.add.at(total, contacts.second[ball], (1 - share[ball])[:, None, None] * moment[ball])
    return total / packing.volumes[:, None, None]


@checked
def mean_stress(packing: Packing) -> Array:
    """Return the mean stress over the whole box, pores included, shape (3, 3) [Pa].

    At rest its normal components are minus the pressures on the planes.

    Raises:
        InputError: If the packing has no contacts.
    """
    contacts = contacts_of(packing)
    return contacts.branches.T @ contacts.forces / float(np.prod(packing.lengths))


def contacts_of(packing: Packing) -> Contacts:
    """Return the contacts of a packing; raise InputError if it has none."""
    if not isinstance(packing, Packing):
        raise InputError(f"contacts belong to a Packing, got {shown(packing)}")
    if packing.contacts is None:
        raise InputError("the packing has no contacts: only those that were pressed have them")
    return packing.contacts
