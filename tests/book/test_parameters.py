"""What a person may type for a parameter of a chapter, and what is refused before anything runs."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from modularity_lib.book import pages
from modularity_lib.book.execution import all_chapters, chosen_parameters, find_chapter, title_of
from modularity_lib.book.parameters import checked_parameters, declared_parameters, typed_parameters

CELL = """\
study: "study" = "v1"
share: "number from 0 below 1" = 0.5
count: "whole number from 2 to 9" = 3
counts: "list of whole numbers" = [1, 2]
label: "text" = "a"
labels: "list of texts, or None" = None
is_on: "True or False" = True
regulariser: "regulariser" = "dropout"
strength: "strength" = 0.3
ratio = 0.5  # it says nothing: what its default is
"""
DECLARED = declared_parameters(CELL)


def read(**typed: Any) -> dict[str, Any]:
    return checked_parameters(DECLARED, typed, root=Path())


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        *(("share", text, 0.7) for text in (".7", "0.7", "7e-1", "+0.7", " 0.7", "0.7_0")),
        ("share", "0", 0),
        ("ratio", "1_000", 1000),
        ("ratio", "1.", 1.0),
        ("count", "2.0", 2),
        ("count", "0x4", 4),
        ("counts", "(3, 4)", [3, 4]),
        ("counts", "3, 4", [3, 4]),
        ("counts", "[3, 4,]", [3, 4]),
        ("counts", "3", [3]),
        ("counts", "[]", []),
        *(("label", text, text) for text in ("two words", "it's", "größer", "a, b", "a=b", "2024", "1e5", "None", "")),
        ("label", '"quoted"', "quoted"),
        ("label", "'it\\'s'", "it's"),
        ("labels", "bare", ["bare"]),
        ("labels", "2024", ["2024"]),
        ("labels", "['a', \"b c\"]", ["a", "b c"]),
        ("labels", '("a",)', ["a"]),
        *(("labels", text, None) for text in ("None", "null")),
        *(("is_on", text, False) for text in ("False", "false")),
        ("strength", "0.35", 0.35),
        # Values that are no text, as in _config.yml
        ("counts", 3, [3]),
        ("counts", (3, 4), [3, 4]),
        ("share", 0, 0),
    ],
)  # fmt: skip
def test_a_value_is_read_as_a_person_types_it(name: str, typed: Any, meant: Any) -> None:
    found = read(**{name: typed})[name]
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        *(("share", text) for text in ("NaN", "nan", "Infinity", "-inf", "1e400", "1", "-0.1", "O.3", "0,7", "0.3j")),
        *(("share", text) for text in ("'0.3'", "true", "True", "[0.3]", "{}", "None", "9" * 5000, "[" * 100_000)),
        *(("count", text) for text in ("1", "10", "2.5", "NaN", "1e400", "[2]", "True", "three", "9" * 400)),
        *(("counts", text) for text in ("[1 2]", "[[1]]", "{'a': 1}", "{1}", "[1, 'x']", "[1, None]", "[true]", "x")),
        *(("labels", text) for text in ("[1]", "['a', 2]", "['a', 'a']", "[['a']]", "[null]")),
        *(("is_on", text) for text in ("1", "yes", "0.0", "None")),
        *(("strength", text) for text in ("0.33", "1", "-1", "x")),
        *(("ratio", text) for text in ("-1e400", "1e400", "nan", "x")),
        ("regulariser", "L2"),
        ("label", 3),
        ("label", ["a"]),
        ("share", float("nan")),
        ("counts", [True]),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_or_range_is_refused_in_one_line(name: str, typed: Any) -> None:
    with pytest.raises(ValueError, match=rf"^(each of )?{name} must be .*got ") as refused:
        read(**{name: typed})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"counts": "[1 2]"}, "counts must be a list of whole numbers, such as [1, 2], got '[1 2]'."),
        ({"labels": "[1]"}, 'labels must be a list of texts, or None, such as ["some words", "others"], got'),
        ({"strength": "0.33"}, "strength must be a strength of dropout in the study 'v1': 0, 0.05, 0.1,"),
        ({"strength": "0.33"}, "; got 0.33. The nearest is 0.35."),
        ({"study": "smoke", "regulariser": "l2"}, "'smoke': 1e-05, 0.001; got 0.3, its default. The nearest is 0.001."),
        ({"lable": "a"}, "there is no parameter 'lable'. Did you mean 'label'? There are: study, share"),
    ],
)
def test_an_error_says_what_came_what_is_taken_and_an_example(typed: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(**typed)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("layer = None", "parameter 'layer' must say what it takes"),
        ("layers = []", "parameter 'layers' must say what it takes"),
        ('layer: "layr" = 1', "got 'layr'"),
        ('layer: "list of layer" = 1', "got 'list of layer'"),
        ("print(1)", r"must hold assignments such as layer: \"layer\" = 1, got 'print\(1\)'"),
        ("a, b = 1, 2", "must hold assignments"),
        ("a = (", "must be plain Python"),
    ],
)
def test_a_declaration_that_says_too_little_is_refused(cell: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declared_parameters(cell)


def test_a_comment_behind_a_parameter_or_right_above_it_is_its_meaning() -> None:
    found = declared_parameters('# one of two\n# or three\na = "#"\n\n# of nothing\n\nb = 1\nc = 2  # the third\n')
    assert [parameter.meaning for parameter in found.values()] == ["one of two or three", "", "the third"]


# Every row of the public fault reports that were tried, and others of their kind.
@pytest.mark.parametrize(
    ("chapter", "typed", "meant"),
    [
        ("measures", {"dropouts": "(0.1, 0.3)"}, {"dropouts": [0.1, 0.3]}),
        ("measures", {"dropouts": "0.3"}, {"dropouts": [0.3]}),
        ("measures", {"dropout": ".7"}, {"dropout": 0.7}),
        ("measures", {"study": "final-deep", "layer": "5"}, {"study": "final-deep", "layer": 5}),
        (
            "scores",
            {"measures": "['input_gradient','output_hessian']"},
            {"measures": ["input_gradient", "output_hessian"]},
        ),
        ("scores", {"layers": "2, 1"}, {"layers": [2, 1]}),
        ("modularity", {"measures": "input_gradient"}, {"measures": ["input_gradient"]}),
        ("introduction", {"others": "final-base"}, {"others": ["final-base"]}),
        ("status", {"studies": "smoke"}, {"studies": ["smoke"]}),
        ("agreement", {"layer": "null"}, {"layer": None}),
        ("rerun", {"cores": "1e3"}, {"cores": 1000}),
        ("speed", {"folder": ""}, {"folder": ""}),
    ],
)
def test_a_chapter_takes_what_a_person_types(
    chapter: str, typed: dict[str, str], meant: dict[str, Any], project: Path
) -> None:
    assert chosen_parameters(find_chapter(project, chapter), typed) == meant


@pytest.mark.parametrize(
    ("chapter", "typed", "message"),
    [
        ("measures", {"dropouts": "[0.1 0.2]"}, r"such as \[0.1, 0.3, 0.5, 0.7\], got '\[0.1 0.2\]'"),
        ("measures", {"dropouts": "[0.1, 0.33]"}, "each of dropouts must be a dropout .* nearest is 0.35"),
        ("measures", {"dropouts": "[]"}, "list of dropouts, 1 or more"),
        ("measures", {"dropout": "1."}, "dropout must be a dropout in the study 'v1'"),
        ("measures", {"dropout": "+1"}, "The nearest is 0.7"),
        ("measures", {"layer": "3"}, "layer must be a layer in the study 'v1': 1 to 2; got 3"),
        ("measures", {"study": "smoke", "run": "2"}, "a run in the study 'smoke': 0 to 1; got 2"),
        ("measures", {"measure_a": "output_gradient"}, "other than measure_a.*: measure_a is the same"),
        ("measures", {"measure_b": "output"}, "measure_b must be a measure: .*got 'output'"),
        ("scores", {"measures": "input_gradient"}, "list of measures, 2 or more"),
        ("scores", {"measures": "[input_gradient,output_hessian]"}, "such as .* got"),
        ("scores", {"layers": "[1]"}, "list of layers, exactly 2"),
        ("modules", {"units": "25"}, "whole number from 3 to 24, such as 20, got '25'"),
        ("modules", {"strengths": "0.9"}, "each of strengths must be a dropout"),
        ("introduction", {"study": "smok"}, "Did you mean 'smoke'"),
        ("live", {"study": "2"}, "study must be a study: .*got '2'"),
        ("speed", {"folder": "no such folder"}, "no such folder is no folder that can be read"),
        ("speed", {"folder": "Makefile"}, "Makefile is no folder"),
        ("explorer", {"regulariser": "l1", "strength": "0.7"}, "got 0.7"),
        *(("rerun", {"cores": text}, "whole number from 1 to 4096, such as 2, got") for text in ("[2]", "NaN", "0")),
        ("rerun", {"cores": "1e400"}, "got '1e400'"),
    ],
)  # fmt: skip
def test_a_chapter_refuses_what_it_cannot_show(
    chapter: str, typed: dict[str, str], message: str, project: Path
) -> None:
    with pytest.raises(ValueError, match=f"^chapter '{chapter}': .*{message}"):
        chosen_parameters(find_chapter(project, chapter), typed)


def test_a_folder_is_read_as_text_whatever_it_looks_like(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "chapters", tmp_path / "chapters")
    for name in ("2024", "my results", "None", "größer = 'so'"):
        (tmp_path / name).mkdir()
        assert chosen_parameters(find_chapter(tmp_path, "speed"), {"folder": name}) == {"folder": name}


def test_every_chapter_declares_its_parameters_and_keeps_to_it_with_each_study(project: Path) -> None:
    for chapter in all_chapters(project):
        for name, parameter in chapter.parameters().items():
            assert f'{name}: "{parameter.takes}" = ' in chapter.text
            assert parameter.meaning, f"{chapter.name}: {name}"
        for study in ("v1", "quick", "smoke", "final-base", "final-wide", "final-deep"):
            if "study" in chapter.parameters():
                assert chosen_parameters(chapter, {"study": study}) == {"study": study}


def test_a_chapter_that_papermill_or_jupyter_runs_checks_its_parameters_first(project: Path) -> None:
    for chapter in all_chapters(project):
        pages.check_parameters(chapter.name, chapter.defaults())
        assert f'pages.check_parameters("{chapter.name}", globals())' in chapter.text
    defaults = find_chapter(project, "measures").defaults()
    pages.check_parameters("measures", {**defaults, "dropouts": (0.1, 0.3), "other": object()})
    with pytest.raises(ValueError, match="dropout must be a dropout in the study 'v1'"):
        pages.check_parameters("measures", {**defaults, "dropout": 0.33})
    with pytest.raises(ValueError, match=r"dropouts must be \[0.1\], got 0.1"):
        pages.check_parameters("measures", {**defaults, "dropouts": 0.1})
    with pytest.raises(ValueError, match="layer must be 2, got '2'"):
        pages.check_parameters("measures", {**defaults, "layer": "2"})


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("dropout=0.7 layer=2", [("dropout", "0.7"), ("layer", "2")]),
        ("dropouts=[0.1, 0.2]", [("dropouts", "[0.1, 0.2]")]),
        ("folder=my results", [("folder", "my results")]),
        ("folder=my results  layer=2", [("folder", "my results"), ("layer", "2")]),
        ('measures=["input_gradient", "output_hessian"]', [("measures", '["input_gradient", "output_hessian"]')]),
        ("folder='my layer=2 results' layer=1", [("folder", "'my layer=2 results'"), ("layer", "1")]),
        ("folder=it's mine layer=1", [("folder", "it's mine"), ("layer", "1")]),
        ("folder=a=b", [("folder", "a=b")]),
        ("folder=", [("folder", "")]),
        ("größe=1\n\tlabel=ü", [("größe", "1"), ("label", "ü")]),
        ("", []),
        ("  ", []),
    ],
)
def test_several_parameters_are_parted_before_each_name(text: str, pairs: list[tuple[str, str]]) -> None:
    assert typed_parameters(text) == pairs


@pytest.mark.parametrize("text", ["dropout", "0.7", "dropout 0.7", "=1", "dropout = 0.7", "-p dropout=0.7", '"a"=1'])
def test_a_text_that_starts_with_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'must be written like "dropout=0\.7 layer=2", got'):
        typed_parameters(text)


@pytest.mark.parametrize(
    "text",
    [
        'measures=["input_gradient","output_hessian"]',
        "dropouts=[0.1, 0.2] layer=2",
        'folder=it\'s "mine"; echo `hostname` $HOME $(HOME) \\ * #1',
        "",
    ],
)
def test_make_passes_on_what_was_typed(text: str, project: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / ".installed").touch()
    said = tmp_path / ".venv" / "bin" / "modularity"
    said.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    said.chmod(0o755)
    shutil.copy(project / "Makefile", tmp_path)
    command = ["make", "-s", "-o", ".venv/.installed", "chapter", "NAME=a name", f"PARAMETERS={text}"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == ["chapter", "a name", "--parameters", text]


def test_other_parameters_have_another_title_that_is_fit_for_a_file() -> None:
    several: list[dict[str, Any]] = [
        *({"folder": text} for text in ("a b", "a_b", "a/b", "A", "a", "", "ä", "ö", "x" * 300, "x" * 299, "..")),
        *({"layer": value} for value in (1, 2, None)),
        {"layer": 1, "label": "a"},
        {"label": "a-layer=1"},
        {"measures": ["a", "b"]},
        {"measures": ["a,b"]},
        {"measures": []},
        {"measures": ["none"]},
    ]
    titles = [title_of("chapter", parameters) for parameters in several]
    assert len(set(titles)) == len(titles)
    assert all(re.fullmatch(r"chapter-[a-z0-9_.,=+-]{1,120}", title) for title in titles)
    assert title_of("chapter", {"b": 2, "a": 1}) == title_of("chapter", {"a": 1, "b": 2})
    assert title_of("chapter", {}) == "chapter"
