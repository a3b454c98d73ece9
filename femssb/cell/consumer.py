"""What a consumer at the terminals draws: a power, or what passes a resistance."""

from dataclasses import dataclass

import numpy as np

from femssb.arrays import Array

# Below this voltage the current of a power goes on along its tangent: no pole stops an iteration.
LOWEST = 0.1  # [V]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """A consumer between the terminals; a charger has a negative power."""

    power: float = 0.0  # [W]
    conductance: float = 0.0  # [S]

    def response(self, voltage: Array) -> tuple[Array, Array]:
        """Return the current that it draws (n, 1) [A], and its derivative (n, 1, 1) [S].

        Args:
            voltage: Of the cell (n, 1) [V].
        """
        inside = np.maximum(voltage, LOWEST)
        slope = -self.power / inside**2
        current = self.power / inside + slope * (voltage - inside) + self.conductance * voltage
        return current, (slope + self.conductance)[:, :, None]

    def current(self, voltage: float) -> float:
        """Return the current that it draws at a voltage [A]."""
        return float(self.response(np.array([[voltage]]))[0].item())
