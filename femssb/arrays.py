"""Types of arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]  # real numbers; shapes are said where it is used
Indices = NDArray[np.int64]

type Reals = ArrayLike  # real numbers, or one, in any form that NumPy makes an array of
type Complexes = ArrayLike  # complex ones
