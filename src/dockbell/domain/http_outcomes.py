"""Judges a complete HTTP answer: which outcome it is, and one plain sentence of advice."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from dockbell.domain.methods import Reply, UnreachableError
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Outcome, Rejected

LONGEST_WAIT = timedelta(days=31)  # a target that asks for more is not believed

_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT",
    re.ASCII,
)
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}", re.ASCII)

_GONE = 410
_TOO_MANY = 429
_UNAVAILABLE = 503

_ADVICE = {
    400: "It did not understand the request: check whether it expects another body, and use a template if so.",
    401: "It asks for credentials: check the address, which may hold an old token.",
    403: "It refuses us: check its access rules and the address, which may hold an old token.",
    404: "There is nothing at this address: check the path.",
    405: "It takes no POST at this address: check the path.",
    408: "It waited too long for the request.",
    413: "The body is too large for it: use a template that sends less.",
    415: "It does not take JSON at this address.",
    429: "It gets more requests than it wants.",
}


def outcome_of(reply: Reply, now: datetime) -> Outcome:
    """What the answer means for the delivery: 2xx delivered, 410 rejected for good, all else may be tried again."""
    exchange = reply.exchange
    status = exchange.status or 0
    if 200 <= status < 300:  # noqa: PLR2004 -- the numbers of the standard
        return taken(exchange, status)
    said = _said(status)
    if status == _GONE:
        return Rejected(
            code=Code.HTTP_410,
            detail=f"{said} It is gone for good: delete the notification or give it a new address.",
            exchange=reply.exchange,
            gone=True,
        )
    code, advice = _reason(reply.exchange, status)
    says_when = status in {_TOO_MANY, _UNAVAILABLE}
    return Failed(
        code=code,
        detail=f"{said} {advice}",
        exchange=reply.exchange,
        retry_after=wait_of(reply.retry_after, now) if says_when else None,
    )


def taken(exchange: Exchange, status: int) -> Delivered:
    """What an answer with this status, 2xx, means."""
    return Delivered(exchange, _said(status))


@lru_cache(maxsize=1024)
def _said(status: int) -> str:
    return f"The target answered {status}."


def outcome_of_silence(error: UnreachableError) -> Outcome:
    """What it means that there is no usable answer: a later try may get one."""
    return Failed(
        code=error.code, detail=error.detail, exchange=error.exchange, fault=error.fault
    )


def _reason(exchange: Exchange, status: int) -> tuple[Code, str]:
    match status // 100:
        case 3:
            advice = f"{_redirect(exchange)} Put the final address into the notification."
            return Code.REDIRECT_NOT_FOLLOWED, advice
        case 4:
            advice = _ADVICE.get(status, "Look into its own log for the reason.")
            return Code.HTTP_429 if status == _TOO_MANY else Code.HTTP_4XX, advice
        case 5:
            return Code.HTTP_5XX, "Something is wrong on its side: look into its own log."
        case _:
            return Code.HTTP_OTHER, "That is no final answer: check what listens there."


def _redirect(exchange: Exchange) -> str:
    """The host that the answer points to. Path and query can hold secrets and are not shown."""
    locations = [
        value for name, value in exchange.response_headers if name.lower() == "location"
    ]
    try:
        host = urlsplit(locations[0]).hostname if locations else None
    except ValueError:
        host = None
    if host is None or _HOST.fullmatch(host) is None:
        return "It redirects, and redirects are not followed."
    return f"It redirects to {host}, and redirects are not followed."


def wait_of(retry_after: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, or None if it makes no sense or lies in the past."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if _SECONDS.fullmatch(text):
        wait = timedelta(seconds=int(text))
    else:
        date = _date_of(text)
        if date is None:
            return None
        wait = date - now
    return wait if timedelta() < wait <= LONGEST_WAIT else None


def _date_of(text: str) -> datetime | None:
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, _, year, hour, minute, second = found.groups()
    month = _MONTHS.index(found[2]) + 1
    try:
        return datetime(
            int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
