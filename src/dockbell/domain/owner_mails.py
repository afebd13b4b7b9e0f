"""Mails to the owners of notifications: what has become of those that fail. Pure."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime

from dockbell.domain import letters
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.domain.standings import Change

MOST_IN_ONE = 50  # notifications that one mail names

_HEADLINES: Mapping[Change, str] = {
    Change.FAILING: "Failing",
    Change.PAUSED: "Paused",
    Change.RECOVERED: "Working again",
    Change.SET_ASIDE: "Set aside",
}


@dataclass(frozen=True, slots=True)
class Tidings:
    """What there is to tell of one notification."""

    change: Change
    title: str | None
    method: str
    kind: str  # the first of its events
    place: str  # the path of its repository or namespace, or INSTANCE
    sentence: str
    at: datetime

    @property
    def headline(self) -> str:
        name = self.method if self.title is None else self.title
        return f"{_HEADLINES[self.change]}: {name} ({self.kind} of {self.place})"


def letter_of(
    tidings: Sequence[Tidings], to: str, links: Links, message_id: str, now: datetime
) -> Letter:
    """One mail with all of it, the oldest first; of very many it names the first ones."""
    shown, rest = tidings[:MOST_IN_ONE], len(tidings) - MOST_IN_ONE
    subject = f"[{links.title}] {tidings[0].headline}"
    if len(tidings) > 1:
        subject = f"[{links.title}] News of {len(tidings)} notifications on {links.host}"
    more = [f"And {rest} more: see the bell."] if rest > 0 else []
    reason = (
        f"You get this mail because {to} is the address of an account that owns these notifications on {links.host}, "
        "or administers their repository. It comes when a notification is about to pause, pauses or has recovered."
    )
    paragraphs = [f"{one.headline}\n{_moment(one.at)}: {one.sentence}" for one in shown]
    text = "\n\n".join([*paragraphs, *more])
    body = "\n".join(
        [
            *(
                f"<p><b>{html.escape(one.headline)}</b><br>{_moment(one.at)}: {html.escape(one.sentence)}</p>"
                for one in shown
            ),
            *(f"<p>{one}</p>" for one in more),
            f'<hr>\n<p style="color: #666; font-size: smaller">{html.escape(reason)}</p>',
        ]
    )
    return Letter(
        to=to,
        subject=subject,
        text=f"{text}\n\n-- \n{reason}\n",
        html=letters.page(subject, body),
        message_id=message_id,
        date=now,
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
