"""The words of the field: measures, their families, regularisers, kinds of pairs, and how they are called."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

Measure = Literal[
    "output_hessian",
    "output_hessian_norm",
    "output_gradient",
    "output_gradient_norm",
    "input_covariance",
    "input_covariance_norm",
    "input_gradient",
    "input_gradient_norm",
]
Family = Literal["upstream", "downstream"]
Regulariser = Literal["l2", "l1", "dropout"]
PairKind = Literal["same", "upstream", "downstream", "across"]  # see `pair_kind`
Protocol = Literal["v1", "final"]  # see `training.config`
Status = Literal["ok", "diverged", "all_units_dead"]  # of a row of the tables

MEASURES: tuple[Measure, ...] = get_args(Measure)
FAMILY: dict[str, Family] = {
    measure: "upstream" if measure.startswith("input") else "downstream" for measure in MEASURES
}
PANEL_ORDER = [name for family in get_args(Family) for name in reversed(MEASURES) if FAMILY[name] == family]

REGULARISERS: tuple[Regulariser, ...] = get_args(Regulariser)
SWEEP_NAMES = {"l2": "L2", "l1": "L1", "dropout": "dropout"}  # in sentences
KINDS: tuple[PairKind, ...] = ("upstream", "downstream", "across")  # of pairs of two quantities
LABELS = {
    "l2": "L2 penalty",
    "l1": "L1 penalty",
    "dropout": "dropout",
    "upstream": "two upstream measures",
    "downstream": "two downstream measures",
    "across": "one of each family",
}


def strength_text(strength: float) -> str:
    """A strength of a regulariser as it is written everywhere: two digits, and few zeros.

    >>> [strength_text(strength) for strength in (3.16228e-05, 0.00316228, 0.7, 0.0)]
    ['3.2e-5', '0.0032', '0.7', '0']
    """
    return f"{strength:.2g}".replace("e-0", "e-")


def setting_text(regulariser: str, strength: float) -> str:
    """A regulariser with its strength.

    >>> setting_text("l1", 0.00316228)
    'L1 0.0032'
    """
    return f"{SWEEP_NAMES[regulariser]} {strength_text(strength)}"


class Regularisation(NamedTuple):
    """Strengths of the three regularisers of one network; by default the baseline.

    Method: in each sweep the other two stay there.
    """

    l2: float = 1e-5
    l1: float = 0.0
    dropout: float = 0.0


BASELINE = Regularisation()


def is_normalised(measure: str) -> bool:
    """Whether a measure is S_ij / √(S_ii S_jj), in [0, 1] but for output_hessian_norm of smooth networks."""
    return measure.endswith("_norm")


def quantity_of(measure: str) -> str:
    """What a measure is of, normalised or not.

    >>> quantity_of("input_gradient_norm")
    'input_gradient'
    """
    return measure.removesuffix("_norm")


NORMALISED = tuple(measure for measure in PANEL_ORDER if is_normalised(measure))  # similarities from 0 to 1

MEASURE_LABELS: dict[str, str] = {
    measure: quantity_of(measure).replace("_", " ").replace("hessian", "Hessian")
    + (" (norm)" if is_normalised(measure) else "")
    for measure in MEASURES
}

METRIC_LABELS = {  # of the scores of agreement between two clusterings
    "greedy": "greedy matching",
    "rmi": "RMI",
    "rmi_norm": "RMI (norm)",
    "vi": "VI",
    "vi_norm": "VI (norm)",
    "element_centric": "element-centric",
    "similarity_spearman": "RSA (Spearman)",
}
NETWORK_LABELS = {  # of what is known of a network besides its modules
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "sum_abs_weights": "sum of |w|",
    "sum_squared_weights": "sum of w²",
    "sparsity": "share of |w| < 0.001",
    "nuclear_norm": "nuclear norm",
}


def pair_kind(measure_a: Measure, measure_b: Measure) -> PairKind:
    """What two measures have in common: "same" quantity, a family ("upstream" or "downstream"), or none ("across").

    A measure and its normalised form are one quantity: that they agree says nothing about families.
    """
    if quantity_of(measure_a) == quantity_of(measure_b):
        return "same"
    family_a, family_b = FAMILY[measure_a], FAMILY[measure_b]
    return family_a if family_a == family_b else "across"


DATASET_NAMES = ("fashion-mnist", "mnist", "mnist-5k")  # see `images.sources.DATASETS`


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """How an error about an unknown name ends: with the nearest of those known, if one is near.

    >>> did_you_mean("mnist-5", DATASET_NAMES)
    " Did you mean 'mnist-5k'?"
    """
    from difflib import get_close_matches  # only errors need it

    close = get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f" Did you mean {close[0]!r}?" if close else ""


_MOST_LISTED = 10  # names in an error


def some_of(names: Iterable[object]) -> str:
    """Names as an error lists them: of a network with a hundred layers not all.

    >>> some_of(range(12))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    shown = [str(name) for name in names]
    more = len(shown) - _MOST_LISTED
    return ", ".join(shown[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


_Name = TypeVar("_Name", bound=str)


def chosen_names(
    argument: str, wanted: Sequence[_Name] | None, available: Sequence[_Name], *, default: Sequence[_Name] | None
) -> tuple[_Name, ...]:
    """The wanted names without repetition, or the default; ValueError if one is not available."""
    if wanted is None:
        if default is None:
            raise ValueError(f"{argument} must be given for a network other than MLP: some of {some_of(available)}.")
        return tuple(default)
    try:
        names = () if isinstance(wanted, str) else tuple(wanted)
    except TypeError:
        names = ()
    if not names:
        came = repr(wanted) if isinstance(wanted, str | int | float | Sequence) else f"a {type(wanted).__name__}"
        raise ValueError(f"{argument} must be a list of at least one name, got {came}.")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{argument} must be names, got a {type(name).__name__} among them.")
        if name not in available:
            raise ValueError(
                f"{argument} has no {name!r}.{did_you_mean(name, available)} Expected some of {some_of(available)}."
            )
    return tuple(dict.fromkeys(names))


def two_measures(measure_a: Measure, measure_b: Measure) -> tuple[Measure, Measure]:
    """The names of two different measures, as they are; ValueError if one is unknown or both are the same."""
    pair = chosen_names("measures", [measure_a, measure_b], MEASURES, default=None)
    if len(pair) < 2:
        raise ValueError(f"measures must be two different ones, got {measure_a!r} twice.")
    return pair[0], pair[1]
