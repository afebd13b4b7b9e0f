"""Sizes as Quay says them, and what a quota allows."""

import pytest

from dockbell.domain.quotas import LimitKind, Quota, QuotaLimit, formatted, formatted_limit


@pytest.mark.parametrize(
    ("size", "said", "limit"),
    [
        (0, "0 bytes", "0.0 Byte"),
        (230, "230 bytes", "230.0 Byte"),
        (1023, "1023 bytes", "1023.0 Byte"),
        (1024, "1.00 KB", "1.0 KiB"),
        (858993459, "819.20 MB", "819.2 MiB"),
        (1073741824, "1.00 GB", "1.0 GiB"),
        (1127428915, "1.05 GB", "1.0 GiB"),
        (5 * 1024**4, "5.00 TB", "5.0 TiB"),
        (2 * 1024**6, "2048.00 PB", "2.0 EiB"),
    ],
)
def test_a_size_is_said_in_quays_two_ways(size: int, said: str, limit: str) -> None:
    assert (formatted(size), formatted_limit(size)) == (said, limit)


def test_pushes_are_refused_from_the_lowest_reject_on_and_never_without_one() -> None:
    warning = QuotaLimit(1, LimitKind.WARNING, 50)
    reject = QuotaLimit(2, LimitKind.REJECT, 80)

    assert Quota(1, "ns", 1000, [warning]).most is None
    assert Quota(1, "ns", 1000, [warning, reject]).most == 800
    assert [warning.is_reached(usage, 1000) for usage in (499, 500)] == [False, True]
