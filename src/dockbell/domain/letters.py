"""Mails as we write them: text and HTML side by side, in lines that every mail server takes."""

import html
import re
from datetime import datetime
from html.parser import HTMLParser

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.mailboxes import Sender

_LONGEST_SUBJECT = 240
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one address. The bodies are complete but for the frame."""

    to: str
    subject: str
    text: str
    html: str
    message_id: str  # the same for every try, so that a repeated mail is seen as the same one
    date: datetime
    unsubscribe: str | None = None  # a link that a mail program may POST to (RFC 8058)


def compose(letter: Letter, sender: Sender) -> bytes:
    """The mail as it goes over the wire, or ValueError for a part that could break out of its header."""
    # Every command loads this file, and few write mail.
    from email import policy  # noqa: PLC0415 -- see above
    from email.headerregistry import Address  # noqa: PLC0415 -- see above
    from email.message import EmailMessage  # noqa: PLC0415 -- see above

    # Seven bits, so that no server has to know 8BITMIME or SMTPUTF8.
    mail = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    mail["From"] = Address(display_name=sender.name, addr_spec=sender.address)
    mail["To"] = Address(addr_spec=letter.to)
    mail["Subject"] = one_line(letter.subject)
    mail["Date"] = letter.date
    mail["Message-ID"] = f"<{letter.message_id}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text)
    mail.add_alternative(letter.html, subtype="html")
    return _unsubscribe_head(letter.unsubscribe) + mail.as_bytes()


def _unsubscribe_head(link: str | None) -> bytes:
    """Written by hand, because the library would encode a long link as if it were words."""
    if link is None:
        return b""
    if not link.isascii() or not link.isprintable() or set(link) & set("<> "):
        raise ValueError(link)
    return (
        f"List-Unsubscribe: <{link}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    ).encode()


def one_line(text: str) -> str:
    """The text without line ends and control characters, and not too long for a subject."""
    line = _SPACES.sub(" ", "".join(sign if sign.isprintable() else " " for sign in text))
    line = line.strip()
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1]}…"


def page(title: str, body: str) -> str:
    """A whole HTML document of a title, which is escaped here, and a body, which is HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n"
        '<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">\n'
        f"{body}\n</body>\n</html>\n"
    )


class _Converter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._links: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(_SPACES.sub(" ", data))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links and (link := self._links.pop()):
            self.parts.append(f" ({link})")


def plain_text(markup: str) -> str:
    """A message in HTML as text: each link's address follows it, other tags vanish, entities are decoded."""
    converter = _Converter()
    converter.feed(markup)
    converter.close()
    lines = "".join(converter.parts).split("\n")
    return "\n".join(re.sub(r" {2,}", " ", line).strip() for line in lines).strip()
