"""Types of arrays."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  # real numbers; shapes are said where it is used
Indices = NDArray[np.int64]
