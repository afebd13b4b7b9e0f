"""Reads one HTTP/1 answer out of whatever pieces it comes in: strict, and bounded in size. No socket here."""

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto
from functools import lru_cache

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Pairs, SharedPairs

KEPT_BODY = 16 * 1024
MOST_LINES = 128  # of all heads of one answer together, the interim ones among them
LONGEST_HEAD = 32 * 1024
_REMEMBERED_HEAD = 1024
_LONGEST_SIZE_LINE = 1024

_BEGINNING = b"HTTP/1."
_END = re.compile(rb"\n\r?\n")  # some servers end their lines without a carriage return
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0\r]*)?")
_FIELD = re.compile(rb"[^\0-\40\177:][^\0\r:]*:[^\0\r]*")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\0\r]*)?\r?")
_NO_STATUS_LINE = "it does not begin with a status line"
_SWITCHING = 101
FIRST_FINAL_STATUS = 200
_BODILESS = {204, 304}


class MalformedError(Exception):
    """The bytes are no HTTP answer, in words that complete "it did not answer in HTTP: …"."""


class OverLimitError(MalformedError):
    """The head is larger than we read."""


class SwitchingError(MalformedError):
    """The answer is that the connection speaks another protocol from here on."""


class Framing(Enum):
    """What tells where the body ends."""

    LENGTH = auto()  # 0 if there is none
    CHUNKS = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Head:
    """What the lines before a body say."""

    status: int
    pairs: Pairs
    framing: Framing
    length: int
    lasts: bool  # the connection may be used again
    lines: int
    retry_after: str | None


class Answer:
    """The answer to one request. Feed it what comes until it is complete; interim answers are read and dropped."""

    __slots__ = (
        "_left", "_lines", "_read", "_text", "_trailer", "body", "head", "is_cut", "is_plain", "lasts", "longest", "raw",
    )  # fmt: skip

    def __init__(self) -> None:
        self.head: Head | None = None
        self.raw = b""  # the head as it came, as far as it did
        self.body = b""
        self.is_cut = False
        self.lasts = False
        self.is_plain = False  # it came in one piece, and the connection may be used again
        self.longest = 0  # then: bytes of its longest line, or of its body if that is longer
        self._text = b""  # came, but does not make sense alone yet
        self._read = 0  # bytes of heads
        self._lines = 0
        self._left = 0  # of the body, or of the chunk with the end of its line
        self._trailer = False

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the answer is complete. Raise MalformedError.

        A body that is longer than what is kept counts as complete: the rest is not read.
        """
        if self.head is None:
            data = self._take_heads(data)
        head = self.head
        if head is None:
            return False
        if head.framing is Framing.LENGTH:
            return self._take_length(data)
        if head.framing is Framing.CHUNKS:
            return self._take_chunks(data)
        self._keep(data)
        return self.is_cut

    def end(self) -> bool:
        """The other side sends no more: return whether that makes the answer complete."""
        return self.head is not None and self.head.framing is Framing.CLOSE

    def repeats(self, secrets: Iterable[bytes]) -> bool:
        """Whether one of them stands in it."""
        return any(secret in self.raw or secret in self.body for secret in secrets)

    @property
    def status(self) -> int:
        """That of the answer, even if no more than its first line came; of an interim one if there is no other yet; or 0."""
        if self.head is not None:
            return self.head.status
        found = _STATUS_LINE.match(self._text) if b"\n" in self._text else None
        return 0 if found is None else int(found[2])

    @property
    def retry_after(self) -> str | None:
        return None if self.head is None else self.head.retry_after

    @property
    def pairs(self) -> Pairs:
        """The headers, as far as they came."""
        if self.head is not None:
            return self.head.pairs
        lines = self._text.split(b"\n")[1:-1]
        return tuple(_pair(line) for line in lines if b":" in line)

    def _take_heads(self, data: bytes) -> bytes:
        """Read up to the end of the final head, if that came; return what follows it."""
        old = self._text
        if old:
            data = old + data
        begin = max(0, len(old) - 2)
        while (found := _END.search(data, begin)) is not None:
            self._count(found.end(), 0)
            text = data[: found.start()]
            head = _short_head(text) if len(text) <= _REMEMBERED_HEAD else _head_of(text)
            self._count(0, head.lines)
            data, begin = data[found.end() :], 0
            if head.status == _SWITCHING:
                raise SwitchingError
            if head.status >= FIRST_FINAL_STATUS:
                self._text = b""
                self.head, self.raw = head, text
                self.lasts, self._left = head.lasts, head.length
                return data
        if not data.startswith(_BEGINNING) and not _BEGINNING.startswith(data[:7]):
            raise MalformedError(_NO_STATUS_LINE)
        self._text = self.raw = data
        if len(data) + self._read > LONGEST_HEAD or (
            data.count(b"\n") + self._lines > MOST_LINES
        ):
            raise OverLimitError
        if not old or b"\n" not in old:
            line, newline, _ = data.partition(b"\n")
            if newline:
                _status_of(line)
        return b""

    def _count(self, size: int, lines: int) -> None:
        self._read += size
        self._lines += lines
        if self._read > LONGEST_HEAD or self._lines > MOST_LINES:
            raise OverLimitError

    def _keep(self, data: bytes) -> None:
        if data:
            room = KEPT_BODY - len(self.body)
            self.body += data[:room]
            if len(data) > room:
                self.is_cut = True
                self.lasts = False

    def _take_length(self, data: bytes) -> bool:
        size = len(data)
        if size > self._left:  # it goes on where nothing should follow
            self.lasts = False
            data = data[: self._left]
        self._left -= len(data)
        self._keep(data)
        return self._left == 0 or self.is_cut

    def _take_chunks(self, data: bytes) -> bool:
        data, self._text = self._text + data, b""
        at, size = 0, len(data)
        while at < size:
            if self._left > 2:  # noqa: PLR2004 -- the end of the chunk's line has two bytes
                taken = min(size - at, self._left - 2)
                self._keep(data[at : at + taken])
                if self.is_cut:
                    return True
                self._left -= taken
                at += taken
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self._text = data[at:]
                if len(self._text) > _LONGEST_SIZE_LINE:
                    raise MalformedError("a chunk's first line does not end")
                return False
            line = data[at:newline]
            at = newline + 1
            if self._left:
                if line not in {b"", b"\r"}:
                    raise MalformedError("a chunk is longer than it says")
                self._left = 0
            elif self._trailer:
                self._count(len(line), 1)
                if line in {b"", b"\r"}:
                    self.lasts = self.lasts and at == size
                    return True
            else:
                self._begin_chunk(line)
        return False

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise MalformedError("a chunk does not begin with its length")
        length = int(found[1], 16)
        if length:
            self._left = length + 2
        else:
            self._trailer = True


def _status_of(line: bytes) -> tuple[int, int]:
    """The minor version and the status."""
    found = _STATUS_LINE.fullmatch(line.removesuffix(b"\r"))
    if found is None:
        raise MalformedError(_NO_STATUS_LINE)
    return int(found[1]), int(found[2])


def _head_of(text: bytes) -> Head:
    """The head in these lines, without the end of the last; or MalformedError."""
    first, *lines = text.removesuffix(b"\r").split(b"\n")
    minor, status = _status_of(first)
    pairs: list[tuple[str, str]] = []
    for raw in lines:
        line = raw.removesuffix(b"\r")
        if (
            line[:1] in {b" ", b"\t"} and pairs and b"\0" not in line
        ):  # goes on from the line before
            name, value = pairs[-1]
            pairs[-1] = name, f"{value} {line.decode('latin-1').strip()}".strip()
            continue
        if _FIELD.fullmatch(line) is None:
            raise MalformedError("a header line is none")
        pairs.append(_pair(line))
    framing, length, is_clear = _framing_of(pairs, status)
    return Head(
        status=status,
        pairs=SharedPairs(pairs),
        framing=framing,
        length=length,
        lasts=is_clear and framing is not Framing.CLOSE and _lasts(pairs, minor),
        lines=len(lines) + 2,
        retry_after=next(
            (value for name, value in pairs if name.lower() == "retry-after"), None
        ),
    )


def head_of(text: bytes, *, has_body: bool) -> Head:
    """The head in these lines, for who reads the body themselves; or MalformedError. To HEAD there is none."""
    if text.count(b"\n") > MOST_LINES:
        raise OverLimitError
    head = _head_of(text)
    if head.status == _SWITCHING:
        raise SwitchingError
    return head if has_body else replace(head, framing=Framing.LENGTH, length=0)


# Targets answer with the same lines again and again.
_short_head = lru_cache(maxsize=1024)(_head_of)


def _short_answer(data: bytes) -> Answer | None:
    found = _END.search(data)
    if found is None:
        return None
    text, body = data[: found.start()], data[found.end() :]
    head = _short_head(text)
    is_all = head.framing is Framing.LENGTH and head.length == len(body)
    if not is_all or head.lines > MOST_LINES or head.status < FIRST_FINAL_STATUS:
        return None
    answer = Answer()
    answer.head, answer.raw, answer.body, answer.lasts = head, text, body, head.lasts
    answer.is_plain = head.lasts
    answer.longest = max(len(body), *map(len, text.split(b"\n")))
    return answer


_same_answer = lru_cache(maxsize=1024)(_short_answer)


def whole_answer(data: bytes) -> Answer | None:
    """The answer, if the data are one, whole and short, and nothing else. Raise MalformedError.

    Most targets answer so, and those without a body with the same bytes again and again: whoever gets it must not feed it.
    """
    if len(data) > _REMEMBERED_HEAD:
        return None
    return _same_answer(data) if data.endswith(b"\n") else _short_answer(data)


NO_ANSWER = Answer()  # of a request of which nothing has come back yet; never fed


@lru_cache(maxsize=1024)
def _short_pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip(), value.strip()


def _pair(line: bytes) -> tuple[str, str]:
    return (_short_pair if len(line) <= _REMEMBERED_HEAD else _short_pair.__wrapped__)(line)


def _values(pairs: list[tuple[str, str]], name: str) -> list[str]:
    """The parts of a header whose value is a list."""
    return [
        part.strip() for key, value in pairs if key.lower() == name for part in value.split(",")
    ]


def _framing_of(pairs: list[tuple[str, str]], status: int) -> tuple[Framing, int, bool]:
    """What ends the body, how long it is if that is said, and whether there is only one way to read it."""
    codings = [one.lower() for one in _values(pairs, "transfer-encoding")]
    lengths = set(_values(pairs, "content-length"))
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise MalformedError("its Content-Length is no length")
    if status < FIRST_FINAL_STATUS or status in _BODILESS:
        return Framing.LENGTH, 0, True
    if codings and codings != ["identity"]:
        is_chunked = codings[-1] == "chunked"
        return Framing.CHUNKS if is_chunked else Framing.CLOSE, 0, not lengths
    if lengths:
        return Framing.LENGTH, int(lengths.pop()), True
    return Framing.CLOSE, 0, True


def _lasts(pairs: list[tuple[str, str]], minor: int) -> bool:
    words = {word.lower() for word in _values(pairs, "connection")}
    return "close" not in words and (minor > 0 or "keep-alive" in words)
