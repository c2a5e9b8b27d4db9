"""Takes out of files what would tell a stranger who made them and where: user name, host name, home folder.

Text, JSON and notebooks are gone through string by string; pictures, also those inside notebooks and pages, lose
their text fields. `traces` looks for what is left, in all bytes and inside what is encoded or compressed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import getpass
import json
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from workbench.pipeline.stage import project_folder

_TELL_NOTHING = {"root", "user", "admin", "jovyan", "runner", "ubuntu", "debian", "localhost", "localdomain", "local"}
_LONG = 8  # a name of so many letters is taken out of longer words too
_TOLD_BY_CHANCE = 6
_PATH_ENDS = r"(?![\w-])"
_SHORTEST = 3  # a name of two letters is in every other word; it is taken out of paths and addresses only
_DATA_ADDRESS = re.compile(r"(data:image/[a-z+.-]+;base64,)([A-Za-z0-9+/=]+)")
_ENCODED = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"}
_TEXT = {".html", ".svg", ".csv", ".txt", ".md", ".yaml", ".log"}
_PICTURES = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class Identity:
    """What must not be in what is handed out.

    Args:
        folders: absolute paths with what stands for them: `(("/home/ada", "~"),)`.
        names: whole words with what stands for them: `(("ada", "user"), ("engine-1", "host"))`.
    """

    folders: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, hide: tuple[str, ...] = ()) -> Identity:
        """Of this user on this machine.

        Args:
            hide: further names to take out.
        """
        home = Path.home()
        users = {home.name, *(os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER"))}
        with contextlib.suppress(KeyError, OSError):  # a container may have a user without a name
            users |= {getpass.getuser(), pwd.getpwuid(os.getuid()).pw_gecos.split(",")[0]}
        host = socket.gethostname()
        hosts = {host, host.partition(".")[0], os.environ.get("HOSTNAME", "")}
        folders = {str(home): "~", str(home.resolve()): "~", str(project_folder()): "."}
        longest_first = sorted(((path, word) for path, word in folders.items() if len(path) > 1), key=_length)
        names = {
            **dict.fromkeys(hosts, "host"), **dict.fromkeys(users, "user"), **dict.fromkeys(hide, "hidden"),
        }  # fmt: skip
        telling = sorted(
            ((name, word) for name, word in names.items() if name and name.lower() not in _TELL_NOTHING), key=_length
        )
        return cls(tuple(longest_first), tuple(telling))

    def scrub(self, text: str) -> str:
        """The text without them."""
        for path, word in self.folders:
            for written in dict.fromkeys((path, quote(path))):
                text = re.sub(re.escape(written) + _PATH_ENDS, word, text)
        for name, word in self.names:
            text = _pattern(name).sub(word, text)
        return text

    def traces(self, text: str, shortest: int = 1) -> list[str]:
        """Which of them are in a text.

        Args:
            shortest: names of fewer letters are not looked for: among random bytes they would be found by chance.
        """
        low = text.lower()  # most texts have nothing of it: they are looked through quickly
        found = [
            path for path, _ in self.folders if path.lower() in low and re.search(re.escape(path) + _PATH_ENDS, text)
        ]
        named = [name for name, _ in self.names if name.lower() in low and _pattern(name).search(text)]
        return [one for one in (*found, *named) if len(one) >= shortest]


def _length(pair: tuple[str, str]) -> int:
    return -len(pair[0])


def _pattern(name: str) -> re.Pattern:
    """A name as a word of its own, a long one anywhere, a very short one only where paths and addresses have names."""
    word = re.escape(name)
    if len(name) >= _LONG:
        return re.compile(word, re.IGNORECASE)
    if len(name) < _SHORTEST:
        return re.compile(
            rf"(?<=@){word}(?![A-Za-z0-9])|(?<=/home/){word}(?![A-Za-z0-9])|(?<=/Users/){word}(?![A-Za-z0-9])"
        )
    return re.compile(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", re.IGNORECASE)


def scrubbed(path: Path, identity: Identity) -> bytes | None:
    """A file's content without what would tell; None where there is nothing to change."""
    suffix = path.suffix.lower()
    content = path.read_bytes()
    if suffix in (".json", ".ipynb"):
        return _changed_json(content, identity)
    if suffix == ".jsonl":
        lines = content.split(b"\n")
        found = [_changed_json(line, identity, indent=None) if line.strip() else None for line in lines]
        joined = b"\n".join(line if new is None else new.rstrip(b"\n") for line, new in zip(lines, found, strict=True))
        return None if joined == content else joined
    if suffix in _TEXT:
        new = clean_text(content.decode("utf-8", errors="replace"), identity).encode()
    elif suffix in _PICTURES:
        new = without_text_fields(content)
    else:
        return None
    return None if new == content else new


def _changed_json(content: bytes, identity: Identity, indent: int | None = 1) -> bytes | None:
    try:
        value = json.loads(content)
    except ValueError:  # a torn line, or no JSON at all: as text
        new = clean_text(content.decode("utf-8", errors="replace"), identity).encode()
        return None if new == content else new
    new = _walk(value, lambda text: clean_text(text, identity))
    return None if new == value else (json.dumps(new, indent=indent, ensure_ascii=False) + "\n").encode()


def _walk(value, change: Callable[[str], str], kind: str = ""):
    """The value with every text in it changed; of pictures (by their MIME type) the text fields removed."""
    if isinstance(value, dict):
        return {change(key): _walk(item, change, key) for key, item in value.items()}
    if isinstance(value, list) and "/" in kind and all(isinstance(item, str) for item in value):  # text of a MIME type
        return _walk("".join(value), change, kind)
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    if not isinstance(value, str):
        return value
    return _encoded_picture(value) if kind in ("image/png", "image/jpeg") else change(value)


def clean_text(text: str, identity: Identity) -> str:
    """Text without names; pictures written into it lose their text fields, drawings theirs by name."""

    def picture(match: re.Match) -> str:
        if "svg" not in match[1]:
            return match[1] + _encoded_picture(match[2])
        try:
            drawing = base64.b64decode(match[2]).decode("utf-8", errors="replace")
        except binascii.Error:
            return match[1]
        return match[1] + base64.b64encode(identity.scrub(drawing).encode()).decode()

    pieces = []
    end = 0
    for match in _DATA_ADDRESS.finditer(text):  # names are not looked for in what is encoded: it is no text
        pieces += [identity.scrub(text[end : match.start()]), picture(match)]
        end = match.end()
    return "".join([*pieces, identity.scrub(text[end:])])


def _encoded_picture(text: str) -> str:
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:  # no picture; it cannot be shown, and is not handed out
        return ""
    new = without_text_fields(content)
    return text if new == content else base64.b64encode(new).decode()


def without_text_fields(content: bytes) -> bytes:
    """A PNG or JPEG without its text fields, comments, times and camera data; the pixels stay as they are."""
    if content.startswith(_PNG):
        return _PNG + b"".join(chunk for name, chunk in _png_chunks(content) if name not in _PNG_TEXT)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_without_text(content)
    return content


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 12 <= len(content):
        size = 12 + int.from_bytes(content[place : place + 4])
        yield content[place + 4 : place + 8], content[place : place + size]
        place += size  # what follows the last chunk is no picture, and is left out


def _jpeg_without_text(content: bytes) -> bytes:
    kept, place = [content[:2]], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, size = content[place + 1], 2 + int.from_bytes(content[place + 2 : place + 4])
        if marker == 0xDA:  # the picture itself follows
            break
        if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
            kept.append(content[place : place + size])
        place += size
    return b"".join([*kept, content[place:]])


def traces(path: Path, identity: Identity) -> list[str]:
    """What of an identity a file still holds: in its bytes, in what is encoded in them, or compressed."""
    found: set[str] = set()
    for text, is_text in _readable(path):
        found |= set(identity.traces(text, shortest=1 if is_text else _TOLD_BY_CHANCE))
        for encoded in _ENCODED.findall(text) if is_text and path.suffix != ".lz4" else ():
            with contextlib.suppress(binascii.Error):
                content = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("latin-1")
                found |= set(identity.traces(content, shortest=_TOLD_BY_CHANCE))
    return sorted(found)


def _readable(path: Path) -> Iterator[tuple[str, bool]]:
    """All that a file holds, unpacked, as text; and whether it is text, or only bytes."""
    content = path.read_bytes()
    if path.suffix == ".lz4":
        import lz4.frame

        content = lz4.frame.decompress(content)
    if path.suffix == ".parquet":
        yield from ((text, True) for text in _texts_of_table(path))
    if path.suffix in (".json", ".ipynb", ".jsonl"):
        yield content.decode("utf-8", errors="replace").replace("\\n", ""), True
    yield content.decode("latin-1"), path.suffix in _TEXT | {".json", ".ipynb", ".jsonl", ".lz4"}


def _texts_of_table(path: Path) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    yield str(table.schema.metadata or "")
    for column in table.columns:
        kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
        if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
            yield "\n".join(str(value) for value in column.unique().to_pylist())
