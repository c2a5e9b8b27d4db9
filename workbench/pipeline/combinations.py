"""What a sweep runs: the product of the values that its parameters are to take.

    finetune.epochs=1,2            two values
    shared.seed=0..4               five: 0, 1, 2, 3, 4 (also 0..10..5, and 0..2,7)
    finetune.hidden=[64,64],[128]  two lists; what stands in brackets or quotes is one value
    collect.games=200              one value, the same in every combination

Values are read as everywhere on the command line: as YAML.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass

from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.parameters import ParameterError, parse_override

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?")
_LONGEST_VALUE, _LONGEST_NAME, MOST = 32, 120, 1000
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Axis:
    """A parameter and the values it takes, as written.

    Args:
        key: `stage.parameter`, `shared.seed`, `generations`.
    """

    key: str
    values: tuple[str, ...]

    @property
    def is_seed(self) -> bool:
        """Whether its values are repetitions of one experiment, to be averaged over."""
        return self.key.rpartition(".")[2] == "seed"


@dataclass(frozen=True)
class Combination:
    """One point of a sweep.

    Args:
        name: of its experiment and its folder: `epochs=1,seed=0`.
        values: by key, as written, of the parameters that vary.
        overrides: all that the command line says of this combination.
    """

    name: str
    values: dict[str, str]
    overrides: tuple[str, ...]


def read_axes(texts: list[str] | tuple[str, ...]) -> list[Axis]:
    """`key=value,value` texts, taken apart.

    Raises:
        ExperimentError: not of that form, a key or a value twice, an empty value, a range that is none.
    """
    axes: list[Axis] = []
    for text in texts:
        try:
            keys, _ = parse_override(text.partition("=")[0] + "=" if "=" in text else text)
        except ParameterError as error:
            raise ExperimentError(str(error)) from None
        key, written = ".".join(keys), text.partition("=")[2]
        if key in (axis.key for axis in axes):
            raise ExperimentError(f"{key} is given twice; put all its values into one: {key}=a,b")
        values = tuple(value for part in split(written, text) for value in _spread(part, text))
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ExperimentError(f"{text}: {', '.join(twice)} is there twice")
        axes.append(Axis(key, values))
    return axes


def split(written: str, text: str = "") -> list[str]:
    """The parts between commas that stand neither in brackets, braces nor quotes.

    Args:
        text: what the error names.

    Raises:
        ExperimentError: an empty part beside others, brackets or quotes that are not closed.
    """
    parts, open_, quote, current = [], [], "", ""
    for letter in written:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not current.strip(" [{,:"):
            quote = letter
        elif letter in _CLOSING:
            open_.append(_CLOSING[letter])
        elif open_ and letter == open_[-1]:
            open_.pop()
        if letter == "," and not quote and not open_:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    parts.append(current.strip())
    if quote or open_:
        raise ExperimentError(f"{text or written}: a closing {quote or open_[-1]} is missing")
    if len(parts) > 1 and "" in parts:
        raise ExperimentError(f"{text or written}: an empty value; leave the comma out, or write '' for an empty text")
    return parts


def _spread(part: str, text: str) -> list[str]:
    """The whole numbers of a range, both ends included; anything else as it is."""
    found = _RANGE.fullmatch(part)
    if found is None:
        return [part]
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if last < first or step < 1:
        raise ExperimentError(f"{text}: a range goes up, as in 0..4 or 0..10..5; got {part}")
    if (last - first) // step >= MOST:
        raise ExperimentError(f"{text}: {part} is more than {MOST} values")
    return [str(number) for number in range(first, last + 1, step)]


def combinations(axes: list[Axis]) -> list[Combination]:
    """The product of the axes, the last varying fastest.

    Raises:
        ExperimentError: nothing varies, or more than a thousand combinations.
    """
    varying = [axis for axis in axes if len(axis.values) > 1]
    if not varying:
        raise ExperimentError(
            "nothing varies: give a parameter several values, such as finetune.epochs=1,2 or shared.seed=0..4, or use `workbench run`"
        )
    count = 1
    for axis in varying:
        count *= len(axis.values)
    if count > MOST:
        raise ExperimentError(f"{count} combinations; at most {MOST} in one sweep")
    labels = short_keys([axis.key for axis in varying])
    words = [short_values(axis.values) for axis in varying]
    found = []
    for chosen in itertools.product(*(range(len(axis.values)) for axis in varying)):
        values = {axis.key: axis.values[index] for axis, index in zip(varying, chosen, strict=True)}
        name = ",".join(f"{label}={word[index]}" for label, word, index in zip(labels, words, chosen, strict=True))
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME - 9]}-{_digest(name)}"
        overrides = tuple(f"{axis.key}={values.get(axis.key, axis.values[0])}" for axis in axes)
        found.append(Combination(name, values, overrides))
    return found


def short_keys(keys: list[str]) -> list[str]:
    """Each key's last word, or all of it where another ends in the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return [word if last.count(word) == 1 else key for key, word in zip(keys, last, strict=True)]


def short_values(values: tuple[str, ...]) -> list[str]:
    """Values as parts of a folder's name; told apart where cutting them short made them alike."""
    words = [_word(value) for value in values]
    lower = [word.lower() for word in words]
    return [
        f"{word}-{_digest(value)[:4]}" if lower.count(word.lower()) > 1 else word
        for word, value in zip(words, values, strict=True)
    ]


def _word(value: str) -> str:
    text = value.strip("'\" ")
    text = text.rstrip("/").rpartition("/")[2] if "/" in text and text[0] not in _CLOSING else text
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).rstrip("-.")[:_LONGEST_VALUE] or "empty"
    return plain if re.match(r"-?[A-Za-z0-9._]", text) else plain.lstrip("-")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
