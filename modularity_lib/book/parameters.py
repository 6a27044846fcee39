"""Parameters of chapters: what each takes, how a value that a person typed is read, and what is refused.

A chapter declares its parameters in the cell with the tag `parameters`, as annotations that Python does not evaluate:

    dropout: "dropout" = 0.3  # a dropout that the study has
    cores: "whole number from 1 to 4096" = 2
    measures: "list of measures, 2 or more, or None" = None

A declaration is a kind (see `KINDS`) or a "list of" its plural; then, as far as needed, "from 1", "to 24" or "below 1"
for a number, "other than" another parameter, "2 or more" or "exactly 2" for a list, and "or None" or "or empty". A
parameter without one takes what its default is.
"""

import ast
import io
import json
import math
import os
import re
import tokenize
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jupytext
import jupytext.myst

from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.vocabulary import MEASURES, REGULARISERS, did_you_mean

_LONGEST_SHOWN = 100  # characters of a wrong value
_WRITTEN = {int: (" (a whole number)", " (whole numbers)"), float: (" (a number)", " (numbers)")}
_ENDS = {"least": -math.inf, "most": math.inf, "below": math.inf}  # of a range that does not say where it ends


class _Kind(NamedTuple):
    plural: str
    type: type
    examples: list[Any]


KINDS = {
    "number": _Kind("numbers", float, [0.5, 2]),
    "whole number": _Kind("whole numbers", int, [1, 2]),
    "text": _Kind("texts", str, ["some words", "others"]),
    "True or False": _Kind("True or False", bool, [True, False]),
    "folder": _Kind("folders", str, ["data/benchmarks", "mine"]),  # that exist; relative paths start at the root
    "study": _Kind("studies", str, ["v1", "quick"]),
    "measure": _Kind("measures", str, ["input_gradient", "output_hessian"]),
    "regulariser": _Kind("regularisers", str, ["dropout", "l2"]),
    # Of the study that the parameter `study` names:
    "run": _Kind("runs", int, [0, 1]),
    "layer": _Kind("layers", int, [1, 2]),  # hidden ones, counted from 1
    "dropout": _Kind("dropouts", float, [0.1, 0.3]),
    "strength": _Kind("strengths", float, [0.1, 0.3]),  # of the regulariser that the parameter `regulariser` names
}
_DECLARATION = re.compile(
    rf"(?:(?P<kind>{'|'.join(KINDS)})|list of (?P<kinds>{'|'.join(kind.plural for kind in KINDS.values())}))"
    r"(?: from (?P<least>\d+))?(?:,? to (?P<most>\d+)|,? below (?P<below>\d+))?"
    r"(?: other than (?P<other>\w+))?"
    r"(?:, (?:(?P<items>\d+) or more|exactly (?P<exactly>\d+)))?"
    r"(?:,? or (?P<none>None)|,? or (?P<empty>empty))?"
)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a chapter."""

    name: str
    default: Any  # as text where it is an expression
    takes: str  # the declaration
    meaning: str  # the comment behind it or above it

    def __post_init__(self) -> None:
        if self._declared is None:
            raise ValueError(
                f"parameter {self.name!r} must say what it takes by a kind of {', '.join(map(repr, KINDS))} or a list "
                f'of one, as in {self.name}: "whole number from 1, or None" = None, got {self.takes!r}.'
            )

    def value_of(self, given: Any) -> Any:
        """The value that is meant: a text is read as a person types it, one value stands for a list of one.

        Raises:
            ValueError: it is of another kind, or out of range.
        """
        value = self._read(given) if isinstance(given, str) else given
        if value is None and self._has("none"):
            return None
        if not self._has("kinds"):
            return self._item(value, given)
        items = [self._item(one, given) for one in (value if isinstance(value, list | tuple) else [value])]
        wrong_count = len(items) < int(self._has("items") or 0) or len(items) != int(self._has("exactly") or len(items))
        repeated = len(set(items)) < len(items) and self.kind != "layer"
        if wrong_count or repeated:
            self._refuse(given, "it names one twice" if repeated else "")
        return items

    def check(self, value: Any, values: Mapping[str, Any], root: Path) -> None:
        """Raise ValueError if a value of the right kind is none that there is.

        Args:
            values: of all parameters of the chapter: a study has so many layers, and these strengths.
            root: where relative paths start.
        """
        known = self._known(values)
        for one in value if isinstance(value, list) else [value]:
            if one is None or (one == "" and self._has("empty")):
                continue
            if known is not None and one not in known:
                self._refuse_unknown(one, known, values)
            if self.kind == "folder" and not (os.path.isdir(root / one) and os.access(root / one, os.R_OK | os.X_OK)):
                self._refuse(one, f"{root / one} is no folder that can be read")
            if (other := self._has("other")) and one == values[other]:
                self._refuse(one, f"{other} is the same")

    @property
    def kind(self) -> str:
        """What it takes, or takes a list of: one of `KINDS`."""
        plural = self._has("kinds")
        return next((name for name, kind in KINDS.items() if kind.plural == plural), self._has("kind"))

    @property
    def _declared(self) -> re.Match[str] | None:
        return _DECLARATION.fullmatch(self.takes)

    def _has(self, part: str) -> str:
        """This part of the declaration, or ''."""
        return (self._declared or {part: ""})[part] or ""

    def _read(self, text: str) -> Any:
        """Value of a text that a person typed: JSON or a Python literal, or the text itself where a text is meant."""
        takes_text = KINDS[self.kind].type is str
        try:
            value = _literal(text)
        except ValueError:
            return text
        if not takes_text or isinstance(value, str) or (value is None and self._has("none")):
            return value
        return value if self._has("kinds") and isinstance(value, list | tuple) else text

    def _item(self, item: Any, given: Any) -> Any:
        """One value, in the type of the kind; ValueError if it is of another kind, or out of range."""
        wanted = KINDS[self.kind].type
        if wanted in (str, bool):
            if isinstance(item, wanted):
                return item
            self._refuse(given)
        if isinstance(item, bool) or not isinstance(item, int | float):
            self._refuse(given)
        try:
            number = wanted(item)
        except (ValueError, OverflowError):  # NaN, infinity, or too large
            self._refuse(given)
        least, most, below = (float(self._has(part) or end) for part, end in _ENDS.items())
        is_whole_or_finite = number == item if wanted is int else math.isfinite(number)
        if not is_whole_or_finite or not (least <= number <= most and number < below):
            self._refuse(given)
        return number if wanted is int else item

    def _known(self, values: Mapping[str, Any]) -> Collection[Any] | None:
        """The values that there are, or None where any of the kind will do."""
        if self.kind == "study":
            return STUDIES
        if self.kind == "measure":
            return MEASURES
        if self.kind == "regulariser":
            return REGULARISERS
        study = STUDIES.get(values.get("study", ""))
        if study is None:
            return None
        if self.kind == "run":
            return range(study.runs)
        if self.kind == "layer":
            return range(1, len(study.hidden) + 1)
        if self.kind == "dropout":
            return study.strengths("dropout")
        if self.kind == "strength":
            return study.strengths(values["regulariser"])
        return None

    def _refuse(self, given: Any, why: str = "") -> NoReturn:
        kind, many = KINDS[self.kind], bool(self._has("kinds"))
        is_telling = self.default not in (None, "", []) and given != self.default
        example = self.default if is_telling else kind.examples if many else kind.examples[0]
        form = str(example) if kind.type is bool else json.dumps(example, ensure_ascii=False)
        article = "" if self.takes.startswith("True") else "a "
        written = "" if "number" in self.kind else _WRITTEN.get(kind.type, ("", ""))[many]
        raise ValueError(
            f"{self.name} must be {article}{self.takes}{written}, such as {form}, got {_shown(given)}"
            f"{': ' if why else ''}{why}."
        )

    def _refuse_unknown(self, one: Any, known: Collection[Any], values: Mapping[str, Any]) -> NoReturn:
        what = self.kind
        if KINDS[what].type is not str:
            of = f" of {values['regulariser']}" if what == "strength" else ""
            what = f"{what}{of} in the study {values['study']!r}"
        names = f"{known[0]} to {known[-1]}" if isinstance(known, range) else ", ".join(map(_shown, known))
        near = did_you_mean(one, known) if isinstance(one, str) else ""
        if KINDS[self.kind].type is float:
            near = f" The nearest is {min(known, key=lambda strength: abs(strength - one)):g}."
        subject = f"each of {self.name}" if self._has("kinds") else self.name
        own = ", its default" if one == self.default else ""
        raise ValueError(f"{subject} must be a {what}: {names}; got {_shown(one)}{own}.{near}")


def parameters_of(chapter: str) -> dict[str, Parameter]:
    """The parameters that the text of a chapter declares, by name; raises as `declared_parameters`."""
    cells = jupytext.myst.myst_to_notebook(chapter).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return declared_parameters(tagged[0]) if tagged else {}


def checked_parameters(declared: Mapping[str, Parameter], given: Mapping[str, Any], *, root: Path) -> dict[str, Any]:
    """The given values as the parameters take them.

    Where a chapter leaves out of its own list what a study lacks, a list that was given must name what there is.

    Args:
        given: new values, by name; a text is read as a person types it.
        root: where relative paths start.
    Raises:
        ValueError: there is no such parameter, or a value is of another kind, out of range or not there.
    """
    if unknown := [name for name in given if name not in declared]:
        end = (
            f".{did_you_mean(unknown[0], declared)} There are: {', '.join(declared)}." if declared else "; it has none."
        )
        raise ValueError(f"there is no parameter {unknown[0]!r}{end}")
    chosen = {name: declared[name].value_of(value) for name, value in given.items()}
    values = {name: parameter.default for name, parameter in declared.items()} | chosen
    for name, parameter in declared.items():
        if name in chosen or not isinstance(parameter.default, list):
            parameter.check(values[name], values, root)
    return chosen


def declared_parameters(cell: str) -> dict[str, Parameter]:
    """The parameters that the text of a cell declares, by name.

    Raises:
        ValueError: the cell holds other things than assignments, or a parameter does not say what it takes.

    >>> [runs] = declared_parameters('runs: "whole number from 1" = 3  # how many').values()
    >>> runs.default, runs.takes, runs.meaning, runs.value_of("1_000")
    (3, 'whole number from 1', 'how many', 1000)
    """
    found = {}
    statements = _statements(cell)
    behind, above = _comments(cell)
    for node in statements:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=name), annotation=ast.Constant(value=str(takes)), value=ast.expr() as value
            ):
                default = _default(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                default = _default(value)
                takes = _takes(default)
            case _:
                raise ValueError(
                    f'a cell of parameters must hold assignments such as layer: "layer" = 1, got {ast.unparse(node)!r}.'
                )
        meaning = behind.get(node.end_lineno or 0) or above.get(node.lineno, "")
        found[name] = Parameter(name, default, takes, meaning)
    return found


def typed_parameters(text: str) -> list[tuple[str, str]]:
    """Names and values of "dropout=0.7 layer=2"; a value may hold blanks, commas and quotes.

    A value ends before the next blank that is followed by a name and "=", outside of quotes.

    Raises:
        ValueError: the text starts with no name.

    >>> typed_parameters('dropouts=[0.1, 0.3] folder=my "old" results')
    [('dropouts', '[0.1, 0.3]'), ('folder', 'my "old" results')]
    """
    name = r"[^\W\d]\w*="
    quoted = r"""(?<=[=\[(,\s])(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    pair = rf"\s*({name})((?:{quoted}|(?!\s+{name})(?s:.))*)"
    if not re.fullmatch(rf"(?:{pair})*\s*", text):
        raise ValueError(f'parameters must be written like "dropout=0.7 layer=2", got {text!r}.')
    return [(found[1].removesuffix("="), found[2].strip()) for found in re.finditer(pair, text)]


def _literal(text: str) -> Any:
    """Value of JSON or of a Python literal; ValueError if the text is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that of a backslash
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError("no literal") from error


def _statements(cell: str) -> list[ast.stmt]:
    try:
        return ast.parse(cell).body
    except SyntaxError as error:
        raise ValueError(f"a cell of parameters must be plain Python: {error}.") from error


def _default(expression: ast.expr) -> Any:
    try:
        return ast.literal_eval(expression)
    except ValueError:
        return ast.unparse(expression)


def _takes(default: Any) -> str:
    """What a parameter takes that does not say so; '' where its default does not tell."""
    is_list = isinstance(default, list | tuple) and len(default) > 0
    kinds = {"True or False": bool, "number": int | float, "text": str}
    for name, of in kinds.items():
        if is_list and all(isinstance(one, of) for one in default):
            return f"list of {KINDS[name].plural}"
        if isinstance(default, of):
            return name
    return ""


def _comments(cell: str) -> tuple[dict[int, str], dict[int, str]]:
    """Comments by line, from 1: those behind the code of a line, and those right above it."""
    behind, above = {}, {}
    lines = cell.splitlines()
    paragraph: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(cell).readline):
        if token.type == tokenize.COMMENT:
            line, text = token.start[0], token.string.lstrip("# ")
            if lines[line - 1].lstrip().startswith("#"):
                paragraph = [*(paragraph if line - 1 in above else []), text]
                above[line] = " ".join(paragraph)
            else:
                behind[line] = text
    return behind, {line + 1: text for line, text in above.items()}


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
