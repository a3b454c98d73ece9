r"""Bulk forms of elasticity with chemical strain, and measures of stress.

Equilibrium: :math:`(C : (\varepsilon(u) - \beta(c) E), \varepsilon(v)) = \ldots`, tension positive.
C is the stiffness in Voigt order 11 22 33 23 13 12 (engineering shear) and E the direction of the
chemical strain, both constant in each cell, so every operator here is linear and assembled once.

Source: Slaughter, The Linearized Theory of Elasticity (2002), chapter 6, for the Voigt relations.
"""

import femssb.environment.platform

import numpy as np
import ufl
from dolfinx import fem

from femssb.arrays import Array
from femssb.tensors import PAIRS, components


def strain(displacement: ufl.core.expr.Expr) -> ufl.core.expr.Expr:
    """Return the strain of a displacement in Voigt order, engineering shear."""
    tensor = ufl.sym(ufl.grad(displacement))
    return ufl.as_vector([(tensor[i, j] if i == j else 2 * tensor[i, j]) for i, j in PAIRS])


def elasticity(
    space: fem.FunctionSpace, stiffness: fem.Function, trial: fem.FunctionSpace | None = None
) -> fem.Form:
    """Return ``(C : eps(u), eps(v))`` [N/m per m], v in a space and u there or in another one."""
    u, v = ufl.TrialFunction(trial or space), ufl.TestFunction(space)
    return fem.form(ufl.inner(ufl.dot(stiffness, strain(u)), strain(v)) * ufl.dx)


def chemical_load(
    space: fem.FunctionSpace,
    vectors: fem.FunctionSpace,
    stiffness: fem.Function,
    direction: fem.Function,
) -> fem.Form:
    """Return ``(beta C : E, eps(v))``, bilinear in v (rows) and the chemical strain beta (columns).

    The amplitude beta is the first component of ``vectors``, a linear vector space; the stiffness
    is a Voigt matrix (6, 6) [Pa], E a Voigt strain (6,) per unit amplitude.
    """
    beta, v = ufl.TrialFunction(vectors)[0], ufl.TestFunction(space)
    return fem.form(beta * ufl.inner(ufl.dot(stiffness, direction), strain(v)) * ufl.dx)


def hydrostatic_of_displacement(
    space: fem.FunctionSpace, vectors: fem.FunctionSpace, stiffness: fem.Function
) -> fem.Form:
    """Return ``(tr(C : eps(u))/3, w)``, w being the first component of ``vectors`` (rows).

    With a cell-wise constant w these are integrals over the cells [N m].
    """
    u, w = ufl.TrialFunction(space), ufl.TestFunction(vectors)[0]
    stress = ufl.dot(stiffness, strain(u))
    return fem.form((stress[0] + stress[1] + stress[2]) / 3 * w * ufl.dx)


def hydrostatic_of_expansion(
    vectors: fem.FunctionSpace,
    test: fem.FunctionSpace,
    stiffness: fem.Function,
    direction: fem.Function,
) -> fem.Form:
    """Return ``(beta tr(C : E)/3, w)``, bilinear in the amplitude beta (columns) and w (rows).

    Each is the first component of a vector space: the amplitude of ``vectors``, w of ``test``.
    """
    beta, w = ufl.TrialFunction(vectors)[0], ufl.TestFunction(test)[0]
    stress = ufl.dot(stiffness, direction)
    return fem.form(beta * (stress[0] + stress[1] + stress[2]) / 3 * w * ufl.dx)


def volume_weight(scalars: fem.FunctionSpace) -> fem.Form:
    """Return ``(1, w)``: the volume of each node [m3]."""
    return fem.form(fem.Constant(scalars.mesh, 1.0) * ufl.TestFunction(scalars) * ufl.dx)


def expansion_direction(ratio: tuple[float, float, float], rotations: Array) -> Array:
    """Return (n, 6) Voigt strains ``Q diag(ratio) Q^T`` (engineering shear)."""
    tensor = np.einsum("nik,k,njk->nij", rotations, np.asarray(ratio), rotations)
    return components(tensor) * np.array([1, 1, 1, 2, 2, 2])
