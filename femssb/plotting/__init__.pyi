from .curves import Reference as Reference
from .runs import compare as compare
from .runs import compare_cells as compare_cells
from .runs import compare_sections as compare_sections
from .runs import cycle as cycle
