"""The page of an analysis: one HTML file with its pictures in it, readable without a network."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.analysis.pictures import matrix_svg, null_svg, scale_svg
from modularity_lib.analysis.records import LayerModules, MeasuresCompared
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS

_NAMES_SHOWN = 12  # of the units of a module; the table of all units has the rest

_HOW_TO_READ = """
<p>Each picture shows how similar every two units are, in the order of the modules that were found, with a frame around
each module. <b>Q</b>, the modularity, is the share of the similarity that lies within modules, beyond what the total of
each unit would put there; with all units in one module it is 0. The <b>bound</b> holds for every way to part the units:
no Q is higher. The <b>consensus</b> is what many short searches agree on, and <b>confidence</b> says how firmly they
agree on the company of a unit, from 0 to 1; of how well the data support it, it says nothing. <b>p</b> is the share of
draws of a null whose Q is at least as high, the data counted in; beside each null stands the question that it asks.</p>
"""


def page_of(
    subject: str,
    results: Sequence[LayerModules],
    comparisons: Sequence[MeasuresCompared],
    made_with: Mapping[str, Any],
) -> str:
    """The whole page; arguments are the fields of an `Analysis`."""
    title = f"Modules of {subject}"
    anchors = {id(result): f"result{number}" for number, result in enumerate(results)}
    layers = dict.fromkeys(result.layer for result in results)
    measures = dict.fromkeys(result.measure for result in results)
    counts = f"{_count(len(layers), 'layer')}, {_count(len(measures), 'measure')}"
    sections = "".join(
        _layer(
            layer,
            [(anchors[id(result)], result) for result in results if result.layer == layer],
            [comparison for comparison in comparisons if comparison.layer == layer],
        )
        for layer in layers
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n"
        f'<p class="muted">{counts}; analysed on {escape(made_with["date"])} with modularity-lib.</p>\n'
        f"{_HOW_TO_READ}</header>\n<main>\n{_summary([(anchors[id(result)], result) for result in results])}{sections}"
        f"{_how_made(made_with)}</main>\n</body>\n</html>\n"
    )


def _css() -> str:
    return files("modularity_lib.analysis").joinpath("report.css").read_text(encoding="utf-8")


def _summary(results: Sequence[tuple[str, LayerModules]]) -> str:
    nulls = list(dict.fromkeys(test.null for _, result in results for test in result.tests))
    rows = []
    for anchor, result in results:
        modules, bound, consensus = result.modules, result.bound, result.consensus
        link = f'<a href="#{anchor}">{escape(_label(result.measure))}</a>'
        ps = {test.null: _p(test.p) for test in result.tests}
        rows.append(
            [
                *(escape(result.layer), link),
                _number(modules.score),
                "–" if bound is None else _number(bound.upper),
                str(len(modules.communities())),
                *(str(len(modules.labels)), str(result.dead_units)),
                "–" if consensus is None else f"{np.nanmean(consensus.confidence):.2f}",
                *(ps.get(null, "–") for null in nulls),
            ]
        )
    heads = [
        "layer",
        "measure",
        "Q",
        "bound",
        "modules",
        "units",
        "dead",
        "confidence",
        *(f"p: {null}" for null in nulls),
    ]
    table = _table(heads, rows, caption="All layers and measures", numbers=range(2, len(heads)), row_heads=2)
    return f"<h2>In short</h2>\n{table}"


def _layer(layer: str, results: Sequence[tuple[str, LayerModules]], comparisons: Sequence[MeasuresCompared]) -> str:
    articles = "".join(_article(anchor, result) for anchor, result in results)
    return f"<section>\n<h2>Layer <code>{escape(layer)}</code></h2>\n{articles}{_compared(comparisons)}</section>\n"


def _article(anchor: str, result: LayerModules) -> str:
    family = FAMILY.get(result.measure)
    kind = f' <span class="muted">{family}</span>' if family else ""
    head = f'<article id="{anchor}">\n<h3>{escape(_label(result.measure))}{kind}</h3>\n'
    if result.bound is None or result.consensus is None:
        units = len(result.modules.labels)
        said = f"All {units} units are dead: by this measure none is similar to another. There are no modules."
        return f"{head}<p>{said}</p>\n</article>\n"
    beside = f"{_picture(result, anchor)}<div>\n{_facts(result)}{_tests(result, anchor)}</div>\n"
    return f'{head}<div class="beside">\n{beside}</div>\n{_modules(result)}{_units(result)}</article>\n'


def _picture(result: LayerModules, anchor: str) -> str:
    modules = result.modules
    sizes = [str(len(community)) for community in modules.communities()]
    is_signed = bool((result.similarity < 0).any())
    description = (
        f"Similarity of the {len(modules.labels)} units of layer {result.layer} by {_label(result.measure)}, in the "
        f"order of {_count(len(sizes), 'module')} of {', '.join(sizes)} units; Q = {modules.score:.3f}."
    )
    picture = matrix_svg(result.similarity, result.modules.labels, name=anchor, description=description)
    lowest = "−1" if is_signed else "0"
    key = f"<span>{lowest}</span>{scale_svg(is_signed=is_signed)}<span>1</span>"
    return (
        f'<figure>\n{picture}\n<div class="key">{key}</div>\n'
        "<figcaption>Similarity of two units, as a share of the largest, in the order of modules; "
        f"the diagonal does not count{'; dead units last' if result.dead_units else ''}.</figcaption>\n</figure>\n"
    )


def _facts(result: LayerModules) -> str:
    modules, bound, consensus = result.modules, result.bound, result.consensus
    assert bound is not None
    assert consensus is not None
    live = len(modules.labels) - result.dead_units
    mean, least = np.nanmean(consensus.confidence), np.nanmin(consensus.confidence)
    n_core = int(np.count_nonzero(consensus.core))
    agreed = _count(len(set(consensus.labels.tolist()) - {-1}), "module")
    alike = element_centric_similarity(modules.labels, consensus.labels)
    is_best = (
        f"{_number(bound.upper)}: no way to part the units has a higher Q; that is proven."
        if result.is_proven
        else f"{_number(bound.upper)}: the best there is may be higher by {result.shortfall:.4f} at most."
    )
    facts = {
        "Q": _number(modules.score),
        "Modules": str(len(modules.communities())),
        "Bound on Q": is_best,
        "Units": str(len(modules.labels)) + (f", of which {result.dead_units} dead" if result.dead_units else ""),
        "Confidence": f"{mean:.2f} on average, {least:.2f} at least; {n_core} of {live} units are core.",
        "Consensus": f"{agreed} with Q = {_number(consensus.score)}, from searches that ended in "
        f"{_count(consensus.n_partitions, 'partition')}; {alike:.2f} alike the modules here (element-centric).",
    }
    return _definitions({name: escape(text) for name, text in facts.items()})


def _tests(result: LayerModules, anchor: str) -> str:
    parts = []
    for number, test in enumerate(result.tests):
        scores = np.asarray(test.null_scores, dtype=float)
        mean = float(scores.mean())
        deviation = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
        said = (
            f"Q is {_number(test.score)}; {_count(len(scores), 'draw')} of the null give {mean:.3f} ± {deviation:.3f} "
            f"(mean ± standard deviation): z = {test.z:.1f}, p = {_p(test.p)}."
        )
        picture = null_svg(test.score, scores, name=f"{anchor}-null{number}", description=f"{test.question} {said}")
        parts.append(
            f"<h4>Null: <code>{escape(test.null)}</code></h4>\n<p>{escape(test.question)}</p>\n{picture}\n"
            f'<p class="muted">{escape(said)}</p>\n'
        )
    for null, reason in result.untested.items():
        parts.append(f"<h4>Null: <code>{escape(null)}</code></h4>\n<p>Not tested: {escape(reason)}</p>\n")
    return "".join(parts)


def _modules(result: LayerModules) -> str:
    consensus = result.consensus
    assert consensus is not None
    rows = []
    for module, community in enumerate(result.modules.communities()):
        places = sorted(community)
        named = [str(result.names[place]) for place in places[:_NAMES_SHOWN]]
        more = f" and {len(places) - _NAMES_SHOWN} more" if len(places) > _NAMES_SHOWN else ""
        confidence = float(np.nanmean(np.asarray(consensus.confidence)[places]))
        cells = [str(module), str(len(places)), f"{confidence:.2f}", escape(", ".join(named) + more)]
        rows.append(cells)
    if result.dead_units:
        rows.append(["dead", str(result.dead_units), "–", "no similarity to any other unit"])
    return _table(["module", "size", "confidence", "units"], rows, caption="Modules", numbers=(1, 2), row_heads=1)


def _units(result: LayerModules) -> str:
    consensus = result.consensus
    assert consensus is not None
    rows = [
        [
            escape(str(name)) or "(no name)",
            "dead" if label < 0 else str(label),
            "dead" if agreed < 0 else str(agreed),
            "–" if label < 0 else f"{confidence:.2f}",
            "yes" if core else "",
        ]
        for name, label, agreed, confidence, core in zip(
            *(result.names, result.modules.labels, consensus.labels, consensus.confidence, consensus.core), strict=True
        )
    ]
    table = _table(
        ["unit", "module", "in the consensus", "confidence", "core"], rows, caption="", numbers=(3,), row_heads=1
    )
    return f"<details>\n<summary>All {len(rows)} units with their confidence</summary>\n{table}</details>\n"


def _compared(comparisons: Sequence[MeasuresCompared]) -> str:
    if not comparisons:
        return ""
    rows = []
    for one in comparisons:
        numbers = [f"{one.agreement:.3f}", f"{one.chance:.3f}", _p(one.p)] if not one.reason else ["–", "–", "–"]
        rows.append([escape(_label(one.measure_a)), escape(_label(one.measure_b)), *numbers])
    said = (
        "Do two measures find the same modules? Element-centric similarity: 1 = the same modules; chance = its mean "
        "when the units of one are shuffled; p = of the permutation test of the matched units."
    )
    heads = ["measure", "and", "agreement", "chance", "p"]
    return f"<h3>Agreement of measures</h3>\n{_table(heads, rows, caption=said, numbers=(2, 3, 4), row_heads=2)}"


def _how_made(made_with: Mapping[str, Any]) -> str:
    made = dict(made_with)
    versions = ", ".join(f"{name} {number}" for name, number in made.pop("versions").items())
    arguments = "<br>".join(
        f"<code>{escape(name)} = {escape(text)}</code>" for name, text in made.pop("arguments").items()
    )
    facts = {name.replace("_", " "): escape(str(value)) for name, value in made.items()}
    facts |= {"arguments": arguments, "versions": escape(versions)}
    return f"<section>\n<h2>How it was made</h2>\n{_definitions(facts)}</section>\n"


def _definitions(facts: dict[str, str]) -> str:
    return "<dl>\n" + "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>\n" for name, text in facts.items()) + "</dl>\n"


def _table(heads: list[str], rows: list[list[str]], *, caption: str, numbers: Iterable[int], row_heads: int) -> str:
    """A table whose cells are HTML; it scrolls by itself where it is too wide."""
    right = set(numbers)

    def cell(place: int, text: str, *, in_head: bool) -> str:
        tag = "th" if in_head or place < row_heads else "td"
        scope = ' scope="col"' if in_head else ' scope="row"' if tag == "th" else ""
        return f"<{tag}{scope}{' class=' + chr(34) + 'number' + chr(34) if place in right else ''}>{text}</{tag}>"

    head = "".join(cell(place, escape(text), in_head=True) for place, text in enumerate(heads))
    body = "\n".join(
        "<tr>" + "".join(cell(place, text, in_head=False) for place, text in enumerate(row)) + "</tr>" for row in rows
    )
    named = escape(caption or ", ".join(heads))
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{named}">\n<table>{title}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
    )


def _label(measure: str) -> str:
    return MEASURE_LABELS.get(measure, measure.replace("_", " "))


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.4f}"


def _p(value: float) -> str:
    return "–" if value != value else f"{value:.2g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
