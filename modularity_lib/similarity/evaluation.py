"""One pass of inputs through a network: the activities of its layers and its outputs, ready to be differentiated."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch

from modularity_lib.similarity.backward import Backward
from modularity_lib.similarity.inputs import Inputs
from modularity_lib.similarity.nodes import unseen
from modularity_lib.similarity.places import Layer, Place, shape_of, taken
from modularity_lib.similarity.precision import AtLeast, precision_of

Output = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class Subject:
    """A network, and what of it is looked at.

    Attributes:
        network: the network.
        layers: those whose units are compared.
        upstream: whether the layers are to be differentiated by the inputs.
        downstream: whether the outputs are to be differentiated by the layers.
        inputs_at: where the numbers are that the layers are differentiated by; the inputs themselves if None.
        output: makes outputs, (inputs, outputs) or (inputs,), of what the network returns.
    """

    network: torch.nn.Module
    layers: tuple[Layer, ...] = ()
    upstream: bool = False
    downstream: bool = False
    inputs_at: Place | None = None
    output: Output | None = None


@dataclass(frozen=True)
class Evaluation:
    """Inputs on their way through a network.

    Attributes:
        variables: what layers are differentiated by, the inputs as axis 0: the inputs, or one activity in their stead.
        activities: per layer, its output as it leaves the user's hooks.
        units: per layer, what outputs are differentiated by: its output, or a shift of it (see `Layer.is_shifted`).
        outputs: (inputs, outputs); None if the network gives something else and no one needs them.
        is_column: whether the outputs came as (inputs,).
        n_bytes: about what the operations of the pass gave, all together.
        backward: the passes backwards.
    """

    variables: tuple[torch.Tensor, ...]
    activities: dict[str, torch.Tensor]
    units: dict[str, torch.Tensor]
    outputs: torch.Tensor | None
    is_column: bool
    n_bytes: int
    backward: Backward


def evaluate(
    subject: Subject, inputs: Inputs, *, at_least: torch.dtype = torch.float32, graph: bool = True
) -> Evaluation:
    """Run the network within `evaluating` and record the layers, as their outputs leave the hooks of the user.

    Args:
        subject: the network, and what is recorded of it.
        inputs: some inputs.
        at_least: the precision to work in, where that of the network is lower.
        graph: keep what derivatives need.
    Raises:
        ValueError: the network cannot be applied to the inputs, a layer gives another shape than it did before, or
            outputs are needed and not there, or not finite.
    """
    network, layers = subject.network, subject.layers
    variables: list[torch.Tensor] = []
    activities: dict[str, torch.Tensor] = {}
    units: dict[str, torch.Tensor] = {}

    def start_at(place: Place, tensor: torch.Tensor) -> torch.Tensor:
        _check_shape(place, tensor, len(inputs))
        if not tensor.is_floating_point():
            raise CannotBeMeasured(
                f"inputs_at must name a submodule that gives real numbers, but {place.name!r} gives {tensor.dtype}."
            )
        if graph and not tensor.requires_grad:
            tensor = tensor.detach().requires_grad_()
        variables.append(tensor.movedim(place.inputs_axis, 0))
        return variables[-1].clone().movedim(0, place.inputs_axis)

    def record(layer: Place, tensor: torch.Tensor) -> torch.Tensor:
        assert isinstance(layer, Layer)
        _check_shape(layer, tensor, len(inputs))
        if (subject.upstream or subject.downstream) and not tensor.is_floating_point():
            raise CannotBeMeasured(
                f"layer {layer.name!r} must have activities that can be differentiated, got {tensor.dtype}. Of whole "
                "numbers, or of True and False, input_covariance alone is defined."
            )
        if graph and subject.downstream:
            is_first = not subject.upstream and not units
            if is_first or not tensor.requires_grad:  # what comes before is not needed, and not kept
                tensor = tensor.detach().requires_grad_()
        activities[layer.name] = units[layer.name] = tensor
        if graph and subject.downstream and layer.is_shifted:
            shift = units[layer.name] = layer.shift_of(tensor)
            return layer.shifted(tensor, shift)
        return tensor.clone()  # the network may change its copy in place

    dtype = precision_of(network, inputs.arrays, at_least)
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))
    with ExitStack() as stack:
        if not graph:
            stack.enter_context(torch.no_grad())
        stack.enter_context(_ids_checked(network))
        if subject.inputs_at is not None:
            stack.enter_context(taken(network, [subject.inputs_at], start_at))
        stack.enter_context(taken(network, layers, record))
        given = inputs.tensors(device, dtype)
        real = [tensor.requires_grad_(graph) for tensor in given if tensor.is_floating_point()]
        if subject.inputs_at is None:
            variables += real
        try:
            with AtLeast(dtype, device.type) as precision:
                returned = called(network, inputs, tuple(tensor.clone() for tensor in given))
                outputs = _outputs_of(subject, returned, len(inputs))
        except CannotBeMeasured:
            raise
        except _OF_FORWARD as error:
            raise ValueError(_cannot_be_applied(inputs, error)) from error
    for layer in layers:
        if layer.name not in activities:
            raise ValueError(f"layer {layer.name!r} must be called for all inputs, but is left out for some.")
    return Evaluation(
        tuple(variables),
        activities,
        units,
        None if outputs is None else outputs.reshape(len(inputs), -1),
        outputs is not None and outputs.ndim == 1,
        precision.n_bytes,
        Backward(precision.n_bytes),
    )


def needs_a_graph(subject: Subject, inputs: Inputs, *, at_least: torch.dtype = torch.float32) -> bool:
    """Whether forward does what can only be done where derivatives are kept, such as to hook a tensor."""
    try:
        evaluate(subject, inputs, at_least=at_least, graph=False)
    except ValueError:
        return True
    return False


@contextmanager
def _ids_checked(network: torch.nn.Module) -> Iterator[None]:
    """Refuse ids that an embedding does not have: a GPU that looks them up is of no use afterwards."""

    def check(path: str, table: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        ids = given[0] if given else named.get("input")
        if not isinstance(ids, torch.Tensor) or ids.is_floating_point() or ids.numel() == 0:
            return
        with unseen():
            lowest, highest = int(ids.min()), int(ids.max())
        if lowest < 0 or highest >= table.num_embeddings:
            raise CannotBeMeasured(
                f"inputs must hold ids that the embedding {path!r} has, 0 to {table.num_embeddings - 1}, got "
                f"{lowest if lowest < 0 else highest}. {_WAY_TO_IDS}"
            )

    with ExitStack() as stack:
        for path, module in network.named_modules():
            if isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag):
                hook = module.register_forward_pre_hook(partial(check, path), with_kwargs=True)
                stack.callback(hook.remove)
        yield


_WAY_TO_IDS = (
    "Make them by the tokenizer of this network; where it counts positions, the inputs are longer than it allows."
)


_OF_FORWARD = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AssertionError, AttributeError)


def called(network: torch.nn.Module, inputs: Inputs, given: tuple[torch.Tensor, ...]) -> Any:
    """What a network returns for tensors that stand for these inputs."""
    if inputs.keywords is not None:
        return network(**dict(zip(inputs.keywords, given, strict=True)))
    return network(*given)


class CannotBeMeasured(ValueError):
    """What a network, a layer or a hook gives is not what measures are defined for; the message says why."""


def _check_shape(place: Place, tensor: torch.Tensor, n_inputs: int) -> None:
    shape = (*place.shape[: place.inputs_axis], n_inputs, *place.shape[place.inputs_axis :])
    if tuple(tensor.shape) != shape:
        raise CannotBeMeasured(
            f"layer {place.name!r} must give the same shape for all inputs, got {tuple(tensor.shape)} where "
            f"{shape_of(place)} was seen before. Give all inputs the same length."
        )


def _outputs_of(subject: Subject, returned: Any, n_inputs: int) -> torch.Tensor | None:
    """The outputs, (inputs, outputs) or (inputs,), of what a network returns."""
    is_needed = subject.downstream or subject.output is not None
    if subject.output is None:
        outputs = _logits_in(returned)
    else:
        try:
            outputs = subject.output(returned)
        except (*_OF_FORWARD, NameError) as error:
            raise CannotBeMeasured(
                f"output cannot be applied to what the network returns, {_shown(returned)}: {error}"
            ) from error
    if not isinstance(outputs, torch.Tensor) or outputs.ndim not in (1, 2) or len(outputs) != n_inputs:
        if not is_needed:
            return None
        whose = "network must give outputs" if subject.output is None else "output must give a tensor"
        raise CannotBeMeasured(
            f"{whose} of shape ({n_inputs}, outputs) for {n_inputs} inputs, got {_shown(outputs)}. "
            f"{_way_to_outputs(outputs, n_inputs)}"
        )
    if outputs.is_complex() or outputs.dtype == torch.bool:
        raise CannotBeMeasured(f"network must give real outputs, got {outputs.dtype}.")
    if not outputs.isfinite().all():
        raise CannotBeMeasured("the network's outputs are not all finite: did its training diverge?")
    return outputs


def _logits_in(returned: Any) -> Any:
    """What the models of transformers call logits; else all that the network returns."""
    if isinstance(returned, torch.Tensor):
        return returned
    if isinstance(returned, Mapping):
        return returned.get("logits", returned)
    return getattr(returned, "logits", returned)


def _way_to_outputs(outputs: Any, n_inputs: int) -> str:
    needed = "Only measures of the outputs need them: output_gradient and output_hessian"
    if isinstance(outputs, torch.Tensor):
        if outputs.ndim > 2 and len(outputs) == n_inputs:
            example = "y.flatten(1), or output=lambda y: y[:, -1] for one position"
        else:
            return f"Return one row of outputs for each input, the inputs as axis 0. {needed}."
    elif isinstance(outputs, Mapping) and outputs:
        example = f"y[{next(iter(outputs))!r}]"
    elif isinstance(outputs, tuple | list):
        example = "y[0]"
    else:
        example = "y.logits"
    return f"Choose them by output=lambda y: {example}. {needed}."


def _cannot_be_applied(inputs: Inputs, error: Exception) -> str:
    text = f"{inputs.shown} cannot go through the network: {str(error).rstrip('.')}."
    if is_about_change_in_place(error):
        return f"{text} {CHANGE_A_COPY}"
    if "Long" in str(error) and "Int" in str(error):
        return (
            f"{text} It looks numbers up in a table (torch.nn.Embedding), which takes whole numbers: pass token ids "
            "with .astype(int) or .long()."
        )
    if isinstance(error, IndexError) and "out of range in self" in str(error):  # of functional.embedding
        return f"{text} Inputs must hold ids that are rows of the table in which they are looked up. {_WAY_TO_IDS}"
    if isinstance(error, TypeError) and "argument" in str(error):
        return (
            f"{text} A tuple of arrays is passed as several inputs, a dict by keywords; one array or a list is one "
            "input."
        )
    return f"{text} Give inputs as its first layer expects them, (inputs, numbers) for a linear one."


CHANGE_A_COPY = (
    "Something is changed in place, by h[:, 0] = 0 or h.mul_(mask), that derivatives still need. Change a copy: in "
    "forward h = h.clone() before, in a hook output = output.clone() before, and return output."
)


def is_about_change_in_place(error: Exception) -> bool:
    """Whether PyTorch complains that something was changed in place."""
    return "inplace" in str(error) or "in-place" in str(error)


def _shown(output: Any) -> str:
    return f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
