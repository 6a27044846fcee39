"""Linear maps at both ends of what is differentiated, whose derivatives are known and need no pass backwards.

Where inputs enter through one linear map z = Wx + b, with G = ∂h/∂z, (∂h/∂x)(∂h/∂x)ᵀ = G WWᵀ Gᵀ: as in `closed_form`,
the many inputs cost nothing. Where each unit is a function of one number, h_i = f(z_i), with z = Wg + b, the derivative
of a unit by g is f'(z_i) W_i, and a pass backwards can start there. Both are read off what automatic differentiation
keeps, so it does not matter how the network is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import GradientEdge

# What leaves the numbers of each input as they are and in their order, as automatic differentiation calls it.
_REARRANGING = {f"{name}Backward0" for name in ("Clone", "View", "ReshapeAlias", "UnsafeView", "Alias")}
_PLACE_OF_INPUTS = {"AddmmBackward0": 1, "MmBackward0": 0}  # among the arguments of b + x Wᵀ, and of x Wᵀ
# Functions of each number by itself.
_FUNCTIONS = {
    f"{name}Backward0"
    for name in ("Tanh", "Relu", "Sigmoid", "Gelu", "Silu", "LeakyRelu", "Elu", "Softplus", "Hardtanh", "Mish")
}
_ROUNDING = 1e-3  # of the largest derivative, in single precision; a wrong map is off by far more


@dataclass(frozen=True)
class LinearEntry:
    """The linear map that inputs enter through: what comes out of it, to differentiate by, and Wᵀ, (numbers, z)."""

    edge: GradientEdge
    weight: torch.Tensor

    @property
    def n_z(self) -> int:
        """How many numbers come out."""
        return self.weight.shape[1]

    def root(self) -> np.ndarray:
        """R in float64 with RᵀR = WWᵀ, so that (∂h/∂x)(∂h/∂x)ᵀ = (GRᵀ)(GRᵀ)ᵀ."""
        return np.asarray(np.linalg.qr(self.weight.cpu().numpy().astype(np.float64), mode="r"))

    def saves(self, n_units: int) -> bool:
        """Whether it is less work to differentiate by z; products in double precision count twice."""
        n_numbers = len(self.weight)
        return self.n_z * (2 * self.n_z + n_units) < n_numbers * (self.n_z + n_units)


def linear_entry(outputs: torch.Tensor, variable: torch.Tensor) -> LinearEntry | None:
    """The one linear map that all of a variable, (inputs, ...), goes into, and nothing else; None if there is none.

    Args:
        outputs: what is differentiated.
        variable: by what it is differentiated.
    """
    if outputs.grad_fn is None or variable.grad_fn is not None:
        return None
    users: dict[Any, list[tuple[Any, int]]] = {}
    leaf = None
    for user, place, used in _edges(outputs.grad_fn):
        users.setdefault(used, []).append((user, place))
        if getattr(used, "variable", None) is variable:
            leaf = used
    node, place = leaf, 0
    while node is not None and (node is leaf or node.name() in _REARRANGING):
        after = users.get(node, [])
        node, place = after[0] if len(after) == 1 else (None, 0)
    if node is None or _PLACE_OF_INPUTS.get(node.name()) != place or getattr(node, "_saved_alpha", 1) != 1:
        return None
    weight = node._saved_mat2.detach()
    if len(weight) != variable[0].numel() or weight.dtype != variable.dtype:
        return None
    entry = LinearEntry(GradientEdge(node, 0), weight)
    return entry if _is_right(entry, outputs, variable) else None


@dataclass(frozen=True)
class LinearExit:
    """The linear map that outputs come out of, but for a function f of each number; weight is Wᵀ, (g, outputs).

    `edge` is what goes into the map, to differentiate from, and `slopes` is f'(z).
    """

    edge: GradientEdge
    weight: torch.Tensor
    slopes: torch.Tensor  # (inputs, outputs)

    def starts(self, some: range) -> torch.Tensor:
        """∂h/∂g of some outputs, (some outputs, inputs, g)."""
        part = slice(some.start, some.stop)
        return self.slopes[:, part].T[:, :, None] * self.weight[:, part].T[:, None, :]


def linear_exit(outputs: torch.Tensor, variables: Sequence[Any]) -> LinearExit | None:
    """The linear map that all outputs, (inputs, outputs), come out of; None if there is none.

    There is none either if one of the variables that outputs are differentiated by comes after the map.
    """
    known = [variable.grad_fn if isinstance(variable, torch.Tensor) else variable.node for variable in variables]
    node = outputs.grad_fn
    while node is not None and node not in known and node.name() in _FUNCTIONS | _REARRANGING:
        before = [used for used, _ in node.next_functions if used is not None]
        node = before[0] if len(before) == 1 else None
    if node in known:
        return None
    place = None if node is None else _PLACE_OF_INPUTS.get(node.name())
    if node is None or place is None or getattr(node, "_saved_alpha", 1) != 1:
        return None
    used, number = node.next_functions[place]
    weight = getattr(node, "_saved_mat2", None)
    if used is None or weight is None or weight.shape[1] != outputs.shape[1] or weight.dtype != outputs.dtype:
        return None
    try:
        (slopes,) = torch.autograd.grad(outputs.sum(), [GradientEdge(node, 0)], retain_graph=True)
    except RuntimeError:
        return None
    is_whole = slopes.shape == outputs.shape
    return LinearExit(GradientEdge(used, number), weight.detach(), slopes) if is_whole else None


def _edges(node: Any) -> Iterator[tuple[Any, int, Any]]:
    """All (operation, place, operation whose result is used there) that a result depends on."""
    seen, waiting = {node}, [node]
    while waiting:
        user = waiting.pop()
        for place, (used, _) in enumerate(user.next_functions):
            if used is not None:
                yield user, place, used
                if used not in seen:
                    seen.add(used)
                    waiting.append(used)


def _is_right(entry: LinearEntry, outputs: torch.Tensor, variable: torch.Tensor) -> bool:
    """Whether one derivative by the variable is that through z: hooks on a tensor, which cannot be seen, change it."""
    weights = torch.arange(1, outputs.numel() + 1, dtype=outputs.dtype, device=outputs.device).cos()
    combined = (outputs * weights.reshape(outputs.shape)).sum()
    try:
        by: list[Any] = [variable, entry.edge]
        by_variable, by_z = torch.autograd.grad(combined, by, retain_graph=True, allow_unused=True)
    except RuntimeError:
        return False
    if by_variable is None or by_z is None or by_z.shape != (len(variable), entry.n_z):
        return False
    expected = by_variable.flatten(1)
    allowed = _ROUNDING * expected.abs().max()
    return bool(((by_z @ entry.weight.T - expected).abs() <= allowed).all())
