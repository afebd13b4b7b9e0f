"""An answer is the same in whatever pieces it comes, and no bytes do more than be refused."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dockbell.net.answers import Answer, MalformedError

_STARTS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 No\n", b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 204 \r\n"]  # fmt: skip
_LINES = [
    b"Content-Length: 5\r\n", b"Content-Length: 0\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X-A: 1\r\n",
    b" folded\r\n", b"\r\n", b"\n", b"5\r\nhello\r\n", b"0\r\n", b"hello", b"\r", b"\0", b":",
]  # fmt: skip
_TEXTS = st.tuples(
    st.sampled_from(_STARTS), st.lists(st.sampled_from([*_STARTS, *_LINES]), max_size=12)
).map(lambda parts: parts[0] + b"".join(parts[1]))


def read(pieces: Sequence[bytes]) -> object:
    """All that can be told of the answer, without what follows it."""
    answer = Answer()
    try:
        is_complete = any(answer.feed(piece) for piece in pieces)
    except MalformedError as error:
        return type(error), str(error)
    return is_complete, answer.end(), answer.status, answer.pairs, answer.body


@given(text=_TEXTS, cuts=st.lists(st.integers(0, 80), max_size=6))
def test_an_answer_is_the_same_in_any_pieces(text: bytes, cuts: Sequence[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    assert read(pieces) == read([text])


@given(pieces=st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_read_or_refused(pieces: Sequence[bytes]) -> None:
    assert read(pieces) is not None
