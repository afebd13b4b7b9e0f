"""Mails as they go over the wire, and messages as text."""

import json
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from dockbell.domain.events import EventKind
from dockbell.domain.letters import Letter, compose, one_line, plain_text
from dockbell.domain.mailboxes import Sender
from tests.factories import KINDS, LINKS, NOON, sample_of

LETTER = Letter(
    to="ops@example.com",
    subject="S",
    text="t",
    html="<p>h</p>",
    message_id="dlv_1@dockbell.test",
    date=NOON,
)
BELL = Sender("bell@dockbell.test")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain", "plain"),
        ("<b>alice</b> pushed", "alice pushed"),
        (
            '<a href="https://a.test/?x=1&amp;y=2">v1</a>, next',
            "v1 (https://a.test/?x=1&y=2), next",
        ),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("one<br>two<br/>  three", "one\ntwo\nthree"),
        ("many\n  spaces   here", "many spaces here"),
        ('<a>no address</a> <img src="x">', "no address"),
        ("", ""),
    ],
)
def test_a_message_becomes_text(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_text_of_every_event_holds_no_markup(kind: EventKind) -> None:
    event = sample_of(kind)

    text = plain_text(kind.html(event, LINKS))

    assert text != ""
    assert [sign for sign in ("<", "&amp;", "  ", "\r") if sign in text] == []


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        ("  a\r\n b\x00\x1bc ", "a b c"),
        ("x" * 300, "x" * 239 + "…"),
        ("é 🔔", "é 🔔"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\r\n", ""),
    ],
)
def test_a_subject_is_one_line(subject: str, line: str) -> None:
    assert one_line(subject) == line


def test_a_long_unsubscribe_link_stays_in_one_piece() -> None:
    link = "https://a-rather-long-host-name.example.org/unsubscribe?id=aem_" + "x" * 80

    raw = compose(replace(LETTER, unsubscribe=link), BELL)

    assert f"List-Unsubscribe: <{link}>\r\n".encode() in raw


def test_lines_stay_within_what_mail_servers_take() -> None:
    long = replace(LETTER, subject="ü" * 240, text="é" * 5000, html="x" * 5000)

    raw = compose(long, Sender("bell@dockbell.test", "Glöckner, Herr"))

    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.isascii()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert (parsed["Subject"], parsed["From"]) == (
        "ü" * 240,
        '"Glöckner, Herr" <bell@dockbell.test>',
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_odd_data_is_no_markup_and_no_header_of_a_mail(kind: EventKind) -> None:
    """Whatever of an event holds text, holds this."""
    odd = "<img src=x onerror=alert(1)>\"'{{ x }}\r\nBcc: a@b.test\u202e🔔"
    event = sample_of(kind)
    event = replace(event, body=json.dumps(_filled(json.loads(event.body), odd)).encode())

    shown = kind.html(event, LINKS)
    letter = replace(
        LETTER,
        subject=one_line(kind.summary(event)),
        html=shown,
        text=plain_text(shown),
    )
    mail = message_from_bytes(compose(letter, BELL), policy=policy.default)

    assert "<img" not in shown
    assert mail["Bcc"] is None
    assert mail["To"] == LETTER.to


def _filled(value: object, text: str) -> object:
    if isinstance(value, dict):
        return {key: _filled(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, text) for one in value]
    return text if isinstance(value, str) else value
