"""`nbformat`, imported without what takes long; and reading notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

# nbformat's validator compiles a grammar of internationalised web addresses where it finds this package: most of a
# second in every process, for a check that no notebook needs. It takes the package's absence in its stride.
_FOUND = sys.modules.get("rfc3987_syntax")
if _FOUND is None:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import nbformat  # noqa: E402

if _FOUND is None:
    del sys.modules["rfc3987_syntax"]


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
