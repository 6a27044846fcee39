"""Words on the examples of the page "Your network in five lines": what each number of an analysis says."""

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.analysis.nulls import NULLS
from modularity_lib.analysis.records import LayerModules, MeasuresCompared
from modularity_lib.analysis.significance import ModuleTest
from modularity_lib.book.words.prose import markdown
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.consensus import CORE_SHARE
from modularity_lib.findings.synthetic import LEVEL


def certainty_markdown(found: LayerModules) -> str:
    """Markdown table: the numbers of one layer by one measure, and what each of them says."""
    modules = found.modules
    if modules.status != "ok" or found.bound is None or found.consensus is None:
        return f"There are no modules to be sure of: {modules.reason}."
    consensus, bound = found.consensus, found.bound
    live = len(modules.labels) - found.dead_units
    mean = float(np.nanmean(consensus.confidence))
    rows: list[list[object]] = [
        ["`modules`", len(modules.communities()), f"of {live} units. {_dead_text(found.dead_units)}"],
        ["`score`", f"{modules.score:.3f}", "Q of these modules. By itself it says little; the next lines say more."],
        ["`bound`", f"{bound.upper:.3f}", f"No way to group the units has a larger Q. {_bound_text(found)}"],
        ["`partitions`", consensus.n_partitions, _partitions_text(consensus.n_partitions, consensus.searches)],
        ["`confidence`", f"{mean:.2f}", "Mean over units: how much of its company a unit keeps in a search; 1 is all."],
        [
            "`core_units`",
            int(np.count_nonzero(consensus.core)),
            f"Units that keep together in at least {CORE_SHARE:.0%} of the searches. It is the search that is sure of "
            "them, not the data.",
        ],
    ]
    rows += [[f"`p`, null `{test.null}`", _p(test), f"{test.question} {_answer_text(test)}"] for test in found.tests]
    rows += [[f"`p`, null `{null}`", "–", f"{NULLS[null].question} {why}"] for null, why in found.untested.items()]
    return markdown(["number", "here", "what it says"], rows)


def agreement_text(compared: MeasuresCompared) -> str:
    """How alike the modules of two measures are, beside chance."""
    if compared.reason:
        return f"Modules of the two measures cannot be compared: {compared.reason}."
    more = "more than" if compared.p <= LEVEL else "not more than"
    return (
        f"The modules by the two measures are alike by {compared.agreement:.2f}, where 1 is the same and shuffled "
        f"units would give {compared.chance:.2f}: {more} chance (p = {compared.p:.2g})."
    )


def assemblies_text(signed: Clustering, absolute: Clustering, truth: ArrayLike) -> str:
    """What the sign of correlations is worth, where the assemblies are known."""
    counts = [len(found.communities()) for found in (signed, absolute)]
    alike = [element_centric_similarity(found, truth) for found in (signed, absolute)]
    return (
        f"With the sign the search finds {counts[0]} modules, alike the true assemblies by {alike[0]:.2f}. From "
        f"absolute values it finds {counts[1]}, alike by {alike[1]:.2f}."
    )


def test_text(test: ModuleTest) -> str:
    """What a test says: Q, that of the null, and the answer to its question."""
    null = f"{test.null_scores.mean():.3f} on average over {len(test.null_scores)} draws"
    return f"{test.question} Q is {test.score:.3f}, that of the null {null}, and p = {_p(test)}. {_answer_text(test)}"


test_text.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def _dead_text(dead: int) -> str:
    if dead == 0:
        return "No unit is dead."
    some = f"{dead} other{'s are' if dead > 1 else ' is'} dead"
    return f"{some}: similar to no unit at all, and in no module."


def _bound_text(found: LayerModules) -> str:
    if found.is_proven:
        return "So these modules are proven to be the best."
    short = found.shortfall / found.modules.score if found.modules.score > 0 else np.inf
    return f"So the best modules have a Q that is larger by {short:.1%} at most."


def _partitions_text(partitions: int, searches: int) -> str:
    if partitions == 1:
        return f"All of {searches} quick searches end in the same modules."
    return f"Different results of {searches} quick searches: there is more than one good answer."


def _answer_text(test: ModuleTest) -> str:
    if not test.p <= LEVEL:
        return "No, or not so that these data show it."
    return "Yes." + (" Not one draw of the null has so large a Q." if _reached(test) == 0 else "")


def _reached(test: ModuleTest) -> int:
    return round(test.p * (len(test.null_scores) + 1)) - 1


def _p(test: ModuleTest) -> str:
    return f"{test.p:.2g}"
