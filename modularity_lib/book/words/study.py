"""Words on a study as a whole: its size, its cost, and where its numbers come from."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.book.words.verdicts import VERSIONS
from modularity_lib.findings.claims import COULD_NOT_TEST, NOT_REPRODUCED, STATUSES, Verdict
from modularity_lib.images.dataset import train_validation_split
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results
from modularity_lib.studies.shipped import RESULTS_FOLDER
from modularity_lib.vocabulary import strength_text


def study_texts(results: Results) -> dict[str, str]:
    """The size of a study in words, for captions and prose."""
    study, networks = results.study, results.networks
    trained = networks[networks["trained"]]
    left_out = trained[~trained["analysed"]]
    source = DATASETS[study.dataset]
    train_index, validation_index = train_validation_split(source.n_train_images, seed=0)
    of_analysed = results.modules[results.modules["analysed"] | ~results.modules["trained"]]
    n_dead = int((of_analysed["status"] != "ok").sum())
    return {
        "study": study.name,
        "protocol": f"the {VERSIONS[study.protocol]}'s protocol",
        "dataset": study.dataset,
        "hidden": listed(study.hidden),
        "epochs": f"{study.epochs:,}",
        "n_train": f"{len(train_index):,}",
        "n_validation": f"{len(validation_index):,}",
        "n_test": f"{source.n_test_images:,}",
        "n_runs": str(study.runs),
        "n_settings": str(len(study.settings())),
        "n_trained": f"{len(trained):,}",
        "n_analysed": f"{int(trained['analysed'].sum()):,}",
        "n_left_out": _left_out_text(left_out, study),
        "n_untrained": f"{study.untrained:,}",
        "largest_l1": strength_text(study.largest_analysed_l1),
        "dead_layers": f"in {n_dead:,} cases a measure finds every unit of a layer dead"
        if n_dead
        else "in no layer are all units dead for a measure",
        "search_steps": f"{study.search_steps:,}",
        "permutations": f"{study.permutations:,}",
    }


def judged_text(study: Study, verdicts: Mapping[str, Verdict]) -> str:
    """How many claims hold on a study that is judged by the rules of the ledger."""
    counts = Counter(verdict.status for verdict in verdicts.values())
    held = listed(_counted(counts[status], status) for status in STATUSES if counts[status])
    held = f"Of the {len(verdicts)} claims, {held}."
    if counts.keys() == {NOT_REPRODUCED}:
        held = f"None of the {len(verdicts)} claims is reproduced."
    return f"The study {study.name} was judged by the same rules as the paper's own experiment. {held}"


def _counted(count: int, status: str) -> str:
    if status == COULD_NOT_TEST:
        return f"{count} could not be tested"
    return f"{count} {'is' if count == 1 else 'are'} {status}"


def cost_texts(results: Results) -> dict[str, str]:
    """What a study cost, in words."""
    seconds = results.made_with.get("core_seconds", {})
    spent = ", ".join(f"{stage} {value:,.0f} s" for stage, value in seconds.items())
    return {"cost": spent or "not recorded"}


def _left_out_text(left_out: pd.DataFrame, study: Study) -> str:
    if left_out.empty:
        return "No network had to be left out"
    diverged = left_out["status"] != "ok"
    inaccurate = ~diverged & (left_out["test_accuracy"] < study.min_test_accuracy)
    strong = strength_text(study.largest_analysed_l1)
    reasons = {
        f"with a test accuracy under {study.min_test_accuracy:.0%}": int(inaccurate.sum()),
        f"with an L1 strength above {strong}": int((~diverged & ~inaccurate).sum()),
        "that diverged": int(diverged.sum()),
    }
    return "Left out of every analysis, as in the paper: " + ", ".join(
        f"{count} {reason}" for reason, count in reasons.items() if count
    )


def provenance_markdown(studies: Iterable[Results]) -> str:
    """Markdown table, a row for each study: networks, size where shipped, days, core-hours, commits, versions."""
    rows = [_row(results) for results in studies]
    return markdown(list(rows[0]), (row.values() for row in rows)) if rows else ""


def _row(results: Results) -> dict[str, str]:
    made = results.made_with
    versions = made["versions"]
    first, last = (written[:10] for written in made["written"])
    packages = [f"{label} {listed(versions[label.lower()])}" for label in ("Python", "torch", "numpy")]
    return {
        "study": results.study.name,
        "networks": f"{len(results.networks):,}",
        "where": where(results.study.name),
        "computed (UTC)": first if first == last else f"{first} to {last}",
        "core-hours": f"{sum(made['core_seconds'].values()) / 3600:.2g}",
        "commits": ", ".join(versions["commit"]),
        "with": "; ".join([", ".join(packages), *versions["machine"]]),
    }


def where(study: str) -> str:
    """Whether the tables of a study come with the project, and then how large they are."""
    folder = RESULTS_FOLDER / study
    if not folder.is_dir():
        return "computed here"
    return f"shipped, {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB"
