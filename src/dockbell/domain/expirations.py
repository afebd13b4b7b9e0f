"""When a tag expires: what an image says of itself, as Quay reads it."""

import re
from datetime import datetime, timedelta

LABEL = "quay.expires-after"
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Quay: shorter and longer spans count as these. Pinned by compat/test_tags.py.
_LEAST = timedelta(hours=1)
_MOST = timedelta(weeks=104)


def span_of(text: str | None) -> timedelta | None:
    """How long a tag lives by its image's label, such as `2w`; None if the label says nothing that can be read."""
    match = None if text is None else _SPAN.fullmatch(text.strip().lower())
    if match is None:
        return None
    try:
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        return _MOST
    return min(max(span, _LEAST), _MOST)


def end_of(text: str | None, now: datetime) -> datetime | None:
    """When a tag that is set now expires by its image's label; None for never."""
    span = span_of(text)
    return None if span is None else now + span
