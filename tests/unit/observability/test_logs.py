"""Log lines: one shape for all, and no credentials in them."""

import asyncio
import errno
import io
import json
import logging
from datetime import datetime
from typing import NoReturn

import pytest
import structlog

from dockbell.observability import logs

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_is_one_object(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)

    structlog.get_logger("dockbell.access").info("request", path="/a\nb", status=200)

    (line,) = lines_of(stream)
    assert datetime.fromisoformat(str(line.pop("timestamp"))).tzinfo is not None
    assert line == {
        "logger": "dockbell.access",
        "level": "info",
        "message": "request",
        "path": "/a\nb",
        "status": 200,
    }


def test_a_library_speaks_in_the_same_shape(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)

    logging.getLogger("a.library").warning("It is late.")
    logging.getLogger("a.library").info("It is noon.")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    (line,) = lines_of(stream)
    del line["timestamp"]
    assert line == {
        "logger": "a.library",
        "level": "warning",
        "message": "It is late.",
    }


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_less_important_lines_are_left_out(
    level: str, expected: list[str], stream: io.StringIO
) -> None:
    logs.configure(style="json", level=level, stream=stream)
    log = structlog.get_logger("dockbell")

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("said")

    assert [line["level"] for line in lines_of(stream)] == expected


def test_credentials_are_masked_however_deep(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)

    structlog.get_logger("dockbell").info(
        "saved",
        Authorization="Bearer hush",
        access_token="hush",
        config={"api-key": "hush", "url": "https://a", "list": [{"client_secret": "hush"}]},
        token=None,
        has_password=True,
    )

    (line,) = lines_of(stream)
    assert "hush" not in stream.getvalue()
    assert {key: line[key] for key in ("Authorization", "access_token", "config")} == {
        "Authorization": logs.MASK,
        "access_token": logs.MASK,
        "config": {
            "api-key": logs.MASK,
            "url": "https://a",
            "list": [{"client_secret": logs.MASK}],
        },
    }
    assert (line["token"], line["has_password"]) == (None, True)


def test_a_bug_is_logged_with_its_traceback_in_one_line(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)

    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger("dockbell").exception("failed")

    (line,) = lines_of(stream)
    assert str(line["exception"]).splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_console_line_is_for_people_and_has_no_colour_in_a_file(stream: io.StringIO) -> None:
    logs.configure(style="console", level="info", stream=stream)

    structlog.get_logger("dockbell").info("ready", address="http://a")

    text = stream.getvalue()
    assert text.split()[1:] == ["[info", "]", "ready", "[dockbell]", "address=http://a"]
    assert "\x1b" not in text


NASTY = (
    "\n2026 [info] forged\r\x1b[31mred\x00\x07\x7f\x9b31m\u2028\u2029\u202e\u2066\ufeff\ud800"
)


BLANKLESS = NASTY.replace(" ", "_").replace("\n", "").replace("\r", "")


def test_a_value_without_blanks_cannot_colour_a_console_line(stream: io.StringIO) -> None:
    logs.configure(style="console", level="info", stream=stream)

    structlog.get_logger("dockbell").info("request", path=BLANKLESS)

    assert stream.getvalue().partition("path=")[2] == (
        "2026_[info]_forged\\x1b[31mred\\x00\\x07\\x7f\\x9b31m"
        "\\u2028\\u2029\\u202e\\u2066\\ufeff\\ud800\n"
    )


@pytest.mark.parametrize("place", ["value", "inside", "event", "library", "key"])
def test_what_others_wrote_cannot_forge_or_colour_a_console_line(
    place: str, stream: io.StringIO
) -> None:
    logs.configure(style="console", level="info", stream=stream)
    log = structlog.get_logger("dockbell")

    match place:
        case "value":
            log.info("request", path=NASTY)
        case "inside":
            log.info("request", found={"path": [NASTY]})
        case "event":
            log.info(NASTY)
        case "key":
            log.info("request", **{NASTY: 1})
        case _:
            logging.getLogger("a.library").warning("It said %s", NASTY)

    (line,) = stream.getvalue().splitlines()
    assert [one for one in line if not one.isprintable()] == []
    assert (
        "\\n2026 [info] forged\\r\\x1b[31mred\\x00\\x07\\x7f\\x9b31m\\u2028\\u2029\\u202e"
        in line
    )


def test_a_request_that_was_ended_with_the_server_is_no_bug(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)
    log = logging.getLogger("uvicorn.error")

    for error in (asyncio.CancelledError("grace exceeded"), ValueError("a bug")):
        log.error("Exception in ASGI application", exc_info=error)

    assert [str(line["exception"]).splitlines()[-1] for line in lines_of(stream)] == [
        "ValueError: a bug"
    ]


def test_a_traceback_cannot_be_taken_for_log_lines(stream: io.StringIO) -> None:
    logs.configure(style="console", level="info", stream=stream)

    try:
        _fail(NASTY)
    except ValueError:
        structlog.get_logger("dockbell").exception("failed")
        logging.getLogger("a.library").exception("failed")

    lines = stream.getvalue().rstrip("\n").split("\n")
    assert [one for one in stream.getvalue() if not one.isprintable() and one != "\n"] == []
    assert [line.split()[1] for line in lines if not line.startswith("    ")] == ["[error"] * 2
    forged = [line[:28] for line in lines if "forged" in line]
    assert forged == [r"    2026 [info] forged\r\x1b"] * 2


def _fail(text: str) -> NoReturn:
    raise ValueError(text)


def test_a_json_line_stays_one_line_whatever_others_wrote(stream: io.StringIO) -> None:
    logs.configure(style="json", level="info", stream=stream)

    structlog.get_logger("dockbell").info("request", path=NASTY)

    assert stream.getvalue().count("\n") == 1
    assert [one for one in stream.getvalue() if not one.isprintable() and one != "\n"] == []
    assert json.loads(stream.getvalue())["path"] == NASTY


class FullDisk(io.StringIO):
    """A stream on a disk that is full for so many lines."""

    full_for = 2

    def flush(self) -> None:
        if self.full_for:
            self.full_for -= 1
            self.truncate(0)
            self.seek(0)
            raise OSError(errno.ENOSPC, "No space left on device")


def test_lines_that_cannot_be_written_stop_nothing_and_are_counted() -> None:
    stream = FullDisk()
    logs.configure(style="json", level="info", stream=stream)
    log = structlog.get_logger("dockbell.access")

    for number in range(3):
        log.info("request", number=number)
    log.info("one more")

    assert [(line["message"], line.get("lines")) for line in lines_of(stream)] == [
        ("request", None),
        ("log lines were lost", 2),
        ("one more", None),
    ]
