"""Byte ranges: of a download (RFC 9110) and of a chunk on its way in (the distribution standard)."""

import re

_DOWNLOAD = re.compile(r"bytes=\s*([0-9]{0,19})-([0-9]{0,19})\s*", re.ASCII | re.IGNORECASE)
# The standard writes `0-99`; some clients write it as HTTP does, `bytes 0-99/*`.
_CHUNK = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?")


class UnsatisfiableError(Exception):
    """The range lies outside of the content, or cannot be read."""


def of_download(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and length of what to send; None for all of it. Raise UnsatisfiableError.

    Several ranges at once and other units are answered with all of it, as HTTP allows.
    """
    match = None if header is None else _DOWNLOAD.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = min(int(match[2]), size)
        start = size - length
    else:
        start = int(match[1])
        end = size - 1 if match[2] == "" else min(int(match[2]), size - 1)
        length = end - start + 1
    if length <= 0 or start >= size:
        raise UnsatisfiableError
    return start, length


def of_chunk(header: str) -> tuple[int, int]:
    """First byte and length of a chunk; raise UnsatisfiableError if the header cannot be read."""
    match = _CHUNK.fullmatch(header.strip())
    if match is None:
        raise UnsatisfiableError
    start, end = int(match[1]), int(match[2])
    if end < start:
        raise UnsatisfiableError
    return start, end - start + 1


def progress(size: int) -> str:
    """The `Range` header that tells how much of an upload is here.

    Of nothing and of one byte it says the same, `0-0`: every registry does, and clients count on it.
    """
    return f"0-{max(size - 1, 0)}"
