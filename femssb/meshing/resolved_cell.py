from math import inf
import numpy as np
from femssb.description import description, field
from femssb.inputs.geometry import Polycrystal, LENGTHS
from femssb.meshing.cut_balls import Balls
from femssb.units import um
@description
class ResolvedCell:
    """x."""
    width: float = field("x")
    depth: float = field("y")
    cathode: float = field("z")
    separator: float = field("s")
    particles: tuple[Polycrystal, ...] = field("p")
    volume: float | None = field("v", default=None)
