"""The eight measures of how similar two hidden units of a layer are, from upstream or downstream information."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from modularity_lib.arrays import in_one_order
from modularity_lib.similarity import closed_form, derivatives
from modularity_lib.similarity.arguments import (
    check_labels,
    check_layers,
    check_network,
    checked_images,
    checked_labels,
)
from modularity_lib.similarity.evaluation import Images, precision_of
from modularity_lib.similarity.perceptron import (
    gives_logits_of,
    parameters_in_float64,
    perceptron_in,
    why_not_plain,
)
from modularity_lib.similarity.pre_activations import warn_of_pre_activations
from modularity_lib.similarity.steadiness import check_is_function_of_one_image
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import MEASURES, Measure, chosen_names, is_normalised, quantity_of

_CHUNK_BYTES = 8_000_000  # working memory for one chunk of images
_CHUNK_IMAGES = 256  # longest chunk, where the network's own memory per image is unknown
_N_COMPARED = 4  # images on which an MLP is compared with its weights
_WRAPPED = "_orig_mod"  # how `torch.compile` calls the network that it wraps
_CONSTANT = 16  # rounding errors of its largest activity that the standard deviation of a constant unit may reach


def similarity_matrices(
    network: torch.nn.Module,
    images: Images,
    labels: Iterable[int] | None = None,
    *,
    layers: Sequence[str] | None = None,
    measures: Sequence[Measure] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Similarity of every two units of a hidden layer, for each layer and measure. Higher = more alike.

    With h the activity of the layer, x an image, y its logits, L its cross-entropy and averages over the images,

        input_covariance   S_ij = average of (h_i - average h_i)(h_j - average h_j)       upstream
        input_gradient     S_ij = average of ⟨∂h_i/∂x, ∂h_j/∂x⟩                           upstream
        output_gradient    S_ij = average of ⟨∂y/∂h_i, ∂y/∂h_j⟩                           downstream
        output_hessian     S_ij = average of ∂²L/∂h_i∂h_j                                 downstream

    The measure is |S_ij|, and under the same name with "_norm" |S_ij / √(S_ii S_jj)|, zero where S_ii or S_jj is 0.
    Dropout is off while measuring; the network is left as it was. An `MLP` is measured in closed form and in float64,
    whatever its precision: regularisation leaves silent units with outgoing weights near 1e-38, whose squares vanish
    in float32, so that a unit would be dead downstream by underflow and not because S_ii is 0. Any other network, and
    an `MLP` with hooks, other parts, other methods or weights that are computed, is measured by automatic
    differentiation, which is slower: in its own precision, in float32 if that is lower, with products and sums in
    float64. A network that `torch.compile` wraps is measured as it was written, under the names of its layers.

    L is the cross-entropy of classes whatever the network was trained for. There is no other loss yet: for a
    regression output_hessian says nothing about the error, while the other measures need no loss. A binary network
    with one logit z is given two logits, [0, z], whose cross-entropy is the binary one of z.

    Args:
        network: an `MLP`, or any module that gives logits of shape (images, classes), each from one image alone.
        images: finite real numbers on the network's scale, (images, inputs) for an `MLP`, else (images, ...).
        labels: class of every image, whole numbers from 0. Only output_hessian of a network other than a plain `MLP`
            needs them: the Hessian of a piecewise linear network does not depend on the labels.
        layers: names of hidden layers, as in `network.named_modules()`. The activity of a layer is the output of that
            submodule, shape (images, units), after the hooks on it. By default all hidden layers of an `MLP`; other
            networks require it.
        measures: names from `MEASURES`; all by default. Only what these need is computed.
    Returns:
        {layer: {measure: array}}, measures in the order of `MEASURES`. The arrays are symmetric, non-negative, finite,
        float64, of shape (units, units), with their diagonal kept. Normalised measures are at most 1, up to rounding,
        but for one: where the network is smooth (tanh, GELU) the Hessian may be indefinite, and output_hessian_norm,
        which divides by |S_ii|, has no bound. A unit that is constant over the images has covariance exactly 0 with all
        units: one whose standard deviation is at most 16 ε times its largest activity, with ε the relative rounding
        error of the precision that it is measured in.
    Raises:
        ValueError: an argument breaks a condition above; the network is random in evaluation mode, or images meet in
            it; its logits, activities, derivatives or a measure are not finite.
    Warns:
        PreActivations: a layer is followed by an activation function that cannot be named, as in F.relu(self.fc1(x)).
    Source: Lange, Rolnick & Kording (2022), arXiv:2203.11815v1.

    >>> from modularity_lib.training.networks import MLP
    >>> tiny = similarity_matrices(MLP([4, 3, 2]), np.eye(4), measures=["input_covariance_norm"])
    >>> tiny["hidden1"]["input_covariance_norm"].shape
    (3, 3)
    """
    check_network(network)
    names = chosen_names("measures", measures, MEASURES, default=MEASURES)
    images, labels = in_one_order(images=images, labels=labels)
    quantities = {quantity_of(name) for name in names}
    not_plain = why_not_plain(network)
    parameters = None if not_plain else parameters_in_float64(network)
    values = checked_images(images, inputs=None if parameters is None else parameters.sizes[0])
    classes = None if labels is None else checked_labels(labels, len(values))
    if parameters is not None and not gives_logits_of(parameters, network, values[:_N_COMPARED]):
        parameters, not_plain = None, "its logits are not those of its weights"
    chosen = _chosen_layers(network, layers, is_plain=parameters is not None)
    if parameters is None and classes is None and "output_hessian" in quantities:
        raise ValueError(
            "labels must be given for output_hessian of a network other than MLP: past a smooth non-linearity the "
            f"Hessian of the loss depends on them, and this one may have such: {not_plain}. Leave output_hessian out "
            "of measures if there are none."
        )
    if parameters is not None:
        n_classes = parameters.sizes[-1]
    else:
        check_layers(network, list(chosen.values()))
        n_classes = check_is_function_of_one_image(
            network,
            values,
            list(chosen.values()),
            upstream="input_gradient" in quantities,
            downstream=not quantities.isdisjoint({"output_gradient", "output_hessian"}),
        )
    if n_classes == 1 and "output_hessian" in quantities:
        raise ValueError(
            "output_hessian needs a network with two logits at least, got one: the softmax of one logit is constant, "
            "so the Hessian of its cross-entropy is 0. Give [0, z] as logits, torch.cat([torch.zeros_like(z), z], 1), "
            "whose cross-entropy is the binary one of z; or leave output_hessian out of measures."
        )
    if classes is not None:
        check_labels(classes, len(values), n_classes)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
        if parameters is not None:
            with threadpool_limits(1, user_api="blas"):  # many small products: threads only wait for each other
                averages = _closed_form(parameters, values, chosen, quantities)
        else:
            warn_of_pre_activations(network, values, chosen, stacklevel=2)
            averages = {
                layer: _differentiated(network, values, classes, path, quantities) for layer, path in chosen.items()
            }
        wanted = [name for name in MEASURES if name in names]
        return {layer: {name: _measure(averages[layer], name, layer) for name in wanted} for layer in chosen}


def _chosen_layers(network: torch.nn.Module, layers: Sequence[str] | None, *, is_plain: bool) -> dict[str, str]:
    """{layer as the caller names it: its name in the network}, without the parts that `torch.compile` puts there."""
    if isinstance(layers, Iterable) and not isinstance(layers, str | np.ndarray):
        layers = list(layers)
    perceptron = perceptron_in(network)
    known: dict[str, str] = {}
    for path, _ in network.named_modules():
        known.setdefault(_as_written(path), path)
    del known[""]
    hidden = () if perceptron is None else perceptron.layers
    if is_plain:
        known = {layer: known[layer] for layer in hidden}
    asked = [layer for layer in layers if _WRAPPED in str(layer)] if isinstance(layers, Sequence) else []
    known |= {path: path for path, _ in network.named_modules() if path in asked}
    default = [layer for layer in hidden if layer in known]  # all of them, unless some were deleted
    chosen = chosen_names("layers", layers, list(known), default=default or None)
    return {layer: known[layer] for layer in chosen}


def _as_written(path: str) -> str:
    """Name of a layer without what `torch.compile` puts into it."""
    return ".".join(part for part in path.split(".") if part != _WRAPPED)


def _check_finite(values: np.ndarray, what: str, cause: str) -> None:
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"{what} must be finite, got NaN or infinity in {count} of {values.size} entries: {cause}.")


def _closed_form(
    parameters: Parameters, images: np.ndarray, layers: Mapping[str, str], quantities: Collection[str]
) -> dict[str, dict[str, np.ndarray]]:
    """The signed averages {layer: {quantity: S}} of a ReLU perceptron, from its parameters in float64."""
    sums = {
        "input_gradient": closed_form.input_gradient_sums,
        "output_gradient": closed_form.output_gradient_sums,
        "output_hessian": closed_form.loss_hessian_sums,
    }
    sums = {quantity: function for quantity, function in sums.items() if quantity in quantities}
    index_of = {layer: int(_as_written(path).removeprefix("hidden")) - 1 for layer, path in layers.items()}
    units = {layer: parameters.sizes[index + 1] for layer, index in index_of.items()}
    totals = {layer: {quantity: np.zeros((n, n)) for quantity in sums} for layer, n in units.items()}
    rounding = float(np.finfo(np.float64).eps)
    covariances = {layer: _Covariance(rounding) for layer in layers if "input_covariance" in quantities}

    sizes, classes = parameters.sizes, parameters.sizes[-1]
    floats_per_image = 2 * sum(sizes) + 3 * classes * max(sizes[1:]) + 4 * classes**2
    longest = max(1, _CHUNK_BYTES // (8 * floats_per_image))
    for start in range(0, len(images), longest):
        passed = closed_form.forward_pass(parameters, images[start : start + longest])
        if not np.isfinite(passed.logits).all():
            raise ValueError("the network's logits are not all finite: did its training diverge?")
        for layer, covariance in covariances.items():
            covariance.add(passed.activities[index_of[layer]], layer)
        for quantity, function in sums.items():
            matrices = function(passed, index_of.values())
            for layer, index in index_of.items():
                totals[layer][quantity] += matrices[index]

    averages = {layer: {name: total / len(images) for name, total in totals[layer].items()} for layer in layers}
    for layer, covariance in covariances.items():
        averages[layer]["input_covariance"] = covariance.result()
    return averages


def _differentiated(
    network: torch.nn.Module, images: np.ndarray, labels: np.ndarray | None, layer: str, quantities: Collection[str]
) -> dict[str, np.ndarray]:
    """The signed averages {quantity: S} of a layer of any network."""
    averages = {}
    if "input_covariance" in quantities:
        covariance = _Covariance(torch.finfo(precision_of(network, images)).eps)
        for start in range(0, len(images), _CHUNK_IMAGES):
            covariance.add(derivatives.activity(network, images[start : start + _CHUNK_IMAGES], layer), layer)
        averages["input_covariance"] = covariance.result()
    if "input_gradient" in quantities:
        averages["input_gradient"] = derivatives.average_input_gradient(network, images, layer)
    if "output_gradient" in quantities:
        averages["output_gradient"] = derivatives.average_output_gradient(network, images, layer)
    if "output_hessian" in quantities:
        assert labels is not None
        averages["output_hessian"] = derivatives.average_loss_hessian(network, images, labels, layer)
    return averages


class _Covariance:
    """Covariance of the units of a layer over the images, from one chunk of images after the other."""

    def __init__(self, rounding: float) -> None:
        self._rounding = rounding
        self._n_images = 0

    def add(self, activity: np.ndarray, layer: str) -> None:
        """Count in a chunk of images; activity of the layer has shape (images, units)."""
        cause = f"an operation up to this layer overflows {activity.dtype}, or is not defined for these images"
        _check_finite(activity, f"the activity of layer {layer!r}", cause)
        if self._n_images == 0:
            units = activity.shape[1]
            # Sums are taken relative to one image: a unit that never changes then gives exact zeros.
            self._origin = activity[0].astype(np.float64)
            self._sum, self._products, self._peak = np.zeros(units), np.zeros((units, units)), np.zeros(units)
        shifted = activity - self._origin
        self._n_images += len(activity)
        self._sum += shifted.sum(axis=0)
        self._products += shifted.T @ shifted
        np.maximum(self._peak, np.abs(activity).max(axis=0), out=self._peak)

    def result(self) -> np.ndarray:
        """The covariance, normalised by the number of images; exactly 0 in the rows and columns of constant units."""
        mean = self._sum / self._n_images
        covariance = self._products / self._n_images - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        constant = deviation <= _CONSTANT * self._rounding * self._peak
        covariance[constant, :] = 0.0
        covariance[:, constant] = 0.0
        return covariance


def _measure(averages: Mapping[str, np.ndarray], name: Measure, layer: str) -> np.ndarray:
    """The named measure, |S| or |S_ij / √(S_ii S_jj)|, from the signed averages S of a layer."""
    signed = averages[quantity_of(name)]
    overflow = "activities" if name.startswith("input_covariance") else "derivatives"
    cause = f"{overflow} or their products overflow, or are not defined, as that of √ at 0; rescale weights or images"
    _check_finite(signed, f"{quantity_of(name)} of layer {layer!r}", cause)
    similarity = np.abs(signed + signed.T) / 2  # symmetric but for rounding
    if not is_normalised(name):
        return similarity
    diagonal = similarity.diagonal()
    live = diagonal > 0
    scale = np.where(live, np.sqrt(diagonal), np.inf)
    similarity = similarity / scale / scale[:, np.newaxis]  # one after the other: their product may underflow
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, live)  # exactly 1, not 1 up to rounding
    _check_finite(similarity, f"{name} of layer {layer!r}", "S_ii of a unit is too small to divide by")
    return similarity
