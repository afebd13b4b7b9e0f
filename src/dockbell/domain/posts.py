"""Methods that make one POST: what to send and what an answer means are two plain functions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from dockbell.domain.deliveries import Order
from dockbell.domain.http_outcomes import outcome_of, outcome_of_silence
from dockbell.domain.methods import Config, Headers, Message, Outbound, Reply, UnreachableError
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Outcome


class HeaderForm:
    """Headers of many requests, in their order: the value of each, or None where it differs from one to the next."""

    __slots__ = ("headers",)

    def __init__(self, headers: Sequence[tuple[str, str | None]]) -> None:
        self.headers = tuple(headers)


class FilledForm(NamedTuple):
    """The headers of one request: a form with the values for its gaps, in their order."""

    form: HeaderForm
    values: tuple[str, ...]

    @property
    def headers(self) -> Headers:
        """The same, spelled out."""
        values = iter(self.values)
        return [
            (name, next(values) if value is None else value)
            for name, value in self.form.headers
        ]


class Post(NamedTuple):
    """One POST that is to be made."""

    url: str
    body: bytes
    headers: Headers | FilledForm = ()


# Called with the answer, or with why there is none. It must not raise.
Done = Callable[[Reply | Exception], None]


class OnItsWay(Protocol):
    """A request that was begun."""

    def cancel(self) -> None:
        """Break it off: its `done` will not be called."""
        ...


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


class Stencil(Protocol):
    """What the tries of a notification about one kind of event have in common: made once, for thousands of them.

    Byte for byte they are what the method's own `post` makes; their body is the event's.
    """

    @property
    def url(self) -> str: ...

    @property
    def form(self) -> HeaderForm: ...

    def values(self, order: Order, body: bytes, now: datetime) -> tuple[str, ...]:
        """What the gaps of the form hold in a try."""
        ...

    def judge(self, answer: Reply) -> Outcome | None:
        """What the answer means, if it is an ordinary one; otherwise None, and the method's own `judge` is asked."""
        ...


@runtime_checkable
class Stenciling(Posting, Protocol):
    """What such a method has besides, if it can prepare its tries."""

    def stencil(self, notification: Notification, kind: str) -> Stencil | None:
        """None if its tries have too little in common. Good for as long as the notification is not changed."""
        ...


async def send(method: Posting, message: Message, config: Config, out: Outbound) -> Outcome:
    """A whole try of such a method, as `Method.send` makes it."""
    post = method.post(message, config)
    if not isinstance(post, Post):
        return post
    try:
        headers = post.headers.headers if isinstance(post.headers, FilledForm) else post.headers
        answer: Reply | UnreachableError = await out.post(post.url, post.body, headers)
    except UnreachableError as error:
        answer = error
    return method.judge(message, answer)


def judge(message: Message, answer: Reply | UnreachableError) -> Outcome:
    """What an answer means for most methods: its status tells."""
    if isinstance(answer, UnreachableError):
        return outcome_of_silence(answer)
    return outcome_of(answer, message.now)
