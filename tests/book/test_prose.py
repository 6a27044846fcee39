"""No number is typed into the prose: what the chapters say follows the results, and other results give other words.

Chapters are run here without a kernel, on copies of the shipped tables in which every result is turned upside down.
"""

import ast
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import myst_nb
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from modularity_lib.book import pages
from modularity_lib.book.execution import Chapter, all_chapters, find_chapter
from modularity_lib.book.origin import Call
from modularity_lib.book.readme import README, shipped_results, with_table
from modularity_lib.book.words.ledger import ledger_markdown, ledger_texts
from modularity_lib.book.words.networks import accuracy_markdown
from modularity_lib.book.words.study import study_texts
from modularity_lib.book.words.verdicts import all_claims_text, by_study_markdown, detail_text, verdicts_markdown
from modularity_lib.figures.plot import Plot
from modularity_lib.findings import common_mode, live_units, noise_ceiling
from modularity_lib.findings import tables as findings_tables
from modularity_lib.findings.claims import judge_all
from modularity_lib.findings.ledger import GROUPS, judge_studies, ledger, published_beside_ours
from modularity_lib.findings.live_units import on_live_units
from modularity_lib.findings.noise_ceiling import searched_again
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies import shipped
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.entries import Entry, read_entry, replace_entry
from modularity_lib.studies.results import IDENTIFYING, Results
from modularity_lib.training.config import TrainingConfig

PROJECT = Path(__file__).resolve().parents[2]

# What prose may say with digits: names, conventions, and the ends of scales.
ALLOWED = {
    "the penalties": r"\bL[12]\b",
    "bars and bands": r"± 1(, 2 and 3)? standard (error|deviation)",
    "the level of every interval": r"\b95 %",
    "the ends of a scale": r"(?<![\d.,])[01](?![\d%]|[.,]\d)",
    "a study's name": r"\bv1\b",
    "a figure of the paper": r"\bP1?\d\b",
    "a data set's name": r"\bCIFAR-10\b",
}
# Choices of the paper that prose names: each must be what the code does.
METHOD = {
    r"test accuracy under (\d+) %": f"{STUDIES['v1'].min_test_accuracy:.0%}".removesuffix("%"),
    r"learning rate ([\d.]+\d)": f"{TrainingConfig().learning_rate:g}",
    r"batches of (\d+)": str(TrainingConfig().batch_size),
    r"the (\d+) pixels": str(load_dataset("mnist-5k").test_images.shape[1]),
    r"wider \((\d+) units\)": str(STUDIES["final-wide"].hidden[0]),
}
CHAPTERS = [chapter.name for chapter in all_chapters(PROJECT)]
PAGES = {
    path.stem: Chapter(PROJECT, path.stem, path.read_text()) for path in sorted((PROJECT / "chapters").glob("*.md"))
}
# Chapters whose numbers come from weights, images or this machine, not from the tables of a study.
WITHOUT_TABLES = {"measures", "modules", "explorer", "speed", "rerun", "status", "live", "your_network", "how_to"}
MADE_UP = re.compile(r"^\| made-up", re.MULTILINE)  # how a table of made-up data begins
# Texts of the chapters with a decimal number that is none of the results.
NO_RESULTS = {
    "modules_rule",
    "rule_short",
    "penalty_axis",
    "twin_limit",
    "linear_pilot",
    "trial_sentence",
    "largest_l1",
    "protocol_rules",
    "null_entropy",
    "made_up_rises",
    "effects_tests",
    "sides_rule",
    "sides_same",
    "sides_made_up",
    "lesion_rule",
    "copies_rule",
    "rules_in_short",
}  # they follow from the number of runs, from the grid, from the protocols, from limits, and from pilots


def without_fences(lines: Iterable[str]) -> Iterator[str]:
    """The lines outside of code and of other blocks, and what captions and notes say."""
    inside: list[tuple[str, bool]] = []  # fence and whether its block is prose, outermost first
    for line in lines:
        fence = re.match(r"(`{3,}|:{3,})(.*)$", line)
        if fence and inside and fence[1] == inside[-1][0] and not fence[2].strip():
            inside.pop()
        elif fence and fence[2].strip():
            prose = re.match(r"\s*\{(glue:figure|figure|note|admonition|container|dropdown)\}", fence[2]) is not None
            inside.append((fence[1], prose))
        elif all(prose for _, prose in inside):
            yield line


def prose_of(chapter: Chapter) -> str:
    """The text of a chapter without code, mathematics, and the names in roles, links and options."""
    markdown = "\n\n".join(cell.source for cell in chapter.notebook().cells if cell.cell_type == "markdown")
    markdown = "\n".join(without_fences(markdown.splitlines()))
    for what in (
        re.compile(r"^:name:.*$", re.MULTILINE),
        re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL),
        re.compile(r"\{[\w:-]+\}`[^`]+`|`[^`]+`"),
        re.compile(r"\]\([^)]*\)"),
    ):
        markdown = what.sub(" ", markdown)
    return markdown


def typed_numbers(prose: str) -> list[str]:
    """Lines of prose with digits that are neither allowed nor choices of the method."""
    for pattern in (*METHOD, *ALLOWED.values()):
        prose = re.sub(pattern.replace(" ", r"\s+"), " ", prose)
    return [line for line in prose.splitlines() if re.search(r"\d", line)]


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_typed_into_the_prose_of_a_page(name: str) -> None:
    assert typed_numbers(prose_of(PAGES[name])) == []


def test_the_concordance_has_every_figure_of_the_paper_and_names_figures_that_exist() -> None:
    labels = {label for page in PAGES.values() for label in re.findall(r"^:name: (\S+)$", page.text, re.MULTILINE)}
    rows = dict(re.findall(r"^\| (P\d+) \|.*?\|(.*)\|$", PAGES["concordance"].text, re.MULTILINE))
    assert list(rows) == [f"P{number}" for number in range(1, 13)]
    for name, row in rows.items():
        named = re.findall(r"\{numref\}`([^`]+)`", row)
        assert named, name
        assert set(named) <= labels, name
    compared = {group.figure for group in GROUPS}
    assert {name for name, row in rows.items() if re.search("published|numbers are compared", row)} - {"P6"} == compared


def test_a_number_typed_into_prose_is_found() -> None:
    for sentence in ("Q rises to 0.35.", "in 9 runs", "on 60,000 digits", "p = 0.0039", "a rise of 12 %", "Q is 0.1"):
        assert typed_numbers(sentence) == [sentence]
    text = "## L2\n\n{glue:text}`n_9` runs, `x = 3`, $a^2$, [site](a.org/3), ± 1 standard error, chance is 0."
    plain = Chapter(PROJECT, "plain", f"{text}\n\n```python\nx = 3\n```\n")
    assert typed_numbers(prose_of(plain)) == []


def test_the_choices_of_the_method_that_prose_names_are_those_of_the_code() -> None:
    texts = {name: prose_of(find_chapter(PROJECT, name)) for name in CHAPTERS}
    for pattern, value in METHOD.items():
        found = {name: re.findall(pattern.replace(" ", r"\s+"), text) for name, text in texts.items()}
        assert {number for numbers in found.values() for number in numbers} <= {value}, (pattern, found)


def upside_down(table: pd.DataFrame) -> pd.DataFrame:
    """Every result of a table as far below its largest value as it was above its smallest, and a little shaken."""
    random = np.random.default_rng(0)
    changed = table.copy()
    for name in table.select_dtypes("float").columns.difference([*IDENTIFYING, "layer", "size"]):
        values = table[name]
        turned = values.max() + values.min() - values
        changed[name] = turned * (1 - 0.15 * random.random(len(table)))
    if "labels" in table:  # the same modules and the same dead units, but of other live units
        changed["labels"] = [_shuffled(random, labels) for labels in table["labels"]]
    return changed


def _shuffled(random: np.random.Generator, labels: list[int]) -> list[int]:
    shuffled = np.array(labels)
    shuffled[shuffled >= 0] = random.permutation(shuffled[shuffled >= 0])
    return shuffled.tolist()


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder data/results with other results in its tables."""
    folder = tmp_path_factory.mktemp("results")
    for place in sorted(shipped.RESULTS_FOLDER.iterdir()):
        if (place / "facts.json").exists():
            entry = read_entry(place)
            tables = {name: upside_down(table) for name, table in entry.tables.items()}
            # Similarity matrices change as well, and stay symmetric; weights and biases do not.
            random = np.random.default_rng(0)
            arrays = {
                name: a * (1 - 0.6 * random.random(a.shape)).astype(a.dtype) if "/hidden" in name else a
                for name, a in sorted(entry.arrays.items())  # the file gives them in any order
            }
            replace_entry(folder / place.name, Entry(entry.facts, arrays, tables), key="perturbed")
    measured = [(COMMON_MODE, common_mode.SHIPPED, "*"), (FINDINGS, findings_tables.SHIPPED, "*/*")]
    for inside, shipped_in, places in measured:
        for place in sorted(shipped_in.glob(places)):
            entry = read_entry(place)
            tables = {name: upside_down(table) for name, table in entry.tables.items()}
            key = json.loads((place / "facts.json").read_text(encoding="utf-8"))["key"]
            perturbed_entry = Entry(entry.facts, entry.arrays, tables)
            replace_entry(folder / inside / place.relative_to(shipped_in), perturbed_entry, key=key)
    return folder


COMMON_MODE, FINDINGS = ".common_mode", ".findings"  # in the perturbed folder: what belongs into data/


@pytest.fixture
def results_of(perturbed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Function that says where shipped results are read from: the project's own, or the perturbed copy."""

    def read_from(folder: Path) -> None:
        monkeypatch.setattr(shipped, "RESULTS_FOLDER", folder)
        monkeypatch.setattr(common_mode, "SHIPPED", folder / COMMON_MODE)
        monkeypatch.setattr(findings_tables, "SHIPPED", folder / FINDINGS)
        monkeypatch.setattr(live_units, "SHIPPED", folder / ".live_units")  # there is none: the tests are made up
        monkeypatch.setattr(live_units, "_tested", made_up_p_values)
        shipped.shipped_tables.cache_clear()

    yield read_from
    shipped.shipped_tables.cache_clear()


def made_up_p_values(pairs: Sequence[object], *_: object, **__: object) -> list[float]:
    return np.random.default_rng(0).random(len(pairs)).tolist()


def texts_of_the_report(results: Results, others: list[Results]) -> dict[str, str]:
    """Everything that the library says about the results of studies."""
    verdicts = judge_all(results)
    studies = [results, *others]
    numbers, by_study = published_beside_ours(results), judge_studies(studies)
    return {
        "verdicts_markdown": verdicts_markdown([one.study for one in studies], by_study),
        "verdicts": " ".join(verdict.status for verdict in verdicts.values()),
        **{f"claim {name}": detail_text(name, verdict) for name, verdict in verdicts.items()},
        "all_claims_text": all_claims_text(verdicts),
        "accuracy_markdown": accuracy_markdown(results),
        "n_left_out": study_texts(results)["n_left_out"],
        "ledger_markdown": ledger_markdown(ledger(numbers)),
        "ledger_texts": str(ledger_texts(numbers)),
        "by_study_markdown": by_study_markdown(by_study),
        "README": with_table(README.read_text(encoding="utf-8"), studies, live=[on_live_units(one) for one in studies]),
    }


def test_other_results_give_other_texts_other_verdicts_and_another_readme(perturbed: Path, results_of: Any) -> None:
    ours, *others = shipped_results()
    before = texts_of_the_report(ours, others)
    results_of(perturbed)
    theirs, *others = shipped_results()
    after = texts_of_the_report(theirs, others)
    assert [name for name in before if before[name] == after[name]] == []
    assert before["README"] == README.read_text(encoding="utf-8")


@dataclass
class Told:
    """What a chapter puts on its page."""

    texts: dict[str, str] = field(default_factory=dict)
    data: dict[str, pd.DataFrame] = field(default_factory=dict)


def run_cells(chapter: Chapter, monkeypatch: pytest.MonkeyPatch, **parameters: object) -> Told:
    """Run the code of a chapter here, and keep what it tells the page instead of showing it."""
    told = Told()

    def glue(name: str, value: object, display: bool = True) -> None:
        if isinstance(value, Figure):
            pytest.fail(f"{chapter.name}: the figure {name} is shown without its data; see pages.show", pytrace=False)
        text = str(getattr(value, "data", value))
        if told.texts.get(name, text) != text:
            pytest.fail(f"{chapter.name} tells two things under the name {name}: {told.texts[name]!r}, {text!r}")
        told.texts[name] = text

    def show(
        name: str, plot: Plot[...], *inputs: object, origin: list[str] | None = None, **options: object
    ) -> pd.DataFrame:
        table = told.data[name] = plot.table(*inputs, **options)
        told.texts[f"{name}-data"] = str(pages.fold_out(name, table, Call(plot, inputs, options), origin=origin).data)
        return table

    with monkeypatch.context() as patched:
        patched.setattr(myst_nb, "glue", glue)
        patched.setattr(pages, "glue", glue)
        patched.setattr(pages, "show", show)
        # One search in place of many: as different from other results, and in a tenth of the time.
        patched.setattr(noise_ceiling, "searched_again", lambda results, restarts: searched_again(results, restarts=1))
        patched.chdir(PROJECT)
        names: dict[str, Any] = {"__name__": "__main__"}
        for number, cell in enumerate(chapter.notebook().cells):
            if cell.cell_type == "code":
                *statements, last = ast.parse(cell.source).body or [ast.Pass()]
                exec(compile(ast.Module(statements, []), chapter.name, "exec"), names)
                if isinstance(last, ast.Expr):
                    shown = eval(compile(ast.Expression(last.value), chapter.name, "eval"), names)
                    told.texts[f"cell {number}"] = str(getattr(shown, "data", ""))
                else:
                    exec(compile(ast.Module([last], []), chapter.name, "exec"), names)
                names |= parameters if "parameters" in cell.metadata.get("tags", []) else {}
    return told


def contradictions(told: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Facts that several pages tell under one name and not in the same words: {name: {page: text}}.

    Outputs of cells and what is folded below figures are no facts of this kind.
    """
    facts: dict[str, dict[str, str]] = {}
    for page, texts in told.items():
        for name, text in texts.items():
            if not re.match(r"cell \d+$|(fig|table)-", name):
                facts.setdefault(name, {})[page] = text
    return {name: by_page for name, by_page in facts.items() if len(set(by_page.values())) > 1}


def test_a_contradiction_between_two_pages_is_found() -> None:
    told = {
        "one": {"n_runs": "9", "cell 1": "a", "fig-x-data": "b"},
        "two": {"n_runs": "9", "cell 1": "c", "fig-x-data": "d"},
    }
    assert contradictions(told) == {}
    assert contradictions({**told, "three": {"n_runs": "3"}}) == {"n_runs": {"one": "9", "two": "9", "three": "3"}}


@pytest.fixture(scope="module")
def told_before() -> dict[str, Told]:
    """What chapters tell of the shipped results, by chapter, as far as a test has run them."""
    return {}


@pytest.mark.parametrize("name", [name for name in CHAPTERS if name not in WITHOUT_TABLES])
def test_other_results_give_a_chapter_other_words_and_other_figures(
    name: str, perturbed: Path, results_of: Any, told_before: dict[str, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = find_chapter(PROJECT, name)
    before = told_before.setdefault(name, run_cells(chapter, monkeypatch))
    results_of(perturbed)
    after = run_cells(chapter, monkeypatch)
    assert [figure for figure, data in before.data.items() if data.equals(after.data[figure])] == []
    numbers = [told for told, text in before.texts.items() if re.search(r"\d\.\d", text) and told not in NO_RESULTS]
    numbers = [told for told in numbers if not MADE_UP.search(before.texts[told])]
    assert [told for told in numbers if before.texts[told] == after.texts.get(told)] == []
    assert before.texts != after.texts


def test_no_two_pages_contradict_each_other(told_before: dict[str, Told], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHAPTERS:
        if name not in WITHOUT_TABLES and name not in told_before:
            told_before[name] = run_cells(find_chapter(PROJECT, name), monkeypatch)
    assert len(told_before) > 5
    assert contradictions({name: told.texts for name, told in told_before.items()}) == {}


@pytest.mark.parametrize("name", ["networks", "agreement"])
def test_code_and_origin_of_all_that_is_on_a_page_name_the_study_that_was_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run_cells(find_chapter(PROJECT, name), monkeypatch, study="final-base")
    below = [html.unescape(text) for text in told.texts.values() if "fold-out" in text]
    assert len(below) >= len(told.data) > 0
    for text in below:
        assert re.findall(r"run_study\('([\w-]+)'\)", text) == ["final-base"]
        assert re.findall(r"<li>study ([\w-]+):", text) == ["final-base"]
