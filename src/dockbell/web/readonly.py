"""The state in which nobody changes anything: which requests are refused, and with which words."""

import json
import re

import msgspec

from dockbell.domain.links import Links
from dockbell.web import problems
from dockbell.web.whole_answers import WholeAnswer

# Quay: its words, which programs look for. Pinned by compat/test_readonly.py.
WORDS = "System is currently read-only. Pulls will succeed but all write operations are currently suspended."
KIND = "readonly"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What changes nothing that belongs to anybody: signing in and out, and asking what would be sent.
_ALLOWED = re.compile(
    r"(/api/v1)?/(signin|signout)|/api/v1/signin/verify|/api/v2/notifications/([^/]+/)?preview"
)


def refusal(links: Links, verb: str, path: str) -> WholeAnswer | None:
    """The answer to a request that would change something, in the shape of the face that it came to; None for any other.

    The registry decides on its own.
    """
    if verb in _READING or _ALLOWED.fullmatch(path.rstrip("/")):
        return None
    if path == problems.PREFIX or path.startswith(f"{problems.PREFIX}/"):
        problem = problems.problem_of(links, 503, KIND, WORDS)
        return _answer(problems.MEDIA_TYPE, msgspec.json.encode(problem))
    if path.startswith("/api/"):
        # Quay: these two keys. Pinned by compat/test_readonly.py.
        body = {"message": WORDS, "is_readonly": True}
        return _answer("application/json", f"{json.dumps(body)}\n".encode())
    return _answer("text/plain; charset=utf-8", f"{WORDS}\n".encode())


def _answer(media_type: str, body: bytes) -> WholeAnswer:
    return WholeAnswer(503, f"content-type: {media_type}\r\n".encode(), body)
