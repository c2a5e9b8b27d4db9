"""A notebook's parameters: read from its tagged cell, checked against their annotations, injected when it runs.

    learning_rate: float = 3e-4   # step size of Adam
    mode: Literal["mix", "league"] = "mix"
    policy: str | None = None     # a saved policy to begin from
    epochs: int = 4               # passes over the data (>= 1)

The cell is the schema. It is read with `ast`, never executed. A help text may end with the bounds of its numbers:
`(>= 1)`, `(> 0)` or `(0 to 1)`.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import math
import re
import tokenize
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.plain_yaml import Plain, load_text, resolve

TAG = "parameters"
INJECTED_TAG = "injected-parameters"
_NAMES = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "Any": Any,
    "None": None,
}
_NUMBER = r"(-?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?)"
_BOUNDS = re.compile(rf"\((?:(>=?) ?{_NUMBER}|{_NUMBER} to {_NUMBER})\)$")
_ON_OFF = {"on": True, "yes": True, "off": False, "no": False}


class ParameterError(ValueError):
    """A parameters cell that cannot be read, or a value that does not fit it."""


@dataclass(frozen=True)
class Bounds:
    """What numbers a parameter takes: from `low` on, or above it where `open`, up to `high`."""

    low: float
    high: float = math.inf
    open: bool = False

    @classmethod
    def of(cls, help: str) -> Bounds | None:
        """The bounds that a help text ends with; None where it ends otherwise."""
        found = _BOUNDS.search(help)
        if not found:
            return None
        sign, low, first, last = found.groups()
        return cls(float(low), open=sign == ">") if sign else cls(float(first), float(last))

    def check(self, value: Any) -> None:
        """Raises a ParameterError for a number out of bounds, wherever inside the value it stands; the rest passes."""
        if isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                self.check(item)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            above = value > self.low if self.open else value >= self.low
            if not (above and value <= self.high):
                raise ParameterError(f"expected {self}, got {value!r}")

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"{self.low:g} to {self.high:g}"
        return f"a number {'above' if self.open else 'from'} {self.low:g}{'' if self.open else ' on'}"


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell.

    Args:
        annotation: as written.
        type: what `pydantic` validates against.
        default: already validated.
        help: the comment behind the line.
        group: the comment line above the parameters it heads; empty without one.
        bounds: of its numbers, those inside lists and dicts included.
    """

    name: str
    annotation: str
    type: Any
    default: Any
    help: str = ""
    group: str = ""
    bounds: Bounds | None = None


@dataclass(frozen=True)
class Schema:
    """All parameters of a notebook, in order.

    Args:
        notebook: what error messages call it.
    """

    notebook: str
    parameters: dict[str, Parameter]

    def __contains__(self, name: str) -> bool:
        return name in self.parameters

    def defaults(self) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def check_name(self, name: str) -> Parameter:
        """The parameter of that name.

        Raises:
            ParameterError: there is none; the message gives the nearest names.
        """
        if name not in self.parameters:
            raise ParameterError(f"{self.notebook}: no parameter {name!r}; {nearest(name, self.parameters)}")
        return self.parameters[name]

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Every parameter's value, given or default, in the cell's order; a dict replaces the default whole.

        Raises:
            ParameterError: unknown names and ill-typed values, all of them in one message.
        """
        problems, checked = [], self.defaults()
        for name, value in values.items():
            try:
                parameter = self.check_name(name)
                checked[name] = self._validate_one(parameter, value)
            except ParameterError as error:
                problems.append(str(error))
        if problems:
            raise ParameterError("\n".join(problems))
        return checked

    def _validate_one(self, parameter: Parameter, value: Any) -> Any:
        try:
            checked = check(interpret(value, parameter.type), parameter.type)
            if parameter.bounds is not None:
                parameter.bounds.check(checked)
            return checked
        except ParameterError as error:
            raise ParameterError(f"{self.notebook}: {parameter.name}: {error}") from None


def nearest(name: str, known) -> str:
    """`did you mean 'a' or 'b'?`, or all there are where none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(item) for item in near)}?"
    return f"there are {', '.join(known)}" if known else "there are none"


def lay(base: Any, keys: list[str], value: Any) -> Any:
    """`base` with the value at that path of keys, through nested dicts; `base` itself is not changed.

    Raises:
        ParameterError: something on the way is no dict.
    """
    if not keys:
        return value
    if base is not None and not isinstance(base, dict):
        raise ParameterError(f"expected a dict with a key {keys[0]!r}, found {base!r}; give the whole value instead")
    found = base or {}
    return {**found, keys[0]: lay(found.get(keys[0]), keys[1:], value)}


def read_schema(notebook: Path | str | nbformat.NotebookNode, name: str | None = None) -> Schema:
    """The parameters of a notebook, by path or already read.

    Raises:
        ParameterError: not exactly one cell tagged `parameters`, or a line that is not `name: type = default  # help`.
        FileNotFoundError: no such notebook.
    """
    if isinstance(notebook, (str, Path)):
        name = name or Path(notebook).stem
        notebook = read_notebook(notebook)
    name = name or "notebook"
    tagged = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ParameterError(
            f"{name}: {len(tagged) or 'no'} cell{'s are' if len(tagged) > 1 else ' is'} tagged 'parameters', expected exactly one; "
            "in JupyterLab a cell is tagged in the property inspector (the gears at the right)"
        )
    if tagged[0].cell_type != "code":
        raise ParameterError(f"{name}: the cell tagged 'parameters' is {tagged[0].cell_type}, expected code")
    return parse_cell(tagged[0].source, name)


def parse_cell(source: str, name: str = "notebook") -> Schema:
    """The schema a parameters cell writes down.

    Raises:
        ParameterError: a line that is no `name: type = default`, an annotation or default out of the known ones.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(f"{name}: parameters cell, line {error.lineno}: {error.msg}") from None
    trailing, headings = _comments(source)
    parameters: dict[str, Parameter] = {}
    for statement in tree.body:
        where = f"{name}: parameters cell, line {statement.lineno}"
        if isinstance(statement, ast.ImportFrom) and statement.module in ("typing", "__future__"):
            continue
        simple = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if not simple or statement.value is None:
            written = ast.unparse(statement).splitlines()[0]
            raise ParameterError(f"{where}: expected `name: type = default  # help`, found `{written}`")
        parameter = statement.target.id
        if parameter in parameters:
            raise ParameterError(f"{where}: {parameter!r} is there twice")
        kind = _type_of(statement.annotation, where)
        default = _default_of(statement.value, kind, f"{where}: {parameter}")
        annotation = ast.unparse(statement.annotation)
        # a formatter may have put what is long in brackets, with the help inside
        lines = range(statement.end_lineno, statement.lineno - 1, -1)
        note = next((trailing[line] for line in lines if trailing.get(line)), "")
        group = next((text for line, text in reversed(headings) if line < statement.lineno), "")
        bounds = Bounds.of(note) if re.search(r"\b(int|float)\b", annotation) else None
        if bounds is not None:
            try:
                bounds.check(default)
            except ParameterError as error:
                raise ParameterError(f"{where}: {parameter}: the default is out of its bounds: {error}") from None
        parameters[parameter] = Parameter(parameter, annotation, kind, default, note, group, bounds)
    return Schema(name, parameters)


def _comments(source: str) -> tuple[dict[int, str], list[tuple[int, str]]]:
    """Comments behind code, by line; and comments on lines of their own, in order (the last of a run counts)."""
    trailing, headings = {}, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text = token.string.lstrip("#").strip()
        if token.line[: token.start[1]].strip():
            trailing[token.start[0]] = text
        else:
            headings.append((token.start[0], text))
    return trailing, headings


def _type_of(node: ast.expr, where: str) -> Any:
    """The type an annotation names, out of a fixed vocabulary; nothing is evaluated."""
    written = ast.unparse(node)
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            try:
                return _type_of(ast.parse(text, mode="eval").body, where)
            except SyntaxError:
                raise ParameterError(f"{where}: cannot read the annotation {text!r}") from None
        case ast.Name(id=known) if known in _NAMES:
            return _NAMES[known]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return Union[_type_of(left, where), _type_of(right, where)]  # noqa: UP007 - built from values
        case ast.Subscript(value=ast.Name(id=outer), slice=inner):
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if outer == "Literal":
                return Literal[tuple(_literal(item, where) for item in items)]
            if outer == "Optional" and len(items) == 1:
                return Union[_type_of(items[0], where), None]  # noqa: UP007
            if outer == "Union":
                return Union[tuple(_type_of(item, where) for item in items)]  # noqa: UP007
            if outer == "list" and len(items) == 1:
                return list[_type_of(items[0], where)]
            if outer == "dict" and len(items) == 2 and _type_of(items[0], where) is str:
                return dict[str, _type_of(items[1], where)]
            if outer == "tuple":
                return tuple[tuple(... if _is_ellipsis(item) else _type_of(item, where) for item in items)]
    raise ParameterError(
        f"{where}: the annotation `{written}` is not known; "
        "known are bool, int, float, str, Literal[...], X | None, list[X], tuple[X, ...], dict[str, X], Any"
    )


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ParameterError(f"{where}: expected a plain value, found `{ast.unparse(node)}`") from None


def _default_of(node: ast.expr, kind: Any, where: str) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
        and len(node.args) == 1
    ):
        value = float(_literal(node.args[0], where))  # float("inf") has no literal
    else:
        value = _literal(node, where)
    try:
        return check(value, kind)
    except ParameterError as error:
        raise ParameterError(f"{where}: the default does not fit: {error}") from None


def check(value: Any, kind: Any) -> Any:
    """The value, if it is of the type: an int passes for a float, a list for a tuple, nothing else for another type.

    Raises:
        ParameterError: says what was given and what was expected.
    """
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError) as error:
        inside = ""
        if isinstance(error, ValidationError):
            place = [str(item) for item in error.errors()[0]["loc"] if isinstance(value, (dict, list, tuple))]
            inside = f" (at {'.'.join(place)})" if place else ""
        raise ParameterError(f"expected {describe(kind)}, got {value!r} ({type(value).__name__}){inside}") from None


def describe(kind: Any) -> str:
    """A type as one writes it in the parameters cell."""
    if kind in (None, type(None)):
        return "None"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(repr(item) for item in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(item) for item in arguments)
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if item is ... else describe(item) for item in arguments)}]"
    return getattr(kind, "__name__", str(kind))


def interpret(value: Any, kind: Any) -> Any:
    """Read the unquoted text of a YAML document or a command line as the type asks.

    Text stays text where the type is `str`: `on`, `3:20` and `007` arrive as written. A number is read as YAML 1.2
    reads it. `on`, `off`, `yes` and `no` are truth values where the type is `bool`.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    options = arguments if origin in (Union, types.UnionType) else (kind,)
    if isinstance(value, Plain):
        return _interpret_plain(value, options)
    for option in options:
        inner, items = typing.get_origin(option), typing.get_args(option)
        if inner is dict and isinstance(value, dict):
            return {str(key): interpret(item, items[1]) for key, item in value.items()}
        if inner is list and isinstance(value, list):
            return [interpret(item, items[0]) for item in value]
        if inner is tuple and isinstance(value, list):
            each = [items[0]] * len(value) if items[-1] is ... else list(items) + [Any] * len(value)
            return [interpret(item, each[index]) for index, item in enumerate(value)]
    return resolve(value)


def _interpret_plain(text: Plain, options) -> Any:
    resolved = resolve(text)
    if resolved is None and (None in options or type(None) in options):
        return None
    choices = [item for option in options if typing.get_origin(option) is Literal for item in typing.get_args(option)]
    if str(text) in choices:
        return str(text)
    plain = [option for option in options if isinstance(option, type) and option is not type(None)]
    if bool in plain and str(text).lower() in _ON_OFF:
        return _ON_OFF[str(text).lower()]
    if str in plain and not any(option in plain for option in (bool, int, float)):
        return str(text)
    return resolved


def parse_override(text: str) -> tuple[list[str], Any]:
    """`stage.name=value` or `stage.name.key=value` as (["stage", "name", "key"], value), the value read as YAML.

    Raises:
        ParameterError: not of that form.
    """
    path, equals, written = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise ParameterError(f"override {text!r}: expected `stage.parameter=value`, e.g. `finetune.epochs=5`")
    return keys, Plain("") if not written.strip() else load_text(written, f"override {text!r}")


def literal(value: Any) -> str:
    """Python source of a value of a parameter."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(literal(item) for item in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def inject(notebook: nbformat.NotebookNode, values: dict[str, str]) -> nbformat.NotebookNode:
    """Put a cell of `name = value` lines right after the parameters cell, in place of one from an earlier run.

    Args:
        values: Python source by name, as `literal` writes it.
    """
    cells = [cell for cell in notebook.cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    place = next(index for index, cell in enumerate(cells) if TAG in cell.metadata.get("tags", []))
    source = "\n".join(["# Values of this run", *(f"{name} = {value}" for name, value in values.items())])
    cell = nbformat.v4.new_code_cell(source=source, metadata={"tags": [INJECTED_TAG]}, id="injected-parameters")
    notebook.cells = [*cells[: place + 1], cell, *cells[place + 1 :]]
    return notebook
