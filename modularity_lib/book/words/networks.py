"""Table of the accuracies of the networks."""

from modularity_lib.figures import LOOKS
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import REGULARISERS


def accuracy_table(results: Results) -> str:
    """Markdown table: test accuracy of every setting, mean and range over runs, and how many networks were left out."""
    lines = ["| regulariser | strength | test accuracy | range over runs | left out |", "|---|---|---|---|---|"]
    networks = results.networks[results.networks["trained"]]
    for regulariser in REGULARISERS:
        for strength, rows in sweep(networks, results.study, regulariser).groupby("strength"):
            accuracies = rows["test_accuracy"].dropna()
            mean, extremes = "–", "–"
            if len(accuracies):
                mean, extremes = f"{accuracies.mean():.1%}", f"{accuracies.min():.1%} to {accuracies.max():.1%}"
            left_out = int((~rows["analysed"]).sum())
            lines.append(
                f"| {LOOKS[regulariser].label} | {strength:g} | {mean} | {extremes} | {left_out} of {len(rows)} |"
            )
    return "\n".join(lines)
