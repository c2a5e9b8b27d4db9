"""Finding notebooks by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workbench.pipeline.parameters import nearest


def find_notebook(name: str, near: Path | str = ".") -> Path:
    """A notebook by path or by name: `notebooks/04_collect.ipynb`, `04_collect`, or `collect`.

    Looked for where the command runs, then in `near`, `near/notebooks` and `notebooks/` beside it and above.

    Raises:
        FileNotFoundError: there is none, or several; the message gives the nearest names.
    """
    near = Path(near)
    given = Path(name if name.endswith(".ipynb") else name + ".ipynb")
    folders = [Path(), near]
    for folder in (near.resolve(), *near.resolve().parents[:2], Path.cwd()):
        folders.append(folder / "notebooks")
    for folder in folders:
        if (folder / given).is_file():
            return _shortest(folder / given)
    if given.parent == Path():
        for folder in folders:
            matches = sorted(path for path in folder.glob("*.ipynb") if re.sub(r"^\d+_", "", path.name) == given.name)
            if len(matches) == 1:
                return _shortest(matches[0])
            if matches:
                raise FileNotFoundError(
                    f"notebook {name!r} may be any of {', '.join(path.stem for path in matches)}; say which"
                )
    known = {path.stem for folder in folders for path in folder.glob("*.ipynb")}
    raise FileNotFoundError(f"no notebook {name!r}; {nearest(name, sorted(known))}")


def _shortest(path: Path) -> Path:
    """The path relative to where the command runs: it is written down, and must not tell where that is."""
    return Path(os.path.relpath(path))
