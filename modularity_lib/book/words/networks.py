"""Words on what networks learn, and on what regularisation does to their weights."""

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.studies.results import Results, rows_at, sweep
from modularity_lib.vocabulary import BASELINE, LABELS, REGULARISERS, Regulariser, strength_text


def short_text(results: Results) -> str:
    """Whether networks learn, and where their weights go, in a few sentences."""
    networks = results.networks[results.networks["trained"]]
    means = networks[["test_accuracy", "sum_abs_weights"]]
    plain = means.loc[rows_at(networks, **BASELINE._asdict()).index].mean()
    along = {name: _last_analysed(results, name) for name in REGULARISERS}
    left_out = int((~networks["analysed"]).sum())
    learn = (
        f"Yes, but for {left_out} of {len(networks)} networks, which strong penalties keep from learning."
        if left_out
        else f"Yes, all {len(networks)} of them."
    )
    told = [f"{learn} Without regularisation they name {plain['test_accuracy']:.0%} of the test digits."]
    if along["dropout"] is not None:
        strength, accuracy, weights = along["dropout"]
        told.append(
            f"At a dropout of {strength:g} it is {accuracy:.0%}, and the sum of all |w| is "
            f"{weights / plain['sum_abs_weights']:.1f} times as large."
        )
    left = {name: found[2] / plain["sum_abs_weights"] for name in ("l2", "l1") if (found := along[name]) is not None}
    if left:
        told.append(
            "The strongest penalties under which all runs learn leave "
            + listed(f"{share:.0%} of that sum ({LABELS[name]})" for name, share in left.items())
            + "."
        )
    return " ".join(told)


def _last_analysed(results: Results, regulariser: Regulariser) -> tuple[float, float, float] | None:
    """Of the strongest setting whose networks all enter the figures: strength, test accuracy, sum of |w|."""
    networks = sweep(results.networks[results.networks["trained"]], results.study, regulariser)
    complete = networks.groupby("strength")["analysed"].all()
    strengths = [strength for strength in complete[complete].index if strength > getattr(BASELINE, regulariser)]
    if not strengths:
        return None
    means = networks[networks["strength"] == strengths[-1]][["test_accuracy", "sum_abs_weights"]].mean()
    return strengths[-1], means["test_accuracy"], means["sum_abs_weights"]


def accuracy_markdown(results: Results) -> str:
    """Markdown table: test accuracy of every setting, mean and range over runs, and how many networks were left out."""
    networks = results.networks[results.networks["trained"]]
    lines = []
    for regulariser in REGULARISERS:
        of_sweep = sweep(networks, results.study, regulariser)
        for strength in sorted(set(of_sweep["strength"])):
            rows = of_sweep[of_sweep["strength"] == strength]
            accuracies = rows["test_accuracy"].dropna()
            mean, extremes = "–", "–"
            if len(accuracies):
                mean, extremes = f"{accuracies.mean():.1%}", f"{accuracies.min():.1%} to {accuracies.max():.1%}"
            left_out = f"{int((~rows['analysed']).sum())} of {len(rows)}"
            lines.append([LABELS[regulariser], strength_text(strength), mean, extremes, left_out])
    return markdown(["regulariser", "strength", "test accuracy", "range over runs", "left out"], lines)
