"""Words on what networks learn, how they are trained, and what regularisation does to their weights."""

from collections.abc import Sequence

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown, percent, span
from modularity_lib.studies.results import Results, rows_at, sweep
from modularity_lib.training.config import FACTOR, PATIENCE, STOP_AFTER, TrainingConfig
from modularity_lib.vocabulary import (
    BASELINE,
    LABELS,
    REGULARISERS,
    SWEEP_NAMES,
    Regulariser,
    setting_text,
    strength_text,
)

PAPER_RUNS = {"v1": 9, "final-base": 9, "final-wide": 3, "final-deep": 3}  # of each setting (its Methods)


def short_text(results: Results) -> str:
    """Whether networks learn, and where their weights go, in a few sentences."""
    networks = _trained(results)
    plain = rows_at(networks, **BASELINE._asdict())["sum_abs_weights"].mean()
    sizes = []
    for name in ("dropout", "l2", "l1"):
        if (found := _last_analysed(results, name)) is not None:
            strength, weights = found
            share = weights / plain
            sizes.append(
                f"{share:.1f} times as large at {setting_text(name, strength)}"
                if share >= 1
                else f"{percent(share)} of that at {setting_text(name, strength)}"
            )
    told = _learn_text(networks)
    if sizes:
        told += (
            f" Compared with the baseline, the sum of all |w| is {listed(sizes)}, the strongest "
            f"{'settings' if len(sizes) > 1 else 'setting'} under which all runs learn."
        )
    return told


def _learn_text(networks: pd.DataFrame) -> str:
    """How many networks learn, and what regularises the others."""
    left_out = networks[~networks["analysed"]]
    if left_out.empty:
        return f"Yes, all {len(networks)} networks do."
    why = [SWEEP_NAMES[name] for name in REGULARISERS if (left_out[name] != getattr(BASELINE, name)).any()]
    under = f", under strong {' or '.join(why)}," if why else ""
    are = "the other one" if len(left_out) == 1 else f"the other {len(left_out)}"
    return (
        f"Yes, {len(networks) - len(left_out)} of {len(networks)} networks do. {are.capitalize()}{under} "
        f"{'is' if len(left_out) == 1 else 'are'} left out of what follows."
    )


def _last_analysed(results: Results, regulariser: Regulariser) -> tuple[float, float] | None:
    """Of the strongest setting whose networks all enter the figures: strength and sum of |w|."""
    networks = sweep(_trained(results), results.study, regulariser)
    complete = networks.groupby("strength")["analysed"].all()
    strengths = [strength for strength in complete[complete].index if strength > getattr(BASELINE, regulariser)]
    if not strengths:
        return None
    return strengths[-1], networks.loc[networks["strength"] == strengths[-1], "sum_abs_weights"].mean()


def protocols_text() -> str:
    """How both protocols train: learning rate, when it falls, when training stops, which weights are kept."""
    config = TrainingConfig()
    return (
        f"In the arXiv version's protocol (study v1) Adam's learning rate stays at {config.learning_rate:g} and the "
        f"weights after epoch {config.epochs} count. In the published version's protocol (studies final-base, "
        f"final-wide and final-deep) the rate starts there. It is multiplied by {FACTOR:g} whenever the validation "
        f"loss has not improved for more than {PATIENCE} epochs. Training stops after {STOP_AFTER} epochs above the "
        f"lowest validation loss, or after epoch {config.epochs}, and the weights with the lowest loss count."
    )


def protocols_caption(studies: Sequence[Results]) -> str:
    """The finding of `protocols_markdown`: how long each protocol trains."""
    means = {
        kind: [_trained(one)["epochs"].mean() for one in studies if one.study.protocol == kind]
        for kind in ("v1", "final")
    }
    finding = "How long networks were trained, and how well they learned."
    if all(means.values()):
        arxiv, final = (span(means[kind], "{:.0f}".format) for kind in ("v1", "final"))
        finding = f"The published protocol trains for {final} epochs on average, the arXiv version's for {arxiv}."
    return f"**{finding}** Accuracy is the mean over the networks that are not left out."


def protocols_markdown(studies: Sequence[Results]) -> str:
    """Markdown table, a row for each study: hidden units, runs, epochs really trained, accuracy, networks left out."""
    rows = []
    for results in studies:
        study, networks = results.study, _trained(results)
        epochs, accuracy = networks["epochs"], networks.loc[networks["analysed"], "test_accuracy"].mean()
        least, most = epochs.min(), epochs.max()
        rows.append(
            [
                f"`{study.name}`",
                "-".join(map(str, study.hidden)),
                f"{study.runs} ({PAPER_RUNS.get(study.name, '–')})",
                f"{epochs.mean():.0f}" + ("" if least == most else f" ({least} to {most})"),
                "–" if pd.isna(accuracy) else percent(accuracy, digits=1),
                f"{int((~networks['analysed']).sum())} of {len(networks)}",
            ]
        )
    heads = ["study", "hidden units", "runs (the paper's)", "epochs: mean (range)", "test accuracy", "left out"]
    return markdown(heads, rows)


def _trained(results: Results) -> pd.DataFrame:
    return results.networks[results.networks["trained"]]


def accuracy_markdown(results: Results) -> str:
    """Markdown table: test accuracy of every setting, mean and range over runs, and how many networks were left out."""
    networks = _trained(results)
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
