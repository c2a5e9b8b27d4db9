"""`nbformat`, imported without what takes long; and reading notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

# nbformat's validator prepares to check web addresses and durations where it finds these packages, which compile
# grammars: up to a second in every process, for checks that no notebook needs. It takes their absence in its stride.
_ABSENT = [name for name in ("rfc3987_syntax", "rfc3986_validator", "isoduration") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_ABSENT))
import nbformat  # noqa: E402

for _name in _ABSENT:
    del sys.modules[_name]


class NotebookError(ValueError):
    """A file that is not a notebook."""


def read_notebook(path: Path | str) -> nbformat.NotebookNode:
    """A notebook in the current format.

    Raises:
        NotebookError: the file is not a notebook.
        FileNotFoundError: no such file.
    """
    path = Path(path)
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (
        nbformat.reader.NotJSONError,
        nbformat.ValidationError,
        AttributeError,
        KeyError,
        UnicodeDecodeError,
    ) as error:
        raise NotebookError(f"{path}: not a notebook ({str(error)[:200]})") from None


__all__ = ["NotebookError", "nbformat", "read_notebook"]
