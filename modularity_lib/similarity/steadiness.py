"""Whether what a network gives for an image depends on that image alone: else averages over images mean nothing.

A few images go through the network together, once more, and one by one. In float64 whatever differs by more than
rounding has another cause, also in networks whose numbers cancel in their own precision.
"""

from collections.abc import Sequence

import numpy as np
import torch

from modularity_lib.similarity.evaluation import Evaluation, evaluate, evaluating

_N_IMAGES = 4
# Allowed differences, relative to the largest value of the unit and of its whole layer.
_TOLERANCES = {torch.float64: (1e-6, 1e-11), torch.float32: (1e-3, 1e-4)}


def check_is_function_of_one_image(network: torch.nn.Module, images: np.ndarray, layers: Sequence[str]) -> int:
    """Raise ValueError unless logits and the activities of layers follow from each image alone.

    Returns:
        the number of logits, which is seen on the way.
    """
    some = images[np.unique(np.linspace(0, len(images) - 1, _N_IMAGES).astype(int))]
    if len(some) == 1:  # a neighbour is needed all the same
        some = np.concatenate([some, some // 2 if some.dtype.kind in "biu" else some / 2])
    with evaluating(network):
        precision = _highest_precision(network, some)
        before = _random_states()  # the network has run once: if it seeds the generator itself, this stays so
        together = evaluate(network, some, layers, at_least=precision)
        if not torch.equal(before, _random_states()):
            raise ValueError(f"network must not be random in evaluation mode, but it draws random numbers. {_RANDOM}")
        unlike = _unlike(together, evaluate(network, some, layers, at_least=precision), precision)
        if unlike:
            raise ValueError(
                f"network must give the same when it is run again, but {unlike} differ: it is random, or remembers "
                f"earlier images. {_RANDOM} What it remembers must be forgotten at the start of forward."
            )
        for index in (0, len(some) - 1):
            one = slice(index, index + 1)
            try:
                alone = evaluate(network, some[one], layers, at_least=precision)
            except ValueError as error:
                raise ValueError(
                    f"network must take each image alone, but takes {len(some)} together and not one: {error} {_MEET}"
                ) from error
            unlike = _unlike(_part(together, one), alone, precision, scale=together)
            if unlike:
                raise ValueError(
                    f"network must treat each image by itself, but {unlike} of an image differ when other images are "
                    f"beside it. {_MEET}"
                )
    return together.logits.shape[1]


_RANDOM = (
    "Usually dropout is written as a function: write F.dropout(x, p, self.training) instead of F.dropout(x, p), or "
    "use a torch.nn.Dropout module, and add noise only where self.training is True."
)
_MEET = (
    "Usually something is averaged over axis 0 (h.mean(0)), batch normalisation has track_running_stats=False, or "
    "attention runs over the images."
)


def _highest_precision(network: torch.nn.Module, images: np.ndarray) -> torch.dtype:
    """Double precision, unless the network or its device has none: a part that was compiled by torch.jit, say."""
    try:
        evaluate(network, images, at_least=torch.float64)
    except ValueError:
        return torch.float32
    return torch.float64


def _random_states() -> torch.Tensor:
    """State of PyTorch's random generators, that of the current GPU included."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():
        states.append(torch.cuda.get_rng_state())
    return torch.cat(states)


def _part(evaluated: Evaluation, part: slice) -> Evaluation:
    activities = {layer: activity[part] for layer, activity in evaluated.activities.items()}
    return Evaluation(evaluated.images[part], activities, evaluated.logits[part])


def _unlike(one: Evaluation, other: Evaluation, precision: torch.dtype, *, scale: Evaluation | None = None) -> str:
    """What differs between two evaluations by more than rounding, in words; empty if nothing does."""
    scale = one if scale is None else scale
    if _differ(one.logits, other.logits, scale.logits, precision):
        return "its logits"
    for layer, activity in one.activities.items():
        if _differ(activity, other.activities[layer], scale.activities[layer], precision):
            return f"the activities of layer {layer!r}"
    return ""


def _differ(one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor, precision: torch.dtype) -> bool:
    if one.shape != other.shape:
        return True
    one, other, scale = (
        one.to(torch.float64),
        other.to(torch.float64),
        scale.to(torch.float64),
    )  # of True and False, too
    of_unit, of_layer = _TOLERANCES[precision]
    allowed = of_unit * scale.abs().amax(dim=0) + of_layer * scale.abs().max()
    return not bool((((one - other).abs() <= allowed) | (one == other) | (one.isnan() & other.isnan())).all())
