r"""Bulk forms of lithium in the grains, of ions and of electrons.

With the stoichiometry ``y = c / c_max`` every residual is a current [A]:

- lithium: :math:`F c_{max} (\dot y, v) + \langle i, v \rangle
  + (F c_{max} D (\nabla y - y/(RT) \nabla \tau), \nabla v) = 0`,
  with :math:`\tau` the energy that the stress releases with a mole of lithium;
- ions: :math:`(\kappa \nabla \phi_l, \nabla w)
  - \langle i, w \rangle - \langle i_{Li}, w \rangle = 0`;
- electrons: :math:`(\sigma_e \nabla \phi_s, \nabla w) + \langle i, w \rangle = I`, with I the
  charging current that enters at the collector.

The current i is that of insertion, i_Li that of the metal (signs: `femssb.cell.surfaces`). Surface
terms are algebra (`femssb.fem.surface_problem`), so only volume forms stand here. Coefficients are
constant in each cell.

Source: conservation laws as in Yuan 2023, section 2; Newman and Thomas-Alyea, Electrochemical
Systems, chapters 11 and 12.
"""

import femssb.environment.platform

import ufl
from dolfinx import fem


def charge(space: fem.FunctionSpace, capacity: fem.Function) -> fem.Form:
    """Return the linear form ``(F c_max, v)``: the lumped charge of each full node [C]."""
    return fem.form(capacity * ufl.TestFunction(space) * ufl.dx)


def diffusion(
    space: fem.FunctionSpace, capacity: fem.Function, diffusivity: fem.Function
) -> fem.Form:
    """Return ``(F c_max D grad y, grad v)`` for a capacity F c_max and a tensor D [m2/s]."""
    y, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    return fem.form(capacity * ufl.inner(ufl.dot(diffusivity, ufl.grad(y)), ufl.grad(v)) * ufl.dx)


def drift(
    space: fem.FunctionSpace, factor: fem.Function, diffusivity: fem.Function, pull: fem.Function
) -> fem.Form:
    """Return ``-(y f D grad tau, grad v)``: lithium drifts to where it is pulled.

    The factor is f = F c_max/(RT); tau is what the stress releases with a mole of lithium [J/mol],
    continuous: the partial molar volume times a third of the trace of the stress, or all of it.
    """
    y, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    velocity = ufl.dot(diffusivity, ufl.grad(pull))
    return fem.form(-factor * y * ufl.inner(velocity, ufl.grad(v)) * ufl.dx)


def conduction(space: fem.FunctionSpace, conductivity: fem.Function) -> fem.Form:
    """Return ``(kappa grad phi, grad w)`` for a conductivity [S/m]."""
    phi, w = ufl.TrialFunction(space), ufl.TestFunction(space)
    return fem.form(conductivity * ufl.inner(ufl.grad(phi), ufl.grad(w)) * ufl.dx)
