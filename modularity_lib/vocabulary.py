"""The words of the field: measures, their families, regularisers, kinds of pairs, and how they are called."""

from collections.abc import Iterable, Sequence

MEASURES = (
    "output_hessian",
    "output_hessian_norm",
    "output_gradient",
    "output_gradient_norm",
    "input_covariance",
    "input_covariance_norm",
    "input_gradient",
    "input_gradient_norm",
)
FAMILY = {measure: "upstream" if measure.startswith("input") else "downstream" for measure in MEASURES}

REGULARISERS = ("l2", "l1", "dropout")
BASELINE_L2 = 1e-5  # method: in each sweep the other two regularisers stay at L2 = 1e-5, L1 = 0, dropout = 0

SWEEP_NAMES = {"l2": "L2", "l1": "L1", "dropout": "dropout"}  # in sentences
KINDS = ("upstream", "downstream", "across")  # of pairs of measures, see `pair_kind`

MEASURE_LABELS = {name: name.replace("_norm", " (norm)").replace("_", " ") for name in MEASURES}
PANEL_ORDER = [name for family in ("upstream", "downstream") for name in reversed(MEASURES) if FAMILY[name] == family]


DATASET_NAMES = ("fashion-mnist", "mnist", "mnist-5k")  # see `images.sources.DATASETS`


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """What to end an error about an unknown name with: the known name that is nearest, if one is near.

    >>> did_you_mean("mnist-5", DATASET_NAMES)
    " Did you mean 'mnist-5k'?"
    """
    from difflib import get_close_matches  # only errors need it

    close = get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def chosen_names(
    argument: str, wanted: Sequence[str] | None, available: Sequence[str], *, default: Sequence[str] | None
) -> tuple[str, ...]:
    """The wanted names without repetition, or the default; ValueError if one is not available."""
    from difflib import get_close_matches

    if wanted is None:
        if default is None:
            raise ValueError(f"{argument} must be given for a network other than MLP: some of {', '.join(available)}.")
        return tuple(default)
    if isinstance(wanted, str) or len(wanted) == 0:
        raise ValueError(f"{argument} must be a list of at least one name, got {wanted!r}.")
    for name in wanted:
        if name not in available:
            close = get_close_matches(str(name), available, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{argument} has no {name!r}; expected some of {', '.join(available)}.{hint}")
    return tuple(dict.fromkeys(wanted))


def two_measures(measure_a: str, measure_b: str) -> tuple[str, str]:
    """The names of two different measures, as they are; ValueError if one is unknown or both are the same."""
    pair = chosen_names("measures", [measure_a, measure_b], MEASURES, default=None)
    if len(pair) < 2:
        raise ValueError(f"measures must be two different ones, got {measure_a!r} twice.")
    return pair[0], pair[1]


def measure_in_words(measure: str) -> str:
    """Name of a measure in a sentence.

    >>> measure_in_words("input_gradient_norm")
    'input gradient (norm)'
    """
    return measure.removesuffix("_norm").replace("_", " ") + (" (norm)" if measure.endswith("_norm") else "")


def pair_kind(measure_a: str, measure_b: str) -> str:
    """What two measures have in common: "same" quantity, a family ("upstream" or "downstream"), or none ("across").

    A measure and its normalised form are one quantity: that they agree says nothing about families.
    """
    if measure_a.removesuffix("_norm") == measure_b.removesuffix("_norm"):
        return "same"
    family_a, family_b = FAMILY[measure_a], FAMILY[measure_b]
    return family_a if family_a == family_b else "across"
