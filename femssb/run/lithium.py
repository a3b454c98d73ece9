"""When lithium runs out or no longer fits: what ends a protocol step, and what is only overshoot.

The bounds are 0 and ``maximum_concentration``. The open-circuit voltage goes on along its tangent
outside of its curve and the exchange current stays positive, so no equation stops at a bound. Two
signs say that one was really reached:

- *The current asks for it.* At points of the interface lithium is taken where there is none, or put
  where none fits. Their excess, its mean weighted by the current, must stay below `CARRIED`. An
  undershoot of the discretisation does not count there: kinetics fill it again, so that the current
  has the other sign, as long as the voltage is one that the curve has between the bounds.
- *A node is far outside*, by `FAR` of the maximum. Without stress drift, lithium inside a particle
  lies between that at the start and that at the interface; what is outside is overshoot of the
  linear elements with anisotropic diffusion, which `femssb.cell.limiter` holds back. Drift obeys no
  upper bound, as its law knows no full host; that is held back, too, and becomes a warning.

What lies outside without one of these signs is kept in the series and becomes a warning.
"""

from femssb.cell.model import Model, State

CARRIED = 1e-4  # excess over the maximum, mean weighted by the current: the error of a time step
FAR = 0.1  # of the maximum, at any node
_FURTHER = 0.01  # that a protocol step may go, of the maximum, where it starts with a node outside


def beyond(model: Model, state: State, start: State) -> float:
    """Return by how much lithium is past its bounds, negative before them [-]; collective.

    Args:
        model: The discretised half-cell.
        state: The state judged.
        start: State at the start of the protocol step. Nodes that were outside there already may
            come back.
    """
    x = model.electrochemical(state)
    carried = model.currents.overdrawn(x, state.gap, state.layer)
    allowed = max(FAR, _outside(model, start) + _FURTHER)
    return max(carried - CARRIED, _outside(model, state) - allowed)


def _outside(model: Model, state: State) -> float:
    """Return by how much the worst node is outside, over the maximum."""
    filled = model.stoichiometry(state)
    return max(model.bodies.largest(sign * filled - max(sign, 0)) for sign in (-1, 1))
