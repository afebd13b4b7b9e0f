"""What the targets of a soak answer: mostly well, sometimes late, wrong, cut off or not at all."""

import json
import random
from collections import Counter
from typing import Any

from tests.receiver import Answer, Received

# By the path that a notification posts to. Those that can be taken for a host that is down are on a port of their own.
STEADY = ("/steady", "/slow", "/picky")
TROUBLED = ("/failing", "/hanging", "/cutting")
_GOOD = Answer(status=200, body=b"ok")


class Moods:
    """Chooses each answer by the seed, the path, the tag of the news and how often it came."""

    def __init__(self, seed: int, trouble: float) -> None:
        self._seed = seed
        self._trouble = trouble
        self._seen: Counter[tuple[str, str]] = Counter()
        # Requests that may have got no byte of an answer, by `webhook-id`. On a connection that was used before, such a
        # request is made once more at once: the target may have closed it before it saw the request.
        self.silences: Counter[str | None] = Counter()
        self.are_good = False  # from then on everything is taken

    def choose(self, received: Received) -> Answer:
        tag = tag_of(received)
        self._seen[received.path, tag] += 1
        if self.are_good:
            return _GOOD
        turn = self._seen[received.path, tag]
        chance = random.Random(f"{self._seed} {received.path} {tag} {turn}")
        if received.path == "/slow":
            return Answer(status=200, body=b"ok", wait=chance.uniform(0.0, 0.8))
        if received.path == "/steady" or chance.random() > self._trouble:
            return _GOOD
        answer = chance.choice(_BAD[received.path])
        # A reset can overtake the bytes before it.
        if answer.drop == "reset" or (answer.drop == "close" and answer.cut is None):
            self.silences[received.header("webhook-id")] += 1
        return answer


_BAD = {
    "/picky": (Answer(status=404), Answer(status=429), Answer(status=302)),
    "/failing": (Answer(status=503), Answer(status=500), Answer(status=502, wait=0.2)),
    "/hanging": (Answer(drop="stall"), Answer(drop="stall", cut=9), Answer(wait=0.7)),
    "/cutting": (
        Answer(drop="close"),
        Answer(drop="reset"),
        Answer(drop="reset", cut=12, body=b"ok"),
        Answer(drop="close", cut=20, body=b"ok"),
    ),
}


def tag_of(received: Received) -> str:
    body: dict[str, Any] = json.loads(received.body)
    (tag,) = body["updated_tags"]
    return str(tag)
