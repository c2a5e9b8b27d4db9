"""TensorBoard's event files: records framed by lengths and CRC-32C sums, summed without a loop over bytes."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_CHUNK = 2048  # bytes summed at once


class EventFile:
    """A file of records that TensorBoard reads.

    Args:
        path: created, or appended to.
    """

    def __init__(self, path: Path):
        self._stream = path.open("ab")

    def write(self, record: bytes) -> None:
        """Add a record; it is on the disk after `flush`."""
        length = struct.pack("<Q", len(record))
        self._stream.write(b"".join((length, _masked(length), record, _masked(record))))

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def crc32c(content: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    state = 0xFFFFFFFF
    for start in range(0, len(content), _CHUNK):
        state = _summed(state, np.frombuffer(content, np.uint8, min(_CHUNK, len(content) - start), start))
    return state ^ 0xFFFFFFFF


def _summed(state: int, part: np.ndarray) -> int:
    """The register after the bytes of `part`: the sum is linear, so each byte adds what its place makes of it."""
    size = len(part)
    if size < 4:
        for byte in part.tolist():
            state = (state >> 8) ^ int(_places()[0, (state ^ byte) & 0xFF])
        return state
    mixed = part.copy()
    mixed[:4] ^= np.frombuffer(struct.pack("<I", state), np.uint8)
    return int(np.bitwise_xor.reduce(_places()[np.arange(size - 1, -1, -1), mixed]))


@cache
def _places() -> np.ndarray:
    """uint32 `[_CHUNK, 256]`: what a byte followed by so many others adds to the register."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = (first >> 1) ^ np.where(first & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    places = np.empty((_CHUNK, 256), np.uint32)
    places[0] = first
    for place in range(1, _CHUNK):
        places[place] = (places[place - 1] >> 8) ^ first[places[place - 1] & 0xFF]
    return places


def _masked(content: bytes) -> bytes:
    """The sum as TFRecord stores it: rotated, so that sums of content that holds sums stay good."""
    found = crc32c(content)
    return struct.pack("<I", (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
