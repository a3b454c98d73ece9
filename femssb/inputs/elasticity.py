"""Linear elasticity of a body, isotropic or of a crystal."""

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, check_number

Row = tuple[float, float, float, float, float, float]


@description
class Elasticity:
    """Isotropic linear elasticity."""

    young_modulus: float = field("Young's modulus", unit="Pa", lower=1e6, upper=2e12)
    poisson_ratio: float = field(
        "Poisson's ratio; beyond, linear elements lock", lower=-0.99, upper=0.49
    )

    @property
    def modulus(self) -> float:
        """Young's modulus [Pa]."""
        return self.young_modulus

    def lame(self) -> tuple[float, float]:
        """Return the Lame constants: lambda and the shear modulus mu [Pa]."""
        shear = self.young_modulus / (2 * (1 + self.poisson_ratio))
        return 2 * shear * self.poisson_ratio / (1 - 2 * self.poisson_ratio), shear

    def stiffness_matrix(self) -> Array:
        """Return the stiffness, (6, 6), Voigt order 11 22 33 23 13 12, engineering shear [Pa]."""
        first, shear = self.lame()
        stiffness = np.diag([2 * shear] * 3 + [shear] * 3)
        stiffness[:3, :3] += first
        return stiffness


@description
class CrystalElasticity:
    """Linear elasticity of a crystal, given in its own axes.

    Raises:
        InputError: If the stiffness is not symmetric and positive definite, or its eigenvalues are
            not between 1e5 and 1e13 Pa.
    """

    stiffness: tuple[Row, Row, Row, Row, Row, Row] = field(
        "stiffness, 6 x 6, Voigt order 11 22 33 23 13 12, engineering shear", unit="Pa"
    )

    def __post_init__(self) -> None:
        """Check symmetry and eigenvalues."""
        stiffness = self.stiffness_matrix()
        unequal = np.max(np.abs(stiffness - stiffness.T)) / np.max(np.abs(stiffness), initial=1.0)
        if unequal > 1e-9:
            raise InputError(
                f"CrystalElasticity.stiffness is not symmetric: entries differ by {unequal:.3g} of"
                " the largest, 1e-9 is allowed"
            )
        eigenvalues = np.linalg.eigvalsh(stiffness)
        for name, value in (("smallest", eigenvalues[0]), ("largest", eigenvalues[-1])):
            name = f"stiffness ({name} eigenvalue)"
            check_number("CrystalElasticity", name, value, lower=1e5, upper=1e13, unit="Pa")

    @property
    def modulus(self) -> float:
        """Smallest eigenvalue of the stiffness [Pa]: along no axis is Young's modulus smaller."""
        return float(np.linalg.eigvalsh(self.stiffness_matrix())[0])

    def stiffness_matrix(self) -> Array:
        """Return the stiffness, (6, 6), Voigt order 11 22 33 23 13 12, engineering shear [Pa]."""
        return np.array(self.stiffness, dtype=np.float64)
