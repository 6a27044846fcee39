"""From arguments to what is measured: the layers of a network found, its inputs in the kind of number that it takes."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from modularity_lib.similarity.arguments import check_layers
from modularity_lib.similarity.derivatives import n_outputs_of
from modularity_lib.similarity.evaluation import Output, Subject, evaluate
from modularity_lib.similarity.inputs import Data
from modularity_lib.similarity.layers import checked_by_layer, checked_positions
from modularity_lib.similarity.nodes import Node, nodes_of
from modularity_lib.similarity.places import Where, layer_of, places_of
from modularity_lib.similarity.surroundings import evaluating


def subject_of(
    network: torch.nn.Module,
    data: Data,
    paths: dict[str, Where],
    *,
    units: object,
    positions: object,
    output: Output | None,
    inputs_at: dict[str, Where],
    calls: object,
    upstream: bool,
    downstream: bool,
) -> tuple[Subject, Data]:
    """What is measured, and the data as the network takes them.

    Args:
        network: without wrappers.
        data: all inputs.
        paths: {layer: its name in the network, or a function in forward}.
        units, positions, calls: as in `similarity_matrices`.
        output: as in `similarity_matrices`.
        inputs_at: {name: name in the network} of the submodule that input_gradient is taken by, or empty.
        upstream: whether input_gradient is wanted.
        downstream: whether a measure of the outputs is.
    Raises:
        ValueError: an argument does not fit the network, or the network not the inputs.
    """
    check_layers(network, [path for path in (*paths.values(), *inputs_at.values()) if isinstance(path, str)])
    axes = checked_by_layer("units", units, paths)
    chosen_calls = checked_by_layer("calls", calls, paths | inputs_at, at_least=0)
    where = checked_positions(positions)
    with evaluating(network):
        by_inputs = upstream and not inputs_at
        data = _as_taken(network, data, by_inputs=by_inputs)
        alone = Subject(network)
        places = places_of(network, paths | inputs_at, chosen_calls, lambda n: evaluate(alone, data.first(n)))
    layers = tuple(layer_of(places[name], axes.get(name), where) for name in paths)
    if where != "average" and all(len(layer.shape) == 1 for layer in layers):
        raise ValueError(f"positions must be 'average' where no layer has positions beside its units, got {where!r}.")
    at = [places[name] for name in inputs_at]
    return Subject(network, layers, upstream, downstream, at[0] if at and upstream else None, output), data


def _as_taken(network: torch.nn.Module, data: Data, *, by_inputs: bool) -> Data:
    """Whole numbers as they are where the network takes them, else as real numbers.

    Where derivatives by the inputs are wanted, real numbers come first: pixels and counts may be stored as whole ones.
    """
    start = data.start
    if all(array.dtype.kind == "f" for array in start.arrays):
        return data
    as_they_are, as_real = _refused(network, data), None
    real = replace(data, as_real=True)
    if as_they_are is not None or (by_inputs and not start.has_real):
        as_real = _refused(network, real)
        if as_real is None:
            return real
    if as_they_are is not None:
        assert as_real is not None
        raise as_real if "dtype" in str(as_they_are) or "type" in str(as_they_are) else as_they_are
    if by_inputs and (start.whole or not start.has_real):
        name = (start.whole or start.names)[0]
        tables = [path for path, module in network.named_modules() if isinstance(module, torch.nn.Embedding)]
        table = tables[0] if tables else "embedding"
        raise ValueError(
            f"inputs must be real numbers for input_gradient, which is a derivative by them, got whole numbers in "
            f"{name}. Name the submodule by whose output it is to be taken, inputs_at={table!r}, or leave "
            "input_gradient and input_gradient_norm out of measures; what is measured and not counted is passed with "
            ".astype(float)."
        )
    return data


def _refused(network: torch.nn.Module, data: Data) -> ValueError | None:
    """Why a network does not take inputs; None if it does."""
    try:
        evaluate(Subject(network), data.first(2))
    except ValueError as error:
        return error
    return None


def functions_of(network: torch.nn.Module, data: Data) -> Mapping[str, Node]:
    """What a network computes by functions in forward, by the names of torch.fx.

    Raises:
        CannotBeTraced: torch.fx cannot follow forward.
    """
    with evaluating(network):
        some = _as_taken(network, data, by_inputs=False).first(2)
        return nodes_of(network, lambda: evaluate(Subject(network), some))


def look_at(subject: Subject, data: Data) -> int:
    """The number of outputs, 0 if no measure needs them; ValueError if what is to be measured is not there."""
    with evaluating(subject.network):
        return n_outputs_of(evaluate(subject, data.first(2)))
