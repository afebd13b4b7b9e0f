from datetime import timedelta

import pytest

from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.engine import breaker

WELL = Delivered()
NEITHER = (False, False)


@pytest.mark.parametrize(
    ("outcome", "is_down", "is_up"),
    [
        (WELL, False, True),
        (Failed(Code.HTTP_4XX, ""), False, True),
        (Rejected(Code.HTTP_410, "", gone=True), False, True),
        (Failed(Code.REDIRECT_NOT_FOLLOWED, ""), False, True),
        (Failed(Code.HTTP_429, ""), *NEITHER),
        (Failed(Code.HTTP_5XX, ""), True, False),
        (Failed(Code.CONNECT_REFUSED, ""), True, False),
        (Failed(Code.FIRST_BYTE_TIMEOUT, ""), True, False),
        (Failed(Code.TLS_VERIFY, ""), True, False),
        (Failed(Code.CONNECT_REFUSED, "", fault=Fault.OURS), *NEITHER),
        (Failed(Code.PROXY_ERROR, "", fault=Fault.PROXY), *NEITHER),
        (Failed(Code.BLOCKED_ADDRESS, ""), *NEITHER),
        (Rejected(Code.TEMPLATE_ERROR, "", fault=Fault.CONFIG), *NEITHER),
        (Failed(Code.INTERRUPTED, "", fault=Fault.OURS), *NEITHER),
    ],
)
def test_an_outcome_speaks_for_a_host_against_it_or_not_at_all(
    *, outcome: Outcome, is_down: bool, is_up: bool
) -> None:
    assert (breaker.is_down(outcome), breaker.is_up(outcome)) == (is_down, is_up)


@pytest.mark.parametrize(
    ("failed_trials", "chance", "seconds"),
    [(0, 0.0, 30), (1, 0.0, 60), (4, 0.0, 600), (99, 0.0, 600), (0, 1.0, 36)],
)
def test_waits_between_trials_grow_to_ten_minutes(
    failed_trials: int, chance: float, seconds: int
) -> None:
    assert breaker.wait_of(failed_trials, chance) == timedelta(seconds=seconds)
