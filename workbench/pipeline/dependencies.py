"""Which files of the library a result depends on: found by reading what imports what, without importing anything."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.pipeline.files import hash_path

if TYPE_CHECKING:
    from workbench.pipeline.notebook_io import nbformat

_NOT_COMPUTING = ("pipeline", "ui", "cli.py", "files.py", "lazy.py", "markup.py")
_IGNORED = {"__pycache__", "node_modules"}


def code_files() -> dict[str, str]:
    """Hashes of the library's files that a result may depend on, by path relative to the package."""
    return _hashes(_package().rglob("*"))


def code_used(parameters: dict[str, Any] | None = None) -> dict[str, str]:
    """Hashes of the files that this process's modules come from, of what those import, and of the data beside them.

    Args:
        parameters: of the stage; the games that they name count too, though only other processes may have played them.
    """
    root = _package()
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == root.name]
    loaded = [Path(module.__file__) for module in modules if getattr(module, "__file__", None)]
    return _hashes(_with_imports([*loaded, *_games_named_in(_texts(parameters or {}))]))


def code_reached(notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> list[str]:
    """Names of the files that a notebook can come to use: by its imports, and by the games that it or a parameter names.

    All files, where a cell cannot be read as Python.
    """
    from workbench.pipeline.parameters import TAG  # not where a stage only asks what it used

    roots: list[Path] = []
    texts = _texts(parameters)
    try:
        cells = [
            cell for cell in notebook.cells if cell.cell_type == "code" and TAG not in cell.metadata.get("tags", [])
        ]
        trees = [ast.parse(_without_magics(cell.source)) for cell in cells]
    except SyntaxError:
        return sorted(code_files())
    nodes = [node for tree in trees for node in ast.walk(tree)]
    short = {
        name.asname or name.name
        for node in nodes
        if isinstance(node, ast.Import)
        for name in node.names
        if name.name == _package().name
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in short:
            roots += _places([f"{_package().name}.{node.attr}"])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    for tree in trees:
        roots += _imported_by(tree)
    return sorted(_hashes(_with_imports([*roots, *_games_named_in(texts)])))


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    root = _package()
    return {file.relative_to(root).as_posix(): hash_path(file) for file in sorted(set(files)) if _counts(file)}


def _with_imports(files: Iterable[Path]) -> set[Path]:
    """The files, all that they import, directly or not, and the data that lies beside them."""
    waiting = list(files)
    used: set[Path] = set()
    while waiting:
        file = waiting.pop().resolve()
        if file not in used and _counts(file):
            used.add(file)
            waiting += _imported_by(ast.parse(file.read_text(encoding="utf-8"))) if file.suffix == ".py" else []
    beside = {item for folder in {file.parent for file in used} - {_package()} for item in _data_beside(folder)}
    return used | beside


def _data_beside(folder: Path) -> list[Path]:
    """What is not code in a package's folder and in its subfolders that are no packages of their own."""
    found = []
    for item in folder.iterdir():
        if item.is_file() and item.suffix != ".py":
            found.append(item)
        elif item.is_dir() and item.name not in _IGNORED and not (item / "__init__.py").exists():
            found += _data_beside(item)
    return found


def _package() -> Path:
    return Path(__file__).resolve().parents[1]


def _counts(file: Path) -> bool:
    """Whether a file of the package can change a result: what only runs, shows or reports cannot."""
    relative = file.relative_to(_package())
    if relative.parts == ("__init__.py",):  # re-exports by name; what a run imports through it is found on its own
        return False
    return file.is_file() and relative.parts[0] not in _NOT_COMPUTING and not _IGNORED & set(relative.parts)


def _imported_by(tree: ast.Module) -> list[Path]:
    """Files of the package that a module names in its import statements, those inside functions included."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return _places(modules)


def _places(modules: list[str]) -> list[Path]:
    """Where modules of the package lie; with each the packages around it, which are imported before it."""
    root = _package()
    homes = {f"{root.name}.{name}": home for home, names in _table("__init__.py", "_HOMES").items() for name in names}
    found = []
    for module in modules:
        parts = homes.get(module, module).split(".")
        if parts[0] == root.name and len(parts) > 1:
            packages = [root.joinpath(*parts[1:end]) / "__init__.py" for end in range(2, len(parts) + 1)]
            found += [*packages, root.joinpath(*parts[1:]).with_suffix(".py")]
    return found


def _games_named_in(texts: Iterable[str]) -> list[Path]:
    """The code of games, which is imported by name: `melee-mock`, or a player's `melee-mock/cpu1`."""
    games = _table("envs/__init__.py", "_ENVS")
    found = []
    for name in {text.partition("/")[0] for text in texts} & games.keys():
        *_, file = places = _places([games[name][0]])
        whole = file.parent != _package() / "envs"
        found += [*places, *(file.parent.rglob("*.py") if whole else ())]
    return found


@cache
def _table(file: str, name: str) -> dict:
    """A dict that a file of the package writes down in full."""
    for node in ast.parse((_package() / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [target.id for target in node.targets if isinstance(target, ast.Name)] == [
            name
        ]:
            return ast.literal_eval(node.value)
    raise LookupError(f"{file}: expected `{name} = {{...}}`, by which modules are imported when first used")


def _texts(value: Any) -> list[str]:
    """All texts inside a value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _without_magics(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
