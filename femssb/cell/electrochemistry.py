r"""Bulk forms of lithium in the grains, of ions and of electrons.

With the stoichiometry ``y = c / c_max`` every residual is a current [A]:

- lithium: :math:`F c_{max} (\dot y, v) + \langle i, v \rangle
  + (F c_{max} D (\nabla y - \Omega y/(RT) \nabla s), \nabla v) = 0`,
  with s a third of the trace of the stress;
- ions: :math:`(\kappa \nabla \phi_l, \nabla w)
  - \langle i, w \rangle - \langle i_{Li}, w \rangle = 0`;
- electrons: :math:`(\sigma_e \nabla \phi_s, \nabla w) + \langle i, w \rangle = I`, with I the
  charging current that enters at the collector.

The interface current i is positive when lithium leaves the particle; i_Li is positive when lithium
metal dissolves. The surface terms are algebra (see `trace`), so only volume forms stand here.

Source: conservation laws as in Yuan, Lu and Xu (paper 002), section 2; Newman and Thomas-Alyea,
Electrochemical Systems, chapters 11 and 12.
"""

from __future__ import annotations

import femssb.environment.platform

import ufl
from dolfinx import fem

from femssb.units import FARADAY, GAS_CONSTANT


def lithium_mass(space: fem.FunctionSpace, maximum_concentration: float) -> fem.Form:
    """Return the linear form ``F c_max (1, v)``: the lumped charge held by each node [C]."""
    v = ufl.TestFunction(space)
    scale = fem.Constant(space.mesh, FARADAY * maximum_concentration)
    return fem.form(scale * v * ufl.dx)


def lithium_diffusion(
    space: fem.FunctionSpace, diffusivity: fem.Function, maximum_concentration: float
) -> fem.Form:
    """Return ``(F c_max D grad y, grad v)`` for a cell-wise tensor D [m2/s]."""
    y, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    scale = fem.Constant(space.mesh, FARADAY * maximum_concentration)
    return fem.form(scale * ufl.inner(ufl.dot(diffusivity, ufl.grad(y)), ufl.grad(v)) * ufl.dx)


def lithium_drift(
    space: fem.FunctionSpace,
    diffusivity: fem.Function,
    hydrostatic_stress: fem.Function,
    *,
    maximum_concentration: float,
    drift_volume: float,
    temperature: float,
) -> fem.Form:
    """Return ``-(F c_max Omega y/(RT) D grad s, grad v)``: lithium drifts to where it is pulled.

    Args:
        space: Space of the stoichiometry.
        diffusivity: Cell-wise tensor [m2/s].
        hydrostatic_stress: A third of the trace of the stress [Pa], continuous.
        maximum_concentration: Scale of the stoichiometry [mol/m3].
        drift_volume: Partial molar volume Omega [m3/mol].
        temperature: [K].
    """
    y, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    scale = fem.Constant(
        space.mesh,
        FARADAY * maximum_concentration * drift_volume / (GAS_CONSTANT * temperature),
    )
    velocity = ufl.dot(diffusivity, ufl.grad(hydrostatic_stress))
    return fem.form(-scale * y * ufl.inner(velocity, ufl.grad(v)) * ufl.dx)


def conduction(space: fem.FunctionSpace, conductivity: fem.Function) -> fem.Form:
    """Return ``(kappa grad phi, grad w)`` for a cell-wise conductivity [S/m]."""
    phi, w = ufl.TrialFunction(space), ufl.TestFunction(space)
    return fem.form(conductivity * ufl.inner(ufl.grad(phi), ufl.grad(w)) * ufl.dx)
