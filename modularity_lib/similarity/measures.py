"""The eight measures of how similar two hidden units of a layer are, from upstream or downstream information."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from modularity_lib.similarity import closed_form, derivatives
from modularity_lib.similarity.derivatives import Images
from modularity_lib.training.networks import MLP, Parameters, parameters_of
from modularity_lib.vocabulary import MEASURES, Measure, chosen_names, is_normalised, quantity_of

_CHUNK_BYTES = 8_000_000  # working memory for one chunk of images
_CHUNK_IMAGES = 256  # longest chunk, where the network's own memory per image is unknown
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
    in float32, so that a unit would be dead downstream by underflow and not because S_ii is 0. Any other network is
    measured by automatic differentiation, which is slower, in its own precision with averages in float64.

    Args:
        network: an `MLP`, or any module that gives logits of shape (images, classes).
        images: for an `MLP` (images, pixels) with pixels in [0, 1]; else (images, ...), finite, on the network's scale.
        labels: class of every image, whole numbers from 0. Only output_hessian of a network other than `MLP` needs
            them: the Hessian of a piecewise linear network does not depend on the labels.
        layers: names of hidden layers, as in `network.named_modules()`. The activity of a layer is the output of that
            submodule, shape (images, units). By default all hidden layers of an `MLP`; other networks require it.
        measures: names from `MEASURES`; all by default. Only what these need is computed.
    Returns:
        {layer: {measure: array}}, measures in the order of `MEASURES`. The arrays are symmetric, non-negative, float64,
        of shape (units, units), with their diagonal kept. A unit that is constant over the images has covariance
        exactly 0 with all units: one whose standard deviation is at most 16 ε times its largest activity, with ε the
        relative rounding error of the precision that it is measured in.
    Raises:
        ValueError: an argument breaks a condition above, or the network's logits are not finite.
    Source: Lange, Rolnick & Kording (2022), arXiv:2203.11815v1.

    >>> tiny = similarity_matrices(MLP([4, 3, 2]), np.eye(4), measures=["input_covariance_norm"])
    >>> tiny["hidden1"]["input_covariance_norm"].shape
    (3, 3)
    """
    if not isinstance(network, torch.nn.Module):
        raise ValueError(
            f"network must be a torch.nn.Module, got {type(network).__name__}. Parameters become one by network_of()."
        )
    perceptron = _relu_perceptron(network)
    names = chosen_names("measures", measures, MEASURES, default=MEASURES)
    quantities = {quantity_of(name) for name in names}
    if perceptron is not None:
        chosen = chosen_names("layers", layers, perceptron.layers, default=perceptron.layers)
        values = _checked_images(images, pixels=perceptron.sizes[0])
        n_classes = perceptron.sizes[-1]
    else:
        chosen = chosen_names("layers", layers, [name for name, _ in network.named_modules() if name], default=None)
        values = _checked_images(images, pixels=None)
        _, n_classes = derivatives.units_and_classes(network, values, chosen[0])
    classes = None if labels is None else _as_array(labels)
    if classes is not None:
        derivatives.check_labels(classes, len(values), n_classes)
    if perceptron is not None:
        with threadpool_limits(1, user_api="blas"):  # many small products: threads only wait for each other
            averages = _closed_form(perceptron, values, chosen, quantities)
    else:
        averages = {layer: _differentiated(network, values, classes, layer, quantities) for layer in chosen}
    wanted = [name for name in MEASURES if name in names]
    return {layer: {name: _measure(averages[layer], name) for name in wanted} for layer in chosen}


def _relu_perceptron(network: torch.nn.Module) -> MLP | None:
    """The network if the closed forms hold for it: an `MLP` of which no part was exchanged, ReLU for tanh, say."""
    plain = (MLP, torch.nn.Sequential, torch.nn.Linear, torch.nn.ReLU, torch.nn.Dropout)
    is_plain = all(type(module) in plain for module in network.modules())
    return network if type(network) is MLP and is_plain else None


def _rounding_error(network: torch.nn.Module) -> float:
    """Relative rounding error of the network's weights."""
    dtypes = [parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()]
    return torch.finfo(dtypes[0] if dtypes else torch.float32).eps


def _as_array(values: Iterable[int] | Images) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _checked_images(images: Images, *, pixels: int | None) -> np.ndarray:
    """Images as an array; ValueError unless finite and, where pixels is given, (images, pixels) within [0, 1]."""
    values = _as_array(images)
    expected = "(images, ...)" if pixels is None else f"(images, {pixels})"
    if values.ndim < 2 or values.size == 0 or (pixels is not None and values.shape[1:] != (pixels,)):
        raise ValueError(
            f"images must have shape {expected} with at least one image, got {values.shape}. "
            "Images with rows and columns become flat by .reshape(len(images), -1)."
        )
    if values.dtype.kind not in "buif":
        raise ValueError(f"images must be real numbers, got {values.dtype}.")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("images must be finite, got NaN or infinity.")
    if pixels is not None and (low < 0 or high > 1):
        raise ValueError(
            f"images must have pixels in [0, 1], got {low:g} to {high:g}. Pixels from 0 to 255 must be divided by 255."
        )
    return values


def _closed_form(
    network: MLP, images: np.ndarray, layers: Sequence[str], quantities: Collection[str]
) -> dict[str, dict[str, np.ndarray]]:
    """The signed averages {layer: {quantity: S}} of a ReLU perceptron."""
    given = parameters_of(network)
    parameters = Parameters(
        weights=tuple(weight.astype(np.float64) for weight in given.weights),
        biases=tuple(bias.astype(np.float64) for bias in given.biases),
    )
    sums = {
        "input_gradient": closed_form.input_gradient_sums,
        "output_gradient": closed_form.output_gradient_sums,
        "output_hessian": closed_form.loss_hessian_sums,
    }
    sums = {quantity: function for quantity, function in sums.items() if quantity in quantities}
    index_of = {layer: network.layers.index(layer) for layer in layers}
    units = {layer: parameters.sizes[index + 1] for layer, index in index_of.items()}
    totals = {layer: {quantity: np.zeros((n, n)) for quantity in sums} for layer, n in units.items()}
    rounding = float(np.finfo(np.float64).eps)
    covariances = {layer: _Covariance(rounding) for layer in layers if "input_covariance" in quantities}

    classes = network.sizes[-1]
    floats_per_image = 2 * sum(network.sizes) + 3 * classes * max(network.sizes[1:]) + 4 * classes**2
    longest = max(1, _CHUNK_BYTES // (8 * floats_per_image))
    for start in range(0, len(images), longest):
        passed = closed_form.forward_pass(parameters, images[start : start + longest])
        if not np.isfinite(passed.logits).all():
            raise ValueError("the network's logits are not all finite: did its training diverge?")
        for layer, covariance in covariances.items():
            covariance.add(passed.activities[index_of[layer]])
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
        covariance = _Covariance(_rounding_error(network))
        for start in range(0, len(images), _CHUNK_IMAGES):
            covariance.add(derivatives.activity(network, images[start : start + _CHUNK_IMAGES], layer))
        averages["input_covariance"] = covariance.result()
    if "input_gradient" in quantities:
        averages["input_gradient"] = derivatives.average_input_gradient(network, images, layer)
    if "output_gradient" in quantities:
        averages["output_gradient"] = derivatives.average_output_gradient(network, images, layer)
    if "output_hessian" in quantities:
        if labels is None:
            raise ValueError(
                "labels must be given for output_hessian of a network other than MLP: past a smooth non-linearity the "
                "Hessian of the loss depends on them. Leave output_hessian out of measures if there are none."
            )
        averages["output_hessian"] = derivatives.average_loss_hessian(network, images, labels, layer)
    return averages


class _Covariance:
    """Covariance of the units of a layer over the images, from one chunk of images after the other."""

    def __init__(self, rounding: float) -> None:
        self._rounding = rounding
        self._n_images = 0

    def add(self, activity: np.ndarray) -> None:
        """Count in a chunk of images; activity has shape (images, units)."""
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


def _measure(averages: Mapping[str, np.ndarray], name: Measure) -> np.ndarray:
    """The named measure, |S| or |S_ij / √(S_ii S_jj)|, from the signed averages S of a layer."""
    signed = averages[quantity_of(name)]
    similarity = np.abs(signed + signed.T) / 2  # symmetric but for rounding
    if not is_normalised(name):
        return similarity
    diagonal = similarity.diagonal()
    live = diagonal > 0
    scale = np.where(live, np.sqrt(diagonal), np.inf)
    similarity = similarity / scale / scale[:, np.newaxis]  # one after the other: their product may underflow
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, live)  # exactly 1, not 1 up to rounding
    return similarity
