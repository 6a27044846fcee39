"""How a value on a page was made: the Python that makes it again from nothing, and the studies that it comes from."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from types import NoneType
from typing import Any, ParamSpec, TypeVar

import modularity_lib
from modularity_lib import figures
from modularity_lib.studies.results import Results
from modularity_lib.studies.run import run_study

P = ParamSpec("P")
T = TypeVar("T")

_SCALARS = (NoneType, bool, int, float, str)  # equal ones may be one object, so it is never known how one was made


@dataclass(frozen=True)
class Call:
    """A function with what it is called with."""

    function: Callable[..., Any]
    inputs: Sequence[Any]
    options: Mapping[str, Any]


# By identity, since tables have no hash. The value is held, so that no other one gets its identity.
_calls: dict[int, tuple[Any, Call]] = {}


def made(function: Callable[P, T], *inputs: P.args, **options: P.kwargs) -> T:
    """Call a function and remember the call, for the code and the origin of what is made of the result.

    A study that is not changed needs no `made`: it is known that `run_study` gives it.
    """
    value = function(*inputs, **options)
    if type(value) not in _SCALARS:
        _calls[id(value)] = value, Call(function, inputs, options)
    return value


def call_of(value: object) -> Call | None:
    """The call that made a value, if it is known."""
    if id(value) in _calls:
        return _calls[id(value)][1]
    return Call(run_study, (value.study.name,), {}) if isinstance(value, Results) else None


def studies_of(value: object) -> list[Results]:
    """The studies that a value, or the result of a call, comes from."""
    call = value if isinstance(value, Call) else call_of(value)
    if call is not None:
        inside = [*call.inputs, *call.options.values()]
    elif isinstance(value, Mapping):
        inside = list(value.values())
    else:
        inside = list(value) if isinstance(value, (list, tuple)) else []
    found = [study for part in inside for study in studies_of(part)]
    if isinstance(value, Results) and not found:
        found = [value]
    return list({study.study.name: study for study in found}.values())


def code_of(call: Call, ending: str = "") -> str:
    """Python that makes the result of a call from nothing, with `ending` after the last expression.

    Raises:
        ValueError: an argument, or an argument of what made it, is neither plain nor known to `made`.
    """
    script = _Script()
    last = script.expression(call)
    return "\n".join(
        [*sorted(script.imports, key=lambda line: (line.startswith("from"), line)), "", *script.lines, last + ending]
    )


def facts_of(results: Results) -> list[str]:
    """Where the numbers of a study come from, in a few lines."""
    study, made_with = results.study, results.made_with
    lines = [
        f"study {study.name}: {len(results.networks):,} networks on {study.dataset}, protocol {study.protocol}",
        f"seeds: runs 0 to {study.runs - 1} (each seeds its split, initial weights, batches and searches)",
    ]
    if made_with:
        seconds = made_with["core_seconds"]
        first, last = (written[:10] for written in made_with["written"])
        spent = ", ".join(f"{stage} {value:,.0f} s" for stage, value in seconds.items())
        lines += [
            f"computed {first if first == last else f'{first} to {last}'}; core time: {spent}",
            f"commits {', '.join(made_with['versions']['commit'])}",
        ]
    return lines


def _is_plain(value: object) -> bool:
    """Whether repr gives the Python that makes it: a number, text, or such values in a list, tuple or dictionary."""
    if isinstance(value, Mapping):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    return type(value) in _SCALARS


class _Script:
    """Lines of Python, one for each value that was made on the way."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.lines: list[str] = []
        self._names: dict[int, str] = {}

    def expression(self, call: Call) -> str:
        """The call as Python, after the lines that its arguments need."""
        parameters = inspect.signature(call.function).parameters
        parts = [self._value(value, name) for name, value in zip(parameters, call.inputs, strict=False)]
        parts += [
            f"{name}={self._value(value, name)}"
            for name, value in call.options.items()
            if not (_is_plain(value) and value == parameters[name].default)
        ]
        return f"{self._reference(call.function)}({', '.join(parts)})"

    def _value(self, value: Any, name: str, *, inline: bool = False) -> str:
        call = call_of(value)
        if call is not None:
            if inline:
                return self.expression(call)
            if id(value) not in self._names:
                expression = self.expression(call)
                numbered = (f"{name}_{number}" for number in count(2))
                free = next(found for found in chain([name], numbered) if found not in self._names.values())
                self._names[id(value)] = free
                self.lines.append(f"{free} = {expression}")
            return self._names[id(value)]
        if _is_plain(value):
            return repr(value)
        if isinstance(value, Mapping):
            parts = [f"{key!r}: {self._value(part, name, inline=True)}" for key, part in value.items()]
            return "{\n    " + ",\n    ".join(parts) + ",\n}"
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self._value(part, name, inline=True) for part in value)}]"
        raise ValueError(
            f"{name} is a {type(value).__name__} of which nobody knows how it was made, so a page cannot show it. Make "
            "it with pages.made(function, ...) in place of function(...)."
        )

    def _reference(self, function: Callable[..., Any]) -> str:
        """How a function is called after an import, the shortest way."""
        name = function.__name__
        if getattr(modularity_lib, name, None) is function:
            self.imports.add("import modularity_lib as ml")
            return f"ml.{name}"
        if getattr(figures, name, None) is function:
            self.imports.add("from modularity_lib import figures")
            return f"figures.{name}"
        package, _, module = function.__module__.rpartition(".")
        self.imports.add(f"from {package} import {module}" if package else f"import {module}")
        return f"{module}.{name}"
