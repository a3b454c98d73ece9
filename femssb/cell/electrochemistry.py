r"""Bulk forms of lithium in the grains, of ions and of electrons.

With the stoichiometry ``y = c / c_max`` every residual is a current [A]:

- lithium: :math:`F c_{max} (\dot y, v) + \langle i, v \rangle
  + (F c_{max} D (\nabla y - \Omega y/(RT) \nabla s), \nabla v) = 0`,
  with s a third of the trace of the stress;
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

from __future__ import annotations

import femssb.environment.platform

import ufl
from dolfinx import fem


def charge(space: fem.FunctionSpace, capacity: fem.Function) -> fem.Form:
    """Return the linear form ``(F c_max, v)``: the lumped charge of each full node [C]."""
    return fem.form(capacity * ufl.TestFunction(space) * ufl.dx)


def conduction(space: fem.FunctionSpace, conductivity: fem.Function) -> fem.Form:
    """Return ``(kappa grad phi, grad w)``; kappa is a number or a tensor, for y it is F c_max D."""
    phi, w = ufl.TrialFunction(space), ufl.TestFunction(space)
    return fem.form(ufl.inner(conductivity * ufl.grad(phi), ufl.grad(w)) * ufl.dx)


def drift(space: fem.FunctionSpace, mobility: fem.Function, stress: fem.Function) -> fem.Form:
    """Return ``-(y M grad s, grad v)``: lithium drifts to where it is pulled.

    The mobility is the tensor M = F c_max D Omega/(RT), Omega the partial molar volume.
    """
    y, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    return fem.form(-y * ufl.inner(mobility * ufl.grad(stress), ufl.grad(v)) * ufl.dx)
