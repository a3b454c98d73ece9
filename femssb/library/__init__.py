"""Cited values: the complete set of each paper, and single materials.

Sets are modules whose function `materials` returns a `femssb.Materials`; single materials are
constants, each a `femssb.Solid`. Every value carries its source on its line; what was not measured
says ``assumed`` or ``derived``. Take a variant with `dataclasses.replace`.
"""

from femssb.library import yuan2023
from femssb.library.additives import CARBON_BLACK, CBD, NBR, PVDF, SBS
from femssb.library.cathodes import LCO, NCM111, NCM523, NCM622, NCM811
from femssb.library.electrolytes import LGPS, LI3PS4_GLASS, LI6PS5CL, LLZO, LSIPSCL
from femssb.library.metals import LITHIUM

__all__ = [
    "CARBON_BLACK",
    "CBD",
    "LCO",
    "LGPS",
    "LI3PS4_GLASS",
    "LI6PS5CL",
    "LITHIUM",
    "LLZO",
    "LSIPSCL",
    "NBR",
    "NCM111",
    "NCM523",
    "NCM622",
    "NCM811",
    "PVDF",
    "SBS",
    "yuan2023",
]
