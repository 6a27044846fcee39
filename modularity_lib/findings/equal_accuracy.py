"""The claim on penalties where networks are equally accurate: the largest rises of Q are not."""

from typing import NamedTuple

from modularity_lib.findings.claims import complete_strengths, q_by_run, rise_at
from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import REGULARISERS, Regulariser


class Rise(NamedTuple):
    """Rise of Q at one strength of a regulariser, mean of all measures, and how accurate networks are there."""

    strength: float
    accuracy: float  # mean test accuracy, fraction
    effect: Effect


class EquallyAccurate(NamedTuple):
    """Rises of Q at about the accuracy that dropout has at its largest rise."""

    rises: dict[Regulariser, Rise]
    margin: Effect  # dropout's rise minus the larger one of the two penalties


def rises_at_equal_accuracy(results: Results) -> EquallyAccurate | None:
    """Rise of Q by regulariser, at the strength whose mean test accuracy is nearest that of dropout's largest rise.

    The rule of the claim compares the largest rises, and these are had at different accuracies. Strengths are those
    that could be analysed in every run, without interpolation between them.

    Returns:
        None where a sweep has no such strength.
    """
    scores = {name: q_by_run(results, name) for name in REGULARISERS}
    rises = {
        name: {x: rise_at(scores[name], x).mean().to_numpy() for x in complete_strengths(scores[name])}
        for name in REGULARISERS
    }
    if not all(rises.values()):
        return None
    networks = results.analysed("networks", trained=True)
    accuracies = {
        name: sweep(networks, results.study, name).groupby("strength")["test_accuracy"].mean() for name in REGULARISERS
    }
    largest = max(rises["dropout"], key=lambda x: float(rises["dropout"][x].mean()))
    wanted = accuracies["dropout"][largest]
    chosen = {name: min(of, key=lambda x: abs(accuracies[name][x] - wanted)) for name, of in rises.items()}
    chosen["dropout"] = largest
    found = {name: Rise(x, float(accuracies[name][x]), effect_over_runs(rises[name][x])) for name, x in chosen.items()}
    penalties: tuple[Regulariser, ...] = ("l2", "l1")
    larger = max(penalties, key=lambda name: found[name].effect.mean)
    margin = rises["dropout"][chosen["dropout"]] - rises[larger][chosen[larger]]
    return EquallyAccurate(found, effect_over_runs(margin))
