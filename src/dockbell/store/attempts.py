"""Attempts: every try, what was sent and what came back. Rows are only ever added."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from dockbell.domain.deliveries import Result
from dockbell.domain.outcomes import (
    Delivered,
    Exchange,
    Failed,
    FilledPairs,
    Outcome,
    Pairs,
    Rejected,
    SharedPairs,
)
from dockbell.store.tables import to_micros
from dockbell.store.transactions import Tx

LATE = "late"
_MICROSECOND = timedelta(microseconds=1)


async def record_late(tx: Tx, number: int, result: Result, worker: str) -> None:
    """Write down a try under its number that came after its lease was taken away."""
    row = (result.order.delivery_id, number, *row_of(result, is_late=True), worker)
    await _add(tx, [row])


async def record_interrupted(
    tx: Tx, lost: Sequence[tuple[str, int, datetime, str | None]], outcome: Failed
) -> None:
    """Write down tries (delivery id, number, lease's end, worker) of which nothing was heard again."""
    if lost:
        rows = [
            (
                delivery_id, number, "failed", outcome.code.value, outcome.detail, outcome.fault.value,
                None, None, to_micros(ended_at), 0, "{}", "[]", "[]", None, worker,
            )
            for delivery_id, number, ended_at, worker in lost
        ]  # fmt: skip
        await _add(tx, rows)


async def _add(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    for statement, parameters in tx.dialect.add_attempts(rows):
        await tx.hot(statement, parameters)


def row_of(result: Result, *, is_late: bool = False) -> tuple[Any, ...]:
    """The attempt's row from its outcome to its body; before it belong delivery and number, after it the worker."""
    outcome = result.outcome
    exchange: Exchange = outcome.exchange
    return (
        LATE if is_late else _word(outcome),
        outcome.code._value_,
        _clean(outcome.detail),
        None if isinstance(outcome, Delivered) else outcome.fault._value_,
        exchange.status,
        exchange.address,
        _micros_of(result.started_at),
        result.duration // _MICROSECOND,
        _json(exchange.phases),
        _json_of(exchange.request_headers),
        _json_of(exchange.response_headers),
        exchange.response_body or None,
    )


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Delivered):
        return "delivered"
    return "rejected" if isinstance(outcome, Rejected) else "failed"


def _clean(text: str) -> str:
    """The text without what a database refuses: NUL and halves of characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


_micros_of = lru_cache(maxsize=64)(to_micros)  # tries that began together have one time
_encode = msgspec.json.Encoder().encode


def _json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # halves of characters in a header
        return _encode([[_clean(part) for part in pair] for pair in value]).decode()


def _json_of(headers: Pairs | FilledPairs) -> str:
    """The same of headers, in one step if that was done for others."""
    if isinstance(headers, FilledPairs):
        return headers.form % headers.values
    if isinstance(headers, SharedPairs):
        text = headers.json
        if text is None:
            text = headers.json = _json(headers)
        return text
    return _json(headers)
