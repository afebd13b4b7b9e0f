"""The mail to an owner says what happened to which notification, whatever its title is."""

from datetime import UTC, datetime

from dockbell.domain.links import Links
from dockbell.domain.owner_mails import MOST_IN_ONE, Tidings, letter_of
from dockbell.domain.standings import Change

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
LINKS = Links("https://bell.example.org", "Red Hat Quay")


def tidings(title: str | None = "ci") -> Tidings:
    return Tidings(Change.PAUSED, title, "webhook", "repo_push", "acme/web", "It is so.", NOON)


def test_a_mail_about_one_notification_names_it_in_its_subject() -> None:
    letter = letter_of([tidings()], "ann@example.com", LINKS, "oml_1@bell", NOON)

    assert letter.subject == "[Red Hat Quay] Paused: ci (repo_push of acme/web)"
    assert letter.text == (
        "Paused: ci (repo_push of acme/web)\n2026-03-14 12:00 UTC: It is so.\n\n-- \n"
        "You get this mail because ann@example.com is the address of an account that owns these notifications on "
        "bell.example.org, or administers their repository. It comes when a notification is about to pause, pauses "
        "or has recovered.\n"
    )


def test_a_mail_about_very_many_names_the_first_and_counts_the_rest() -> None:
    many = [tidings(None)] * (MOST_IN_ONE + 7)

    letter = letter_of(many, "ann@example.com", LINKS, "oml_1@bell", NOON)

    assert letter.subject == "[Red Hat Quay] News of 57 notifications on bell.example.org"
    assert letter.text.count("Paused: webhook (repo_push of acme/web)") == MOST_IN_ONE
    assert "And 7 more: see the bell." in letter.text


def test_a_title_is_no_markup() -> None:
    letter = letter_of([tidings("<b>\r\nBcc: x")], "ann@example.com", LINKS, "m", NOON)

    assert "&lt;b&gt;" in letter.html
    assert "<b>\r\nBcc" not in letter.html
