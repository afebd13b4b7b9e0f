"""Byte ranges, of downloads and of chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.registry import ranges
from dockbell.registry.ranges import UnsatisfiableError

NUMBER = st.integers(min_value=0, max_value=10**18)


@given(NUMBER, NUMBER, NUMBER)
def test_a_range_never_reaches_beyond_the_content(first: int, more: int, rest: int) -> None:
    last, size = first + more, first + 1 + rest

    found = ranges.of_download(f"bytes={first}-{last}", size)

    assert found == (first, min(last, size - 1) - first + 1)


@given(st.text(), NUMBER)
def test_no_header_makes_a_download_fail_or_reach_beyond(text: str, size: int) -> None:
    try:
        found = ranges.of_download(text, size)
    except UnsatisfiableError:
        return

    assert found is None or (found[0] >= 0 and found[1] > 0 and sum(found) <= size)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None),
        ("", None),
        ("bytes=0-4", (0, 5)),
        ("BYTES=0-4", (0, 5)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=0-1,3-4", None),
        ("bytes=+1-2", None),
        ("bytes=\u0661-\u0662", None),
        ("items=0-1", None),
        (f"bytes={'9' * 20}-", None),
    ],
)
def test_a_download_header_is_read(header: str | None, found: tuple[int, int] | None) -> None:
    assert ranges.of_download(header, 10) == found


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=11-12", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        ranges.of_download(header, 10)


def test_every_range_of_an_empty_blob_is_unsatisfiable() -> None:
    for header in ("bytes=0-", "bytes=-1", "bytes=0-0"):
        with pytest.raises(UnsatisfiableError):
            ranges.of_download(header, 0)


@pytest.mark.parametrize(
    "header", ["5-9", " 5-9 ", "bytes 5-9", "bytes=5-9", "bytes 5-9/10", "5-9/*"]
)
def test_a_chunk_header_is_read_as_clients_write_it(header: str) -> None:
    assert ranges.of_chunk(header) == (5, 5)


@pytest.mark.parametrize(
    "header", ["", "5", "5-", "-9", "9-5", "a-b", "5-9/x", "5 - 9", "\u0665-\u0669"]
)
def test_a_chunk_header_that_cannot_be_read_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        ranges.of_chunk(header)


def test_progress_counts_from_nought() -> None:
    assert [ranges.progress(size) for size in (0, 1, 2, 1000)] == ["0-0", "0-0", "0-1", "0-999"]
