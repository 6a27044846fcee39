"""Layers as the caller names them, also within what wraps a network, and what else is said by their names."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from modularity_lib.arrays import shown
from modularity_lib.similarity.nodes import CannotBeTraced, Node
from modularity_lib.similarity.places import Positions, Where
from modularity_lib.similarity.surroundings import COMPILED
from modularity_lib.vocabulary import chosen_names, did_you_mean, some_of

_WRAPPERS = (  # of which "module" is the network
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    AveragedModel,
)


def without_wrappers(network: torch.nn.Module) -> torch.nn.Module:
    """The network within one that spreads it over devices or averages it; hooks on the wrapper keep it."""
    while isinstance(network, _WRAPPERS) and not network._forward_hooks and not network._forward_pre_hooks:
        network = network.module
    return network


def paths_of(network: torch.nn.Module) -> dict[str, str]:
    """{name of a submodule without the parts that wrappers put there: its name in the network}."""
    wrappers = {path for path, module in network.named_modules() if isinstance(module, _WRAPPERS)}
    found: dict[str, str] = {}
    for path, _ in network.named_modules():
        parts = path.split(".")
        kept = [
            part
            for place, part in enumerate(parts)
            if part != COMPILED and not (part == "module" and ".".join(parts[:place]) in wrappers)
        ]
        found.setdefault(".".join(kept), path)
    return found


def chosen_paths(
    argument: str,
    network: torch.nn.Module,
    layers: Iterable[str | torch.nn.Module] | str | torch.nn.Module | None,
    *,
    functions: Callable[[], Mapping[str, Node]],
    default: Sequence[str] | None = None,
) -> dict[str, Where]:
    """{layer as the caller names it: its name in the network without wrappers around it, or a function in forward}.

    Args:
        argument: how errors call what the layers were given as.
        network: the network as it came, with its wrappers.
        layers: names of submodules or functions, or submodules of the network; one or several.
        functions: gives what forward computes by functions; it is only called if a name is that of no submodule.
        default: names to take if there are none.
    """
    inner = without_wrappers(network)
    paths = {name: path for name, path in paths_of(inner).items() if name}
    known: dict[str, Where] = dict(paths)
    names = {id(inner.get_submodule(path)): name for name, path in paths.items()}
    wanted: Any = [layers] if isinstance(layers, str | torch.nn.Module) else layers
    if isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes | np.ndarray | Mapping):
        wanted = [names.get(id(each), each) if isinstance(each, torch.nn.Module) else each for each in wanted]
        aliases = {name: path for name, path in _with_wrappers(network, inner).items() if path in known.values()}
        known |= {name: aliases[name] for name in wanted if isinstance(name, str) and name in aliases.keys() - known}
        unknown = next((name for name in wanted if isinstance(name, str) and name not in known), None)
        if unknown is not None:
            known |= _functions_too(argument, unknown, known, functions)
    usual = [name for name in default or () if name in known]  # unless some were deleted
    return {name: known[name] for name in chosen_names(argument, wanted, list(known), default=usual or None)}


def _functions_too(
    argument: str, unknown: str, known: Collection[str], functions: Callable[[], Mapping[str, Node]]
) -> Mapping[str, Node]:
    """The functions that can be named beside submodules; ValueError if a network cannot be traced to find them."""
    try:
        return functions()
    except CannotBeTraced as error:
        raise ValueError(
            f"{argument} has no {unknown!r}.{did_you_mean(unknown, known)} Expected some of {some_of(known)}. Only "
            f"submodules can be named, and no functions in forward, as torch.fx cannot trace this network: {error}."
        ) from error


def _with_wrappers(network: torch.nn.Module, inner: torch.nn.Module) -> dict[str, str]:
    """The same submodules by their names in the network as it came, and in the one within its wrappers."""
    prefix, around = "", network
    while around is not inner:
        around, prefix = around.get_submodule("module"), f"{prefix}module."
    paths = [path for path, _ in inner.named_modules() if path]
    return {path: path for path in paths} | {f"{prefix}{path}": path for path in paths}


def checked_positions(positions: object) -> Positions:
    """ "average", "pool" or a whole number; ValueError for anything else."""
    if isinstance(positions, str) and positions in ("average", "pool"):
        return positions  # type: ignore[return-value]
    if isinstance(positions, int | np.integer) and not isinstance(positions, bool):
        return int(positions)
    near = did_you_mean(positions, ("average", "pool"))
    raise ValueError(
        f"positions must be 'average', 'pool' or a whole number, the place of one position, got {shown(positions)}."
        f"{near}"
    )


def checked_by_layer(
    argument: str, given: object, names: Collection[str], *, at_least: int | None = None
) -> dict[str, int]:
    """{layer: whole number}; ValueError for anything else, or for other names."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{argument} must be a dict of whole numbers by layer, such as {{{next(iter(names))!r}: 1}}, got "
            f"{shown(given)}."
        )
    found = {}
    for name, number in given.items():
        if name not in names:
            raise ValueError(
                f"{argument} must name layers that are measured, {some_of(names)}, got {shown(name)}."
                f"{did_you_mean(name, names)}"
            )
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise ValueError(f"{argument} must be a whole number for layer {name!r}, got {shown(number)}.")
        if at_least is not None and number < at_least:
            raise ValueError(f"{argument} must be at least {at_least} for layer {name!r}, got {number}.")
        found[name] = int(number)
    return found
