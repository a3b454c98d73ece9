"""Functions of the share of lithium that are written as a formula, as in a BPX file."""

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, shown

LONGEST = 10_000  # letters of a formula
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in ("exp", "log", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
} | {"arcsinh": np.arcsinh, "asinh": np.arcsinh, "arctan": np.arctan, "atan": np.arctan}
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


@description
class Formula:
    """A formula of x, the lithium over that of the full host, as a function of the concentration.

    Raises:
        InputError: If it has anything but numbers, x, ``+ - * / **``, brackets, and the functions
            exp, log, log10, sqrt, sin, cos, tan, sinh, cosh, tanh, arcsinh and arctan.
    """

    text: str = field('such as "4.2 - 0.5 * x + 0.1 * tanh(-20 * (x - 0.9))"')
    maximum: float = field("concentration where x is 1", unit="mol/m3", lower=1e3, upper=2e5)

    def __post_init__(self) -> None:
        """Check that it is a formula."""
        _parsed(self.text)

    def __call__(self, concentration: Any) -> Any:
        """Return its value, shape as the concentration [mol/m3]; also of complex numbers."""
        share = np.asarray(concentration) / self.maximum
        return _evaluated(_parsed(self.text), share) + 0.0 * share


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.expr:
    """Return the tree of a formula, with all that is none refused."""
    if len(text) > LONGEST:
        raise InputError(f"a formula of {len(text)} letters is too long: {shown(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise InputError(f"{shown(text)} is no formula of x: {error}") from error
    return tree


def _check(node: ast.expr) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        float(node.value)  # a whole number of hundreds of digits is none
        return
    if isinstance(node, ast.Name) and node.id == "x":
        return
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        _check(node.left)
        _check(node.right)
        return
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        _check(node.operand)
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _FUNCTIONS and len(node.args) == 1 and not node.keywords:
            _check(node.args[0])
            return
    raise ValueError(f"it has {ast.unparse(node)[:60]!r}")


def _evaluated(node: ast.expr, x: Array) -> Any:
    if isinstance(node, ast.Constant):
        value: Any = node.value
        return float(value)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_evaluated(node.left, x), _evaluated(node.right, x))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_evaluated(node.operand, x))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _FUNCTIONS[node.func.id](_evaluated(node.args[0], x))
    return x
