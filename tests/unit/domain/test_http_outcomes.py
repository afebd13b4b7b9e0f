"""Which outcome an HTTP answer is, and what it says of waits and redirects."""

from datetime import timedelta

import pytest

from dockbell.domain.http_outcomes import outcome_of, outcome_of_silence, wait_of
from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Fault, Rejected
from tests.factories import NOON
from tests.fakes import reply_of


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    reply = reply_of(status)

    assert outcome_of(reply, NOON) == Delivered(
        exchange=reply.exchange, detail=f"The target answered {status}."
    )


def test_410_ends_it_for_good() -> None:
    reply = reply_of(410)

    assert outcome_of(reply, NOON) == Rejected(
        code=Code.HTTP_410,
        detail="The target answered 410. It is gone for good:"
        " delete the notification or give it a new address.",
        exchange=reply.exchange,
        gone=True,
    )


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (400, Code.HTTP_4XX, "It did not understand the request"),
        (401, Code.HTTP_4XX, "It asks for credentials"),
        (404, Code.HTTP_4XX, "There is nothing at this address"),
        (418, Code.HTTP_4XX, "Look into its own log"),
        (429, Code.HTTP_429, "It gets more requests than it wants"),
        (500, Code.HTTP_5XX, "Something is wrong on its side"),
        (503, Code.HTTP_5XX, "Something is wrong on its side"),
        (304, Code.REDIRECT_NOT_FOLLOWED, "It redirects, and redirects are not followed"),
        (101, Code.HTTP_OTHER, "That is no final answer"),
        (0, Code.HTTP_OTHER, "That is no final answer"),
        (600, Code.HTTP_OTHER, "That is no final answer"),
    ],
)
@pytest.mark.quirk("Q13")
def test_anything_else_may_be_tried_again(status: int, code: Code, advice: str) -> None:
    reply = reply_of(status)

    outcome = outcome_of(reply, NOON)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.fault, outcome.exchange, outcome.retry_after) == (
        code,
        Fault.TARGET,
        reply.exchange,
        None,
    )
    assert outcome.detail.startswith(f"The target answered {status}. {advice}")


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://new.example.com:8443/in?token=s3cret#x", " to new.example.com"),
        ("http://user:pw@new.example.com/", " to new.example.com"),
        ("//new.example.com/x", " to new.example.com"),
        ("/elsewhere?token=s3cret", ""),
        ("http://[::1/x", ""),
        ("http://<b>evil</b>/", ""),
        ("", ""),
    ],
)
def test_a_redirect_shows_where_to_but_no_secret(location: str, shown: str) -> None:
    outcome = outcome_of(reply_of(302, location=location), NOON)

    assert outcome.detail == (
        f"The target answered 302. It redirects{shown}, and redirects are not followed."
        " Put the final address into the notification."
    )


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(seconds=120)),
        (" 1 ", timedelta(seconds=1)),
        ("Sat, 14 Mar 2026 12:01:30 GMT", timedelta(seconds=90)),
        ("Sat, 14 Mar 2026 11:59:59 GMT", None),
        ("Sat, 31 Feb 2026 12:00:00 GMT", None),
        ("Sat, 14 Xyz 2026 12:00:00 GMT", None),
        ("2026-03-14T12:01:00Z", None),
        ("0", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("1000000000000", None),
        ("9999999999", None),
        ("2678400", timedelta(days=31)),
        ("2678401", None),
        ("soon", None),
        ("120, 60", None),
        ("", None),
        (None, None),
    ],
)
def test_a_wait_is_read_strictly(header: str | None, wait: timedelta | None) -> None:
    assert wait_of(header, NOON) == wait


@pytest.mark.parametrize(("status", "wait"), [(429, 7), (503, 7), (500, None), (404, None)])
def test_only_overloaded_targets_say_when(status: int, wait: int | None) -> None:
    outcome = outcome_of(reply_of(status, retry_after="7"), NOON)

    assert isinstance(outcome, Failed)
    assert outcome.retry_after == (None if wait is None else timedelta(seconds=wait))


def test_silence_keeps_cause_and_fault() -> None:
    exchange = Exchange(address="192.0.2.1")
    error = UnreachableError(
        Code.DNS_TIMEOUT, "No answer from the name server.", fault=Fault.OURS, exchange=exchange
    )

    assert outcome_of_silence(error) == Failed(
        code=Code.DNS_TIMEOUT,
        detail="No answer from the name server.",
        exchange=exchange,
        fault=Fault.OURS,
    )
