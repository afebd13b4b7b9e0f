"""Ways: requests of one form to one address, again and again, by the shortest path there is.

Only a request that finds a kept connection and gets a whole, short answer is a trip all the way; as soon as anything
is not as nearly always, it becomes a `Flight`, and goes on as every other request.
"""

from time import perf_counter
from typing import Protocol

from dockbell.domain.outcomes import Exchange, FilledPairs
from dockbell.domain.posts import Done, FilledForm, HeaderForm, OnItsWay, Post
from dockbell.domain.tls import Tls
from dockbell.domain.values import maker
from dockbell.net.answers import Answer
from dockbell.net.connections import Connection
from dockbell.net.headers import form_plan, is_plain
from dockbell.net.kept import Use, use_of
from dockbell.net.urls import Target, target_of

_new_pairs = maker(FilledPairs)


class Carrier(Protocol):
    """What a way needs of the sender that it belongs to."""

    timeout: float

    def find_kept(self, target: Target, use: Use, now: float) -> Connection | None: ...

    def set_out(self, trip: "Trip", head: bytes) -> None: ...

    def drop_trip(self, trip: "Trip") -> None: ...

    def begin(self, post: Post, done: Done, tls: Tls | None = None) -> OnItsWay: ...


class Way:
    """What the requests of a form to an address have in common. Good for as long as its sender."""

    __slots__ = (
        "_form", "_gaps", "_harmless", "_head", "_secrets", "_shown", "_url", "sender", "target", "tls", "use",
    )  # fmt: skip

    def __init__(
        self, sender: Carrier, url: str, form: HeaderForm, tls: Tls | None, user_agent: str
    ) -> None:
        """Raise UnreachableError if nothing can be sent this way."""
        target = target_of(url)
        plan = form_plan(form, target.authorization, user_agent)
        self.sender = sender
        self.target = target
        self.tls = tls
        self.use = use_of(target, tls)
        self._url = url
        self._form = form
        self._head = f"{target.head.replace('%', '%%')}{plan.text}Content-Length: "
        self._shown = plan.shown
        self._secrets = target.secrets + plan.secrets
        self._gaps = plan.gaps  # whose values are secret
        self._harmless: Answer | None = None  # the last one that held none of the secrets

    def begin(self, values: tuple[str, ...], body: bytes, done: Done) -> OnItsWay:
        """As `Sender.begin`, with the values for the gaps of the form, in their order."""
        sender = self.sender
        if is_plain(values):
            now = perf_counter()
            connection = sender.find_kept(self.target, self.use, now)
            if connection is not None:
                trip = Trip(self, values, body, done, now, connection)
                head = f"{self._head % values}{len(body)}\r\n\r\n"
                sender.set_out(trip, head.encode())
                return trip
        return sender.begin(self.post(values, body), done, self.tls)

    def post(self, values: tuple[str, ...], body: bytes) -> Post:
        """The same request by itself."""
        return Post(self._url, body, FilledForm(self._form, values))

    def exchange(self, trip: "Trip", now: float) -> Exchange | None:
        """What went over the wire; None if the answer is no ordinary one, or repeats a secret that it was sent."""
        connection, values = trip.connection, trip.values
        answer = connection.answer
        head = answer.head
        if head is None or not answer.is_plain:
            return None
        if answer is not self._harmless:
            if answer.repeats(self._secrets):
                return None
            self._harmless = answer
        for gap in self._gaps:
            # Mostly there is no room for it.
            if answer.longest >= len(values[gap]) and answer.repeats([values[gap].encode()]):
                return None
        began = trip.began
        return Exchange(  # keywords take twice as long
            connection.address,
            head.status,
            _new_pairs((self._shown, values)),
            head.pairs,
            answer.body,
            False,  # noqa: FBT003 -- by position, as above
            {"first_byte": connection.first_byte_at - began, "total": now - began},
        )


class Trip:
    """One request on a way, from `Way.begin` until its `done` was called: once, and never from within `begin`."""

    __slots__ = ("began", "body", "connection", "done", "flight", "values", "way")

    def __init__(  # noqa: PLR0913, PLR0917 -- made only by Way, thousands of times a second
        self,
        way: Way,
        values: tuple[str, ...],
        body: bytes,
        done: Done,
        began: float,
        connection: Connection,
    ) -> None:
        self.way = way
        self.values = values
        self.body = body
        self.done = done
        self.began = began
        self.connection = connection
        self.flight: OnItsWay | None = None  # that it has become

    @property
    def deadline(self) -> float:
        return self.began + self.way.sender.timeout

    def cancel(self) -> None:
        if self.flight is not None:
            self.flight.cancel()
        else:
            self.way.sender.drop_trip(self)
