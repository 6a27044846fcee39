"""Words on the examples of the page "Your network in five lines": what each number of an analysis says."""

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.analysis.nulls import NULLS
from modularity_lib.analysis.records import LayerModules, MeasuresCompared
from modularity_lib.analysis.significance import ModuleTest
from modularity_lib.book.words.prose import listed, markdown, percent
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.consensus import CORE_SHARE
from modularity_lib.findings.synthetic import LEVEL

_ENOUGH = 0.8  # agreement of the modules of two sets of inputs, 0 to 1: a choice


def certainty_markdown(found: LayerModules) -> str:
    """Markdown table: the numbers of one layer by one measure, and what each of them says."""
    modules = found.modules
    if modules.status != "ok" or found.bound is None or found.consensus is None:
        return f"There are no modules to be sure of: {modules.reason}."
    consensus, bound = found.consensus, found.bound
    live = len(modules.labels) - found.dead_units
    mean = float(np.nanmean(consensus.confidence))
    rows: list[list[object]] = [
        ["`modules`", len(modules.communities()), f"of {live} units. {_silent_text(found.dead_units)}"],
        ["`score`", f"{modules.score:.3f}", "Q of these modules. Alone it proves nothing: noise has modules, too."],
        ["`bound`", f"{bound.upper:.3f}", f"No grouping of the units has a larger Q. {_bound_text(found)}"],
        ["`partitions`", consensus.n_partitions, _partitions_text(consensus.n_partitions, consensus.searches)],
        ["`confidence`", f"{mean:.2f}", "Mean over units, 0 to 1: how firmly searches agree on a unit's company."],
        [
            "`core_units`",
            int(np.count_nonzero(consensus.core)),
            f"Units that keep together in at least {percent(CORE_SHARE)} of the searches. So searches agree on them. "
            "Other data may still give other modules.",
        ],
    ]
    rows += [[f"`p`, null `{test.null}`", _p(test), f"{test.question} {_answer_text(test)}"] for test in found.tests]
    rows += [[f"`p`, null `{null}`", "–", f"{NULLS[null].question} {why}"] for null, why in found.untested.items()]
    return markdown(["number", "here", "what it says"], rows)


def agreement_text(compared: MeasuresCompared) -> str:
    """How far the modules of two measures agree, corrected for chance."""
    if compared.reason:
        return f"Modules of the two measures cannot be compared: {compared.reason}."
    more = "is more" if compared.p <= LEVEL else "is not shown to be more"
    return (
        f"Their agreement is {_above_chance(compared.agreement, compared.chance):.2f}, where 0 is chance and 1 the "
        f"same modules. It {more} than chance (p = {compared.p:.2g})."
    )


def nulls_text(found: LayerModules) -> str:
    """How to read the tests of one measure side by side: all nulls are beaten, none is, or some."""
    if not found.tests:
        return "There is no test of these modules."
    told = listed(f"{_p(test)} against {test.null}" for test in found.tests)
    beaten, others = ([test for test in found.tests if (test.p <= LEVEL) == is_so] for is_so in (True, False))
    begin = f"p is {told}."
    if not others:
        return f"{begin} So Q is larger than chance gives, whichever of these is meant by chance."
    if not beaten:
        return f"{begin} So Q is not shown to be larger than chance gives."
    return (
        f"{begin} So Q is larger than {_nulls(beaten)} would give, but not shown to be larger than {_nulls(others)} "
        "would. Report all: the similarities have some order, but maybe no more than the last has without modules."
    )


def inputs_text(first: Clustering, other: Clustering) -> str:
    """Whether modules found with some inputs are found with others as well."""
    if not first.status == other.status == "ok":
        return "Nothing can be compared, since one of them has no modules."
    agreed = _agreement(first, other)
    begin = f"Their agreement with the first modules is {agreed:.2f}, on the same scale."
    if agreed >= _ENOUGH:
        return f"{begin} So these inputs are enough: others give nearly the same modules."
    return f"{begin} So these inputs are too few to rest on their modules. Take more, until others give the same."


def assemblies_text(signed: Clustering, absolute: Clustering, truth: ArrayLike) -> str:
    """What the sign of correlations is worth, where the assemblies are known."""
    counts = [len(found.communities()) for found in (signed, absolute)]
    agreed = [_agreement(found, truth) for found in (signed, absolute)]
    return (
        f"With the sign the search finds {_modules(counts[0])}, and the agreement with the true assemblies is "
        f"{agreed[0]:.2f}. From absolute values it finds {_modules(counts[1])}, with an agreement of {agreed[1]:.2f}."
    )


def test_text(test: ModuleTest) -> str:
    """What a test says: Q, that of the null, and the answer to its question."""
    draws = len(test.null_scores)
    null = f"{test.null_scores.mean():.3f} " + (f"on average over {draws} draws" if draws > 1 else "in one draw")
    return f"{test.question} {_answer_text(test)} Q is {test.score:.3f}, that of the null {null}, and p is {_p(test)}."


test_text.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def _silent_text(silent: int) -> str:
    if silent == 0:
        return "No unit is silent."
    some = f"{silent} other{'s are' if silent > 1 else ' is'} silent (`dead` in the library)"
    return f"{some}: similar to no unit, and in no module."


def _bound_text(found: LayerModules) -> str:
    if found.is_proven:
        return "These modules reach it, but others may as well: see the next line."
    short = found.shortfall / found.modules.score if found.modules.score > 0 else np.inf
    return f"So the best grouping has a Q that is larger by {percent(short, digits=1)} at most."


def _partitions_text(partitions: int, searches: int) -> str:
    if partitions == 1:
        return f"All of {searches} quick searches end in the same modules."
    return f"Different results of {searches} quick searches. So there is more than one good answer."


def _answer_text(test: ModuleTest) -> str:
    if not test.p <= LEVEL:
        return "These data do not show it."
    return "Yes." + (" No draw of the null has so large a Q." if _reached(test) == 0 else "")


def _reached(test: ModuleTest) -> int:
    return round(test.p * (len(test.null_scores) + 1)) - 1


def _agreement(a: ArrayLike, b: ArrayLike) -> float:
    return _above_chance(element_centric_similarity(a, b), expected_element_centric_similarity(a, b))


def _above_chance(alike: float, chance: float) -> float:
    """0 for modules that are alike by chance, 1 for the same modules."""
    return (alike - chance) / (1 - chance) if chance < 1 else 0.0


def _modules(count: int) -> str:
    return f"{count} module" if count == 1 else f"{count} modules"


def _nulls(tests: list[ModuleTest]) -> str:
    return " or ".join(test.null for test in tests)


def _p(test: ModuleTest) -> str:
    return f"{test.p:.2g}"
