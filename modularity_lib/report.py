"""Sentences and tables of the report, generated from results so that no number is typed into prose."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.search import Clustering
from modularity_lib.figures import LOOKS
from modularity_lib.findings.claims import CLAIMS, STATUSES, Verdict
from modularity_lib.findings.inference import Effect, smallest_sign_flip_p
from modularity_lib.images.dataset import train_validation_split
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.catalogue import STUDIES, Study
from modularity_lib.studies.estimate import expected_cost
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS, MEASURE_LABELS, REGULARISERS


def verdict_table(verdicts: Mapping[str, Verdict], others: Sequence[Mapping[str, Verdict]] = ()) -> str:
    """Markdown table: each claim, the verdict, and the quantity that decides it, here and in the paper.

    With the verdicts of other studies, a column counts them.
    """
    names = ["claim", "verdict", "here", "paper", *(["other studies"] if others else []), "decided by"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for claim in CLAIMS:
        verdict = verdicts[claim.id]
        paper = "–" if verdict.paper is None else f"{verdict.paper:.3f}"
        cells = [claim.statement, f"**{verdict.status}**", effect_text(verdict.effect), paper]
        if others:
            counts = Counter(other[claim.id].status for other in others)
            cells.append(", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]))
        lines.append(f"| {' | '.join([*cells, verdict.quantity])} |")
    return "\n".join(lines)


def effect_text(effect: Effect | None) -> str:
    """An effect in words: mean and 95 % interval, or smallest and largest run where they are too few for one."""
    if effect is None:
        return "–"
    if effect.low is not None:
        return f"{effect.mean:.3f} [{effect.low:.3f}, {effect.high:.3f}]"
    return f"{effect.mean:.3f} ({effect.smallest:.3f} to {effect.largest:.3f})"


def claim_text(claim_id: str, verdict: Verdict) -> str:
    """Markdown paragraphs that judge one claim: verdict, evidence, uncertainty, and the rule that was applied."""
    claim = next(claim for claim in CLAIMS if claim.id == claim_id)
    lines = [f"**Verdict: {verdict.status}.** {verdict.detail}"]
    if verdict.effect is not None:
        effect = verdict.effect
        paper = "" if verdict.paper is None else f" (read off the paper's figures: {verdict.paper:.3f})"
        interval = (
            ""
            if effect.low is None or effect.high is None
            else f", 95 % interval [{effect.low:.3f}, {effect.high:.3f}]"
        )
        lines.append(
            f"{verdict.quantity[0].upper()}{verdict.quantity[1:]}: {effect.mean:.3f} (single "
            f"runs: {effect.smallest:.3f} to {effect.largest:.3f}){interval} over {effect.n_runs} runs{paper}; sign-"
            f"flip p of a mean so far from 0: {effect.p_value:.2g} (the smallest that {effect.n_runs} runs can give is "
            f"{effect.smallest_p:.2g})."
        )
    lines.append(f"*Rule.* {claim.rule} *Refuted by:* {claim.refuted_by[0].lower()}{claim.refuted_by[1:]}")
    return "\n\n".join(lines)


def all_claims_text(verdicts: Mapping[str, Verdict]) -> str:
    """Markdown: every claim as the paper has it, then its judgement as in `claim_text`."""
    return "\n\n".join(f"*{claim.statement}*\n\n{claim_text(claim.id, verdicts[claim.id])}" for claim in CLAIMS)


def study_facts(results: Results) -> dict[str, str]:
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
        "dataset": study.dataset,
        "hidden": " and ".join(map(str, study.hidden)),
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
        "largest_l1": f"{study.largest_analysed_l1:g}",
        "dead_layers": f"in {n_dead:,} cases a measure finds every unit of a layer dead"
        if n_dead
        else "in no layer are all units dead for a measure",
        "search_steps": f"{study.search_steps:,}",
        "permutations": f"{study.permutations:,}",
    }


def module_facts(results: Results) -> dict[str, str]:
    """How modular untrained networks are, and how many modules there are at the strongest regularisation, in words."""
    untrained = results.analysed("modules", trained=False)
    if untrained.empty:
        none = "There are no untrained networks in this study."
        return {"untrained_scores": none, "module_counts": none}
    scores, counts = (untrained.groupby("measure")[name] for name in ("score", "n_modules"))
    means, chance = scores.mean(), counts.mean()
    low, high = str(means.idxmin()), str(means.idxmax())
    spread = scores.std()
    parts = []
    for regulariser in reversed(REGULARISERS):
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        if rows.empty:
            continue
        strongest = rows[rows["strength"] == rows["strength"].max()].groupby("measure")["n_modules"].mean()
        fewer = int((strongest < chance[strongest.index]).sum())
        parts.append(
            f"{LOOKS[regulariser].label} {rows['strength'].max():.2g}: {strongest.min():.1f} to {strongest.max():.1f} "
            f"(fewer than untrained in {fewer} of {len(strongest)})"
        )
    return {
        "untrained_scores": (
            f"Mean Q of untrained networks goes from {means[low]:.3f} ({MEASURE_LABELS[low]}) to "
            f"{means[high]:.3f} ({MEASURE_LABELS[high]}), with standard deviations of {spread.min():.3f} to "
            f"{spread.max():.3f} over networks and layers."
        ),
        "module_counts": (
            f"Untrained networks have {chance.min():.1f} to {chance.max():.1f} modules by measure. At the strongest "
            f"analysed regularisation it is, by measure: {'; '.join(parts)}."
        ),
    }


def strength_text(results: Results) -> str:
    """How agreement changes from no dropout to the strongest, by kind of pair, in a sentence."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    if rows["strength"].nunique() < 2:
        return "There is no second strength of dropout to compare with."
    first, last = rows["strength"].min(), rows["strength"].max()
    parts = []
    for kind in KINDS:
        chosen = rows[rows["kind"] == kind].groupby("strength")[["element_centric", "element_centric_chance"]].mean()
        before, after = chosen.loc[first], chosen.loc[last]
        parts.append(
            f"{LOOKS[kind].label} {before['element_centric']:.2f} to {after['element_centric']:.2f} (chance "
            f"{before['element_centric_chance']:.2f} to {after['element_centric_chance']:.2f})"
        )
    return f"From dropout {first:g} to {last:g} mean element-centric similarity goes, for {'; for '.join(parts)}."


def metrics_text(table: pd.DataFrame) -> str:
    """How the metrics of agreement correlate, from `figures.metric_table`, in a sentence."""
    matrices = (table["metric_a"] == "similarity_spearman") | (table["metric_b"] == "similarity_spearman")
    clusterings, rsa = table.loc[~matrices, "here"], table.loc[matrices, "here"]
    return (
        f"The metrics of two clusterings correlate by {clusterings.min():.2f} to {clusterings.max():.2f} with each "
        f"other; the rank correlation of the two similarity matrices (RSA) correlates with them by {rsa.min():.2f} to "
        f"{rsa.max():.2f}."
    )


def cost_facts(results: Results) -> dict[str, str]:
    """What a study cost, and what so few runs can prove, in words."""
    seconds = results.made_with.get("core_seconds", {})
    spent = ", ".join(f"{stage} {value:,.0f} s" for stage, value in seconds.items())
    smallest_p = smallest_sign_flip_p(results.study.runs)
    return {
        "cost": spent or "not recorded",
        "smallest_p": f"{results.study.runs} runs give a two-sided sign-flip p of {smallest_p:.2g} at the least.",
    }


def studies_table(*, cores: int, computed: Sequence[Results] = ()) -> str:
    """Markdown table: every study, what it consists of, and its time from nothing on so many cores.

    "Expected" is from the shapes of the networks; with early stopping it is what it takes at most. "Took" divides the
    core time of those that were `computed` by the cores.
    """
    took = {results.study.name: sum(results.made_with["core_seconds"].values()) for results in computed}
    lines = ["| study | networks | hidden units | digits | protocol | expected | took |", "|---" * 7 + "|"]
    for name, study in STUDIES.items():
        cost, trained = expected_cost(study), study.trained_configs()
        seconds = sum(map(cost.of, trained)) + study.untrained * cost.analysis
        expected = ("at most " if study.protocol != "v1" else "") + _duration(seconds / cores)
        lines.append(
            f"| `{name}` | {len(trained)} trained, {study.untrained} untrained | {'-'.join(map(str, study.hidden))} | "
            f"{study.dataset} | {study.protocol} | {expected} | "
            f"{_duration(took[name] / cores) if name in took else '–'} |"
        )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def agreement_facts(table: pd.DataFrame) -> dict[str, str]:
    """What `figures.chance_to_ceiling_table` says, in words."""
    names = {
        "upstream": "Two upstream measures",
        "downstream": "Two downstream measures",
        "across": "A measure of each family",
    }
    values = table.set_index(["kind", "what"])["element_centric"]
    sentences = []
    for kind, name in names.items():
        chance, before, trained, ceiling = (
            values[kind, what] for what in ("chance", "untrained", "trained", "ceiling")
        )
        images = values.get((kind, "ceiling, images"), np.nan)
        highest = "" if pd.isna(ceiling) else f", ceiling {ceiling:.2f}"
        highest += "" if pd.isna(images) else f" ({images:.2f} with other images)"
        sentences.append(
            f"{name}: {trained:.2f} in trained networks, {before:.2f} in untrained ones, chance {chance:.2f}{highest}."
        )
    return {"chance_to_ceiling": " ".join(sentences)}


def _left_out_text(left_out: pd.DataFrame, study: Study) -> str:
    if left_out.empty:
        return "No network had to be left out"
    diverged = left_out["status"] != "ok"
    inaccurate = ~diverged & (left_out["test_accuracy"] < study.min_test_accuracy)
    reasons = {
        f"with a test accuracy under {study.min_test_accuracy:.0%}": int(inaccurate.sum()),
        f"with an L1 strength above {study.largest_analysed_l1:g}": int((~diverged & ~inaccurate).sum()),
        "that diverged": int(diverged.sum()),
    }
    return "Left out of every analysis, as in the paper: " + ", ".join(
        f"{count} {reason}" for reason, count in reasons.items() if count
    )


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


def pair_facts(
    matrices: Mapping[str, np.ndarray],
    modules: Mapping[str, Clustering],
    scores: Mapping[tuple[str, str], float],
    pair: tuple[str, str],
) -> dict[str, str]:
    """What two measures find in one layer, in words: their names, and how far each one's modules explain the other."""
    a, b = pair
    labels_a, labels_b = modules[a].labels, modules[b].labels
    alike, chance = (
        element_centric_similarity(labels_a, labels_b),
        expected_element_centric_similarity(labels_a, labels_b),
    )
    verdict = (
        f"Under its own modules the {MEASURE_LABELS[a]} matrix has Q = {scores[a, a]:.3f}, under those of the "
        f"{MEASURE_LABELS[b]} {scores[a, b]:.3f}; the other way round it is {scores[b, b]:.3f} and {scores[b, a]:.3f}. "
        f"The two clusterings have an element-centric similarity of {alike:.2f}, where shuffled units would give "
        f"{chance:.2f} on average."
    )
    units = len(matrices[a])
    return {"name_a": MEASURE_LABELS[a], "name_b": MEASURE_LABELS[b], "n_units": str(units), "pair_verdict": verdict}


def series_facts(modules: Mapping[float, Clustering], measure: str) -> dict[str, str]:
    """Q of one measure's matrices at several strengths of dropout, in words."""
    scores = {dropout: modules[dropout].score for dropout in sorted(modules)}
    listed = ", ".join(f"{score:.3f} at dropout {dropout:g}" for dropout, score in scores.items())
    found = list(scores.values())
    steps = [after - before for before, after in pairwise(found)]
    if not steps:
        course = "There is only one strength to show."
    elif min(steps) > 0:
        course = "It rises from each strength to the next."
    elif max(steps) < 0:
        course = "It falls from each strength to the next."
    else:
        course = "It rises and falls from one strength to the next."
    label = MEASURE_LABELS[measure]
    return {
        "series_measure": f"{label[0].upper()}{label[1:]}",
        "series_verdict": f"Modularity of the {label} matrix, layer and run as in the picture: {listed}. {course}",
    }
