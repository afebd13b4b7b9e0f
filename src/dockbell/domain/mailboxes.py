"""E-mail addresses: which ones mail can be sent to."""

import re

from dockbell.domain.late_dataclasses import dataclass

LONGEST = 254
_LONGEST_LOCAL = 64
# Dots between words of what RFC 5321 allows without quotes. Nothing here can end a line or an address.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SENDER = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_FEWEST_LABELS = 2


def problem(text: object) -> str | None:
    """Why mail cannot be sent to this address, in words that complete "The e-mail address …"; None if it can."""
    if not isinstance(text, str):
        return "must be a string"
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    rules = (
        (len(text) <= LONGEST, f"has more than {LONGEST} characters"),
        (local and domain, "must look like name@example.com"),
        (
            domain.isascii(),
            "has an international domain: write it in its ASCII form (xn--…)",
        ),
        (
            local.isascii(),
            "has characters before the @ that not every mail server takes; only ASCII is sent",
        ),
        (
            len(labels) >= _FEWEST_LABELS and all(map(_LABEL.fullmatch, labels)),
            "must end in the name of a domain, such as @example.com",
        ),
        (
            len(local) <= _LONGEST_LOCAL and _LOCAL.fullmatch(local),
            "has a part before the @ that cannot be sent",
        ),
    )
    return next((words for is_kept, words in rules if not is_kept), None)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mail comes from."""

    address: str
    name: str = ""

    @classmethod
    def of(cls, text: str) -> "Sender":
        """From `bell@example.org` or `dockbell <bell@example.org>`; raise ValueError for anything else."""
        match = _SENDER.fullmatch(text.strip())
        address = text.strip() if match is None else match["address"].strip()
        name = "" if match is None else match["name"].strip().strip('"').strip()
        if problem(address) is not None or not name.isprintable():
            raise ValueError(text)
        return cls(address, name)
