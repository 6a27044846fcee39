"""Table of the accuracies of the networks."""

from modularity_lib.book.words.prose import markdown
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import LABELS, REGULARISERS


def accuracy_markdown(results: Results) -> str:
    """Markdown table: test accuracy of every setting, mean and range over runs, and how many networks were left out."""
    networks = results.networks[results.networks["trained"]]
    lines = []
    for regulariser in REGULARISERS:
        for strength, rows in sweep(networks, results.study, regulariser).groupby("strength"):
            accuracies = rows["test_accuracy"].dropna()
            mean, extremes = "–", "–"
            if len(accuracies):
                mean, extremes = f"{accuracies.mean():.1%}", f"{accuracies.min():.1%} to {accuracies.max():.1%}"
            left_out = f"{int((~rows['analysed']).sum())} of {len(rows)}"
            lines.append([LABELS[regulariser], f"{strength:g}", mean, extremes, left_out])
    return markdown(["regulariser", "strength", "test accuracy", "range over runs", "left out"], lines)
