"""Outages: when nothing goes out any more, it is our own network or name service, and no target's fault. Pure."""

from collections.abc import Callable
from dataclasses import field, replace
from ipaddress import ip_address

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome

# So many hosts that fail alike within this time, with nothing that goes well between, are not all down.
HOSTS = 3
SPAN_SECONDS = 60.0

_NO_NAME = frozenset({Code.DNS_TIMEOUT, Code.DNS_FAILED})
_NO_WAY = frozenset({Code.CONNECT_TIMEOUT, Code.CONNECT_FAILED})
# What is only seen once somebody at the other end has said something. A refused connection is an answer too.
_CONTACT = frozenset(
    {
        Code.OK,
        Code.CONNECT_REFUSED,
        Code.CONNECT_RESET,
        Code.TLS_VERIFY,
        Code.TLS_HANDSHAKE,
        Code.WRITE_TIMEOUT,
        Code.FIRST_BYTE_TIMEOUT,
        Code.PROTOCOL_ERROR,
        Code.REDIRECT_NOT_FOLLOWED,
        Code.HTTP_4XX,
        Code.HTTP_410,
        Code.HTTP_429,
        Code.HTTP_5XX,
        Code.HTTP_OTHER,
    }
)
_RESOLVED = _CONTACT | _NO_WAY | {Code.DNS_NXDOMAIN, Code.BLOCKED_ADDRESS}


@dataclass(slots=True)
class _Watch:
    """One way to be cut off. It is noticed by many hosts, and over with the first that is reached."""

    about: str
    signs: frozenset[Code]
    relief: frozenset[Code]
    names_only: bool = False  # a host that is an address says nothing of name servers
    failing: dict[str, float] = field(default_factory=dict)  # hosts, and when each failed last
    is_on: bool = False

    def note(self, host: str, code: Code, now: float) -> bool:
        """Whether it begins or ends with this."""
        was_on = self.is_on
        if code in self.signs:
            if not self.is_on:
                self.failing[host] = now
                fresh = {one: at for one, at in self.failing.items() if now - at < SPAN_SECONDS}
                self.failing = fresh
                self.is_on = len(fresh) >= HOSTS
        elif (self.failing or self.is_on) and code in self.relief and self._is_told_by(host):
            self.failing.clear()
            self.is_on = False
        return self.is_on != was_on

    def _is_told_by(self, host: str) -> bool:
        return not (self.names_only and _is_address(host))


class Outages:
    """Looks at every result of this process, in the order they end. `say` hears of each beginning and end."""

    def __init__(self, say: Callable[[str | None], None] = lambda _: None) -> None:
        self._say = say
        self.is_calm = True  # nothing is on, and nothing points to it
        self._watches = (
            _Watch("No name server answers.", _NO_NAME, _RESOLVED, names_only=True),
            _Watch("No host can be connected to.", _NO_WAY, _CONTACT),
        )

    def problem(self) -> str | None:
        """What is wrong with our own network, in a sentence, or None."""
        return next((watch.about for watch in self._watches if watch.is_on), None)

    def judge(self, host: str | None, outcome: Outcome, now: float) -> Outcome:
        """The outcome of a try that went to this host, with the fault where it belongs; `now` is in seconds."""
        if host is None:
            return outcome
        if self.is_calm and isinstance(outcome, Delivered):
            return outcome  # as nearly always
        for watch in self._watches:
            if watch.note(host, outcome.code, now):
                self._say(self.problem())
        self.is_calm = not any(watch.failing or watch.is_on for watch in self._watches)
        if not isinstance(outcome, Failed):
            return outcome
        for watch in self._watches:
            if watch.is_on and outcome.code in watch.signs:
                detail = f"{outcome.detail} It is the same for others, so this server's own network is at fault."
                return replace(outcome, detail=detail, fault=Fault.OURS)
        return outcome


def _is_address(host: str) -> bool:
    name = host.rpartition(":")[0] or host
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
