"""The eight measures of how similar two hidden units of a layer are, from upstream or downstream information."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from modularity_lib.similarity.arguments import check_network, check_settings, images_of
from modularity_lib.similarity.averages import Curvature, Hessian, signed_averages
from modularity_lib.similarity.evaluation import Output
from modularity_lib.similarity.inputs import data_of
from modularity_lib.similarity.layers import chosen_paths, without_wrappers
from modularity_lib.similarity.losses import check_labels, check_labels_alone, check_outputs, loss_of
from modularity_lib.similarity.perceptron import (
    gives_logits_of,
    perceptron_in,
    plain_perceptron,
    why_not_plain,
)
from modularity_lib.similarity.perceptron_measures import measure_of, perceptron_averages
from modularity_lib.similarity.places import Positions
from modularity_lib.similarity.pre_activations import warn_of_pre_activations
from modularity_lib.similarity.steadiness import check_is_function_of_one_input
from modularity_lib.similarity.subjects import functions_of, look_at, subject_of
from modularity_lib.vocabulary import MEASURES, Measure, chosen_names, quantity_of

_N_COMPARED = 4  # inputs on which an MLP is compared with its weights


def similarity_matrices(
    network: torch.nn.Module,
    inputs: Any,
    labels: Any = None,
    *,
    layers: Sequence[str | torch.nn.Module] | str | None = None,
    measures: Sequence[Measure] | None = None,
    units: Mapping[str, int] | None = None,
    positions: Positions = "average",
    output: Output | None = None,
    loss: str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    curvature: Curvature = "hessian",
    inputs_at: str | torch.nn.Module | None = None,
    calls: Mapping[str, int] | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Similarity of every two units of a hidden layer, for each layer and measure. Higher = more alike.

    With h the activity of the layer, x an input, y the outputs of the network, L their loss, and averages over inputs,

        input_covariance   S_ij = average of (h_i - average h_i)(h_j - average h_j)       upstream
        input_gradient     S_ij = average of ⟨∂h_i/∂x, ∂h_j/∂x⟩                           upstream
        output_gradient    S_ij = average of ⟨∂y/∂h_i, ∂y/∂h_j⟩                           downstream
        output_hessian     S_ij = average of ∂²L/∂h_i∂h_j                                 downstream

    The measure is |S_ij|, and under the same name with "_norm" |S_ij / √(S_ii S_jj)|, zero where S_ii or S_jj is 0.
    Dropout is off while measuring; the network is left as it was. A ReLU perceptron, be it an `MLP` or a
    `torch.nn.Sequential` of Linear, ReLU, Dropout, Identity and Flatten, is measured in closed form and in float64,
    whatever its precision: regularisation leaves silent units with outgoing weights near 1e-38, whose squares vanish
    in float32, so that a unit would be dead downstream by underflow and not because S_ii is 0. Any other network, and
    a perceptron with hooks, other parts, other methods or weights that are computed, is measured by automatic
    differentiation, which is slower: in its own precision, in float32 if that is lower, with products and sums in
    float64. So is a perceptron if one of the layers is not the activity after a ReLU. A network that `torch.compile` or
    `DataParallel` wraps is measured as it was written, under the names of its layers.

    Where a layer gives its units at several positions (channels of a convolution, tokens, time steps), `positions`
    says what a unit is. The cost of input_gradient, and of output_hessian but for "gauss-newton", grows with units
    times positions for "average", with units alone otherwise; that of output_gradient with the outputs.

    Args:
        network: any module that gives each input's outputs from that input alone.
        inputs: finite numbers with the inputs as axis 0: an array or a tensor; a tuple or dict of them, which the
            network is given as several arguments or by keywords; a Dataset or DataLoader of PyTorch, which yields
            inputs or pairs (inputs, labels). A list is one array. Real numbers take the precision of the network, whole
            numbers stay what they are where the network takes them.
        labels: of the loss, one entry for each input. What they say matters to output_hessian alone. A ReLU perceptron
            does not need them, as the Hessian of a piecewise linear network does not depend on them, nor does
            curvature="gauss-newton" of the three losses that have a name.
        layers: names of hidden layers, as in `network.named_modules()`, or these submodules; one or several. The
            activity of a layer is the output of that submodule after the hooks on it; of several tensors the first that
            has the inputs as axis 0. What forward computes by a function is named as torch.fx names it, where that can
            trace the network: "relu" for the first F.relu(...), "relu_1" for the second. By default all hidden layers
            of an `MLP`; other networks require it.
        measures: names from `MEASURES`; all by default. Only what these need is computed.
        units: {layer: axis of its units} where an output is not (inputs, units): 1 for (inputs, channels, rows,
            columns), 2 or -1 for (inputs, tokens, units). The other axes are positions.
        positions: "average" compares units at each position and averages the signed S over positions, then takes |S|
            and the norm. "pool" takes the mean activity over positions as the unit; downstream derivatives are those
            by a shift that is common to all positions. A whole number takes one position, -1 the last; it needs a layer
            with one axis of positions. Every position of every input counts, those that only fill a batch up, too: see
            "Padding" in the chapter `how_to`.
        output: makes y, (inputs, outputs) or (inputs,), of what the network returns; `lambda o: o[0]` for a tuple.
            By default it is what the network returns, or the logits in it. Only measures of the outputs need it.
        loss: "cross-entropy" (the default; labels are classes (inputs,), counted from 0), "binary-cross-entropy" (y
            are logits; labels 0 or 1, of the shape of y), "mean-squared-error" (labels are real, of the shape of y), or
            a function of (outputs, labels). It is the loss of one input: those with a name as PyTorch has them, the
            last two a mean over outputs. A function is called with one input at a time, (1, outputs) and its labels, so
            that its mean or sum over the batch changes nothing.
        curvature: "hessian" asks how the loss itself curves as two units change together. Off piecewise linear
            networks it is indefinite, so that output_hessian_norm, which divides by √(|S_ii| |S_jj|), has no bound.
            "gauss-newton" takes JᵀHJ with J = ∂y/∂h and H = ∂²L/∂y∂y: how far two units move the outputs together, in
            the metric of the loss, as if the network were linear. Where H is not negative, as for the losses with a
            name, the norm lies in [0, 1]. Both are the same for piecewise linear networks.
        inputs_at: submodule by whose output, instead of by x, input_gradient is taken, as token ids have no
            derivatives: the embedding.
        calls: {layer: which call counts, from 0} of a submodule that is called several times for an input.
        batch_size: inputs that go through the network together; by default as many as 64 MB of intermediate numbers
            allow. The result depends on it by rounding alone.
        progress: whether a bar shows the time left; by default on a terminal.
    Returns:
        {layer: {measure: array}}, measures in the order of `MEASURES`. The arrays are symmetric, non-negative, finite,
        float64, of shape (units, units), with their diagonal kept. Normalised measures are at most 1, up to rounding,
        but for output_hessian_norm (see curvature). A unit that is constant over the inputs has covariance exactly 0
        with all units: one whose standard deviation is at most 16 ε times its largest activity, with ε the relative
        rounding error of the precision that it is measured in.
    Raises:
        ValueError: an argument breaks a condition above; the network is random in evaluation mode, or inputs meet in
            it; its outputs, activities, derivatives or a measure are not finite.
    Warns:
        PreActivations: a layer is followed by an activation function, as in F.relu(self.fc1(x)), so that what comes
            before it is measured; the warning says how to name what comes after.
    Source: Lange, Rolnick & Kording (2022), arXiv:2203.11815v1. How positions are averaged is our reading: the paper
        does not say it.

    >>> from modularity_lib.training.networks import MLP
    >>> tiny = similarity_matrices(MLP([4, 3, 2]), np.eye(4), measures=["input_covariance_norm"])
    >>> tiny["hidden1"]["input_covariance_norm"].shape
    (3, 3)
    >>> channels = torch.nn.Sequential(torch.nn.Conv2d(1, 5, 3), torch.nn.ReLU())
    >>> digits = np.random.default_rng(0).uniform(size=(2, 1, 8, 8))
    >>> similarity_matrices(channels, digits, layers="1", units={"1": 1}, measures=["input_gradient"])["1"].keys()
    dict_keys(['input_gradient'])
    """
    check_network(network)
    names = chosen_names("measures", measures, MEASURES, default=MEASURES)
    quantities = {quantity_of(name) for name in names}
    check_settings(curvature, output, batch_size, progress)
    hessian = Hessian(loss_of(loss), curvature)
    data = data_of(inputs, labels)
    if "output_hessian" not in quantities:
        data = replace(data, labels=None)  # as many as there are inputs; what they say is not needed
    elif data.labels is not None:
        check_labels_alone(hessian.loss, data.labels)

    inner = without_wrappers(network)
    not_plain = why_not_plain(inner)
    if any(given is not None for given in (units, output, inputs_at, calls)) or data.start.is_several:
        not_plain = not_plain or "its units, inputs or outputs are chosen"
    elif "output_hessian" in quantities and hessian.loss.root is None:
        not_plain = not_plain or "the loss is a function"
    mlp = perceptron_in(inner)
    functions = partial(functions_of, inner, data)
    default = () if mlp is None else mlp.layers
    paths = chosen_paths("layers", network, layers, functions=functions, default=default)
    perceptron = None if not_plain else plain_perceptron(inner)
    parameters = None
    if perceptron is not None:
        parameters, images = perceptron.parameters(), images_of(data, perceptron.n_inputs, flat=perceptron.flattens)
        if not perceptron.hidden.keys() >= set(paths.values()):
            parameters, not_plain = None, "a layer is no activity of hidden units after their ReLU"
        elif not gives_logits_of(parameters, inner, images[:_N_COMPARED]):
            parameters, not_plain = None, "its outputs are not those of its weights"

    wanted = [name for name in MEASURES if name in names]
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
        if perceptron is not None and parameters is not None:
            if "output_hessian" in quantities:
                check_outputs(hessian.loss, parameters.sizes[-1])
            if data.labels is not None:
                check_labels(hessian.loss, data.labels, parameters.sizes[-1])
            index_of = {layer: perceptron.hidden[str(path)] for layer, path in paths.items()}
            flat = images.reshape(len(images), -1)
            averages = perceptron_averages(parameters, flat, index_of, quantities, hessian.loss.root)
        else:
            if (
                "output_hessian" in quantities
                and hessian.needs_labels
                and data.labels is None
                and not data.yields_labels
            ):
                raise ValueError(
                    "labels must be given for output_hessian of a network other than MLP: past a smooth non-linearity "
                    f"the Hessian of the loss depends on them, and this one may have such: {not_plain}. Without labels "
                    "there is curvature='gauss-newton', of a loss that has a name; or leave output_hessian out of "
                    "measures."
                )
            subject, data = subject_of(
                inner,
                data,
                paths,
                units=units,
                positions=positions,
                output=output,
                inputs_at={}
                if inputs_at is None
                else chosen_paths("inputs_at", network, inputs_at, functions=functions),
                calls=calls,
                upstream="input_gradient" in quantities,
                downstream=not quantities.isdisjoint({"output_gradient", "output_hessian"}),
            )
            n_outputs = look_at(subject, data)
            if "output_hessian" in quantities:
                check_outputs(hessian.loss, n_outputs)
            if data.labels is not None and hessian.needs_labels:
                check_labels(hessian.loss, data.labels, n_outputs)
            check_is_function_of_one_input(subject, data)
            warn_of_pre_activations(subject, data.first(1), functions, stacklevel=2)
            averages = signed_averages(subject, data, quantities, hessian, batch_size=batch_size, progress=progress)
        return {layer: {name: measure_of(averages[layer], name, layer) for name in wanted} for layer in paths}
