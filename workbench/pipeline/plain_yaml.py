"""YAML as a person means it: unquoted text keeps its spelling until a parameter's type says what it is.

YAML 1.1 reads `on` as True, `3:20` as 200 and `1e-4` as text. Here an unquoted scalar is a `Plain` string, and
`resolve` reads it by the YAML 1.2 core schema (with `1e-4` a number) only where no type has asked for text.
"""

from __future__ import annotations

import re

import yaml


class Plain(str):
    """Unquoted text of a YAML document, not yet read as a number, a truth value or nothing."""


class YAMLError(ValueError):
    """A document that is not YAML, or that says a key twice."""


class _Loader(yaml.SafeLoader):
    def flatten_mapping(self, node):
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        super().flatten_mapping(node)


def _scalar(loader, node):
    return Plain(node.value) if node.style is None else str(node.value)


_Loader.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"))]}
_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)


def load_text(text: str, source: str = "the text"):
    """Dicts, lists, `Plain` and `str` of one YAML document; None of an empty one.

    Raises:
        YAMLError: not YAML, or a key twice; the message has the source, line and column.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader: builds only dicts, lists and text
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise YAMLError(f"{where}: {getattr(error, 'problem', error)}") from None


_INTEGER = re.compile(r"[-+]?(?:\d[\d_]*|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "-.inf": float("-inf"), "inf": float("inf"), "-inf": float("-inf"),
    ".nan": float("nan"), "nan": float("nan"),
}  # fmt: skip


def resolve(value):
    """Read every `Plain` in a value: null, true/false, integers (decimal, 0x), floats (1e-4, .5, inf), else text."""
    if isinstance(value, dict):
        return {str(key): resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    if not isinstance(value, Plain):
        return value
    text = str(value)
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if "x" in text else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
