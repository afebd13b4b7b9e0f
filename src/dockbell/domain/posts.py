"""Methods that make one POST: what to send and what an answer means are two plain functions."""

from typing import NamedTuple, Protocol, runtime_checkable

from dockbell.domain.http_outcomes import outcome_of, outcome_of_silence
from dockbell.domain.methods import Config, Headers, Message, Outbound, Reply, UnreachableError
from dockbell.domain.outcomes import Outcome


class Post(NamedTuple):
    """One POST that is to be made."""

    url: str
    body: bytes
    headers: Headers = ()


@runtime_checkable
class Posting(Protocol):
    """What a method has besides the rest of `Method`, if all that it does in a try is one POST.

    Then the engine needs no task for the try: at full speed that costs more than all the rest of it.
    """

    def post(self, message: Message, config: Config) -> Post | Outcome:
        """What to send; or the outcome, when there is nothing to be sent."""
        ...

    def judge(self, message: Message, answer: Reply | UnreachableError) -> Outcome:
        """What the answer, or that there is none, means for the delivery."""
        ...


async def send(method: Posting, message: Message, config: Config, out: Outbound) -> Outcome:
    """A whole try of such a method, as `Method.send` makes it."""
    post = method.post(message, config)
    if not isinstance(post, Post):
        return post
    try:
        answer: Reply | UnreachableError = await out.post(post.url, post.body, post.headers)
    except UnreachableError as error:
        answer = error
    return method.judge(message, answer)


def judge(message: Message, answer: Reply | UnreachableError) -> Outcome:
    """What an answer means for most methods: its status tells."""
    if isinstance(answer, UnreachableError):
        return outcome_of_silence(answer)
    return outcome_of(answer, message.now)
