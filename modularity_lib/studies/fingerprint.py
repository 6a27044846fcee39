"""Fingerprint of code: of the definitions that a function reaches, wherever they stand and whatever they are called.

A result is stale when the code that made it has changed. A file that moved, another import, a new name, a docstring, a
type hint or the words of an error cannot change a number, so they are left out. What remains of a definition is its
syntax tree, in which every name of another definition of this package stands for the content of that one.
"""

import ast
import builtins
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).resolve().parents[__name__.count(".") - 1]  # folder of the package
# How many references deep the content of others enters that of one. All that is reached enters the fingerprint itself.
_DEPTH = 8


class Place(NamedTuple):
    """A name at the top level of a module; an empty name stands for the statements of a module that define nothing."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module.removeprefix(f'{_PACKAGE}.')}.{self.name}"


class Unresolved(LookupError):
    """A name that a definition reads and that stands nowhere: the fingerprint would not see what it means."""


@dataclass(frozen=True)
class Definition:
    """What a fingerprint sees of one definition: a text with holes, and the places whose content fills them."""

    text: str
    references: tuple[Place, ...]
    aside: frozenset[Place]  # what it depends on without a hole for it: see `_Seen`

    def parts(self, content: Mapping[Place, str]) -> list[str]:
        """The text, what fills its holes, and the rest in an order that no name decides."""
        return [
            self.text,
            *(content[place] for place in self.references),
            *sorted(content[place] for place in self.aside),
        ]


@cache
def fingerprint(*entries: str) -> str:
    """Fingerprint of all code that some definitions reach, 16 hexadecimal digits.

    Args:
        entries: "module.name" of the definitions, the package left out, as in "clustering.paper_search.paper_modules".
    Raises:
        Unresolved: one of them, or a name that they reach, is not there.
    """
    reached = definitions(*entries)
    content = dict.fromkeys(reached, "")
    for _ in range(_DEPTH):
        content = {place: _digest(definition.parts(content)) for place, definition in reached.items()}
    starts = [content[_place(entry)] for entry in entries]
    return _digest([*starts, *sorted(content.values())])[:16]


@cache
def definitions(*entries: str) -> dict[Place, Definition]:
    """All definitions that some definitions reach, themselves included."""
    reached: dict[Place, Definition] = {}
    waiting = [_place(entry) for entry in entries]
    while waiting:
        place = waiting.pop()
        if place in reached:
            continue
        reached[place] = _definition(place)
        waiting += [*reached[place].references, *reached[place].aside]
        waiting += _registered(_module(place.module), reached)
    return reached


def digests(*entries: str) -> dict[str, str]:
    """What each definition reached says by itself, 8 digits by its name: to tell which of them has changed."""
    found: dict[str, list[str]] = {}
    for place, definition in definitions(*entries).items():
        found.setdefault(place.name, []).append(_digest([definition.text])[:8])
    return {name: "+".join(sorted(several)) for name, several in sorted(found.items())}


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def _place(entry: str) -> Place:
    module, _, name = entry.rpartition(".")
    target = _resolved(f"{_PACKAGE}.{module}", name)
    if not isinstance(target, Place):
        raise Unresolved(f"{entry} is no definition of {_PACKAGE}.")
    return target


@dataclass(frozen=True)
class _Module:
    """Top level of a module: statements by the name they bind, imported names, and what else stands there."""

    name: str
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)  # name here: (module, name there or "")
    others: list[ast.stmt] = field(default_factory=list)


@cache
def _module(name: str) -> _Module:
    file = _file(name)
    if file is None:
        raise Unresolved(f"there is no module {name}.")
    module = _Module(name)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for statement in _without_docstring(tree.body):
        found = _imports([statement])
        if found:
            module.imports.update(found)
            continue
        bound = list(_bound(statement))
        for bound_name in bound:
            module.statements.setdefault(bound_name, []).append(statement)
        if not bound and not _is_main(statement):
            module.others.append(statement)
    if module.others:
        module.statements[""] = module.others
    return module


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top level binds; a store into what a name holds counts too, as in TABLE[1] = 2."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For) and not _is_main(statement):
        for node in ast.iter_child_nodes(statement):
            if isinstance(node, ast.stmt):
                yield from _bound(node)


def _imports(statements: Iterable[ast.stmt]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for statement in statements:
        for node in ast.walk(statement) if isinstance(statement, ast.If | ast.Try) else [statement]:
            if isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    module = alias.name if alias.asname else alias.name.partition(".")[0]
                    found[alias.asname or module] = (module, "")
    return found


def _resolved(module: str, name: str) -> Place | str | None:
    """What a name means at the top level of a module: a place in this package, something outside, or nothing there."""
    top = _module(module)
    if name in top.statements:
        return Place(module, name)
    if name not in top.imports:
        return None
    return _imported(*top.imports[name])


def _imported(module: str, name: str) -> Place | str:
    if module.partition(".")[0] != _PACKAGE:
        return f"{module}.{name}" if name else module
    if not name or _file(f"{module}.{name}") is not None:
        return f"{module}.{name}".rstrip(".")  # a module of this package: what is read of it is resolved then
    target = _resolved(module, name)
    if target is None:
        raise Unresolved(f"{module} has no {name}.")
    return target


def _file(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _registered(module: _Module, reached: dict[Place, Definition]) -> list[Place]:
    """What acts on what is reached without being named by it: `@register(Reached)`, or a statement that calls."""
    found = [Place(module.name, "")] if module.others else []
    for name, statements in module.statements.items():
        decorators = [decorator for statement in statements for decorator in getattr(statement, "decorator_list", [])]
        calls = [decorator for decorator in decorators if isinstance(decorator, ast.Call)]
        named = {node.id for call in calls for node in ast.walk(call) if isinstance(node, ast.Name)}
        if any(_resolved(module.name, argument) in reached for argument in named):
            found.append(Place(module.name, name))
    return [place for place in found if place not in reached]


def _definition(place: Place) -> Definition:
    seen, statements = _Seen(place), deepcopy(_module(place.module).statements[place.name])
    kept = [seen.visit(_without_unread(_WithoutWords().visit(statement))) for statement in statements]
    for node in kept:
        if getattr(node, "name", None) == place.name:
            node.name = ""
    text = json.dumps([_text(node) for node in kept])
    return Definition(text, tuple(seen.references), frozenset(seen.aside))


def _text(node: object) -> object:
    """A syntax tree as nested lists, without what differs between versions of Python."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in _LEFT_OUT]
        return [type(node).__name__, *([name, _text(value)] for name, value in fields if value not in (None, []))]
    return [_text(part) for part in node] if isinstance(node, list) else repr(node)


_LEFT_OUT = ("ctx", "kind", "type_comment", "type_params")


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    is_text = body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1:] if is_text and isinstance(body[0].value.value, str) else body  # type: ignore[attr-defined]


def _bound_in(function: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Names that are local to a function: its arguments and what it binds, not what functions inside it do."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    bound = {argument.arg for argument in every if argument is not None}
    waiting: list[ast.AST] = list(function.body) if isinstance(function, ast.FunctionDef) else [function.body]
    shared: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Global):
            shared |= set(node.names)
        if isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        if isinstance(node, ast.comprehension):
            waiting += [node.iter, *node.ifs]
        else:
            waiting += ast.iter_child_nodes(node)
    return bound - shared


class _Seen(ast.NodeTransformer):
    """Leaves out of a definition what cannot change a number, and numbers its references to other definitions."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.references: list[Place] = []
        self.aside: set[Place] = set()  # classes that only type hints name
        nodes = [node for statement in _module(place.module).statements[place.name] for node in ast.walk(statement)]
        self._imports = _imports(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
        self._scopes: list[tuple[bool, set[str]]] = []  # (of a class, names bound there), the innermost last

    def _is_local(self, name: str) -> bool:
        """A function sees the names of the functions around it; those of a class it does not."""
        inner = self._scopes[-1:]
        return any(name in names for is_class, names in self._scopes if not is_class) or any(
            name in names for _, names in inner
        )

    def _target(self, name: str) -> Place | str | None:
        if name in self._imports:
            return _imported(*self._imports[name])
        return _resolved(self._place.module, name)

    def _reference(self, place: Place) -> ast.Name:
        if place == self._place:
            return ast.Name("@itself")
        if place not in self.references:
            self.references.append(place)
        return ast.Name(f"@{self.references.index(place)}")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._is_local(node.id):
            return node
        target = self._target(node.id)
        if isinstance(target, Place):
            return self._reference(target)
        if target is not None:
            return ast.Name(f"@{target}")
        if not hasattr(builtins, node.id) and node.id not in ("__file__", "__name__"):
            raise Unresolved(
                f"{self._place} reads {node.id}, which stands nowhere: an import is missing, or a name is misspelt."
            )
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and not self._is_local(node.value.id):
            target = self._target(node.value.id)
            if isinstance(target, str) and target.partition(".")[0] == _PACKAGE:
                place = _imported(target, node.attr)
                return self._reference(place) if isinstance(place, Place) else ast.Name(f"@{place}")
            if isinstance(target, str):
                return ast.Name(f"@{target}.{node.attr}")
        self.generic_visit(node)
        return node

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = _without_docstring(node.body) or [ast.Pass()]
        self._read_hint(node.returns)
        node.returns = None
        return self._visit_scope(node, ["decorator_list"], _bound_in(node))

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._visit_scope(node, [], _bound_in(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = _without_docstring(node.body) or [ast.Pass()]
        outside = ["decorator_list", "bases", "keywords"]
        return self._visit_scope(node, outside, {name for inner in node.body for name in _bound(inner)}, is_class=True)

    def _visit_comprehension(self, node: Any) -> ast.AST:
        first = node.generators[0]
        first.iter = self.visit(first.iter)  # the one part that is read outside
        kept, first.iter = first.iter, ast.Constant(None)
        bound = {name.id for one in node.generators for name in ast.walk(one.target) if isinstance(name, ast.Name)}
        self._visit_scope(node, [], bound)
        first.iter = kept
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def _visit_scope(self, node: Any, outside: list[str], bound: set[str], *, is_class: bool = False) -> ast.AST:
        """Visit what stands in a scope of its own, and before that what stands outside: defaults, say."""
        for name in outside:
            setattr(node, name, [self.visit(part) for part in getattr(node, name)])
        arguments = getattr(node, "args", None)
        if isinstance(arguments, ast.arguments):
            arguments.defaults = [self.visit(default) for default in arguments.defaults]
            arguments.kw_defaults = [default and self.visit(default) for default in arguments.kw_defaults]
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            for argument in every:
                if argument is not None:
                    self.visit(argument)
        self._scopes.append((is_class, bound))
        for name, value in ast.iter_fields(node):
            if name not in outside and not isinstance(value, ast.arguments):
                if isinstance(value, list):
                    setattr(node, name, [new for part in value if (new := self.visit(part)) is not None])
                elif isinstance(value, ast.AST):
                    setattr(node, name, self.visit(value))
        self._scopes.pop()
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._read_hint(node.annotation)
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self._read_hint(node.annotation)
        special = {"ClassVar", "InitVar", "KW_ONLY"} & {getattr(part, "id", "") for part in ast.walk(node.annotation)}
        node.annotation = ast.Name(min(special, default=""))  # a field stays a field, whatever its type
        if getattr(node.target, "id", self._place.name) == self._place.name:  # else the name of a field
            node.target = self.visit(node.target)
        node.value = self.visit(node.value) if node.value is not None else None
        return node

    def _read_hint(self, hint: ast.AST | None) -> None:
        """Classes of this package count though only a hint names them: their objects come in from outside."""
        for part in ast.walk(hint) if hint is not None else ():
            name = part.id if isinstance(part, ast.Name) else None
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
                name = part.value
            target = self._target(name) if name else None
            if isinstance(target, Place) and target != self._place:
                statements = _module(target.module).statements[target.name]
                if any(isinstance(statement, ast.ClassDef) for statement in statements):
                    self.aside.add(target)


class _WithoutWords(ast.NodeTransformer):
    """Leaves out what an error says, and texts that stand by themselves: docstrings of fields, say."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = ast.Call(node.exc.func, [], [])  # without the words
        node.cause = None
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        self.generic_visit(node)
        return node


def _without_unread(node: ast.AST) -> ast.AST:
    """Without assignments to local names that nothing reads: linters forbid them, so only the words of an error did."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node
    while True:
        read = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and not _stores(name)}
        unread = [
            (body, statement)
            for inner in ast.walk(node)
            if not isinstance(inner, ast.ClassDef)
            for body in (
                getattr(inner, "body", None),
                getattr(inner, "orelse", None),
                getattr(inner, "finalbody", None),
            )
            if isinstance(body, list)
            for statement in body
            if isinstance(statement, ast.Assign)
            and all(isinstance(target, ast.Name) and target.id not in read for target in statement.targets)
        ]
        if not unread:
            return node
        for body, statement in unread:
            body[body.index(statement)] = ast.Pass()


def _stores(name: ast.Name) -> bool:
    return isinstance(getattr(name, "ctx", None), ast.Store)
