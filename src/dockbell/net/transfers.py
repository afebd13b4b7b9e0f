"""One libcurl handle, used for one request after the other, and the guard at its socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import pycurl

from dockbell.domain.methods import Reply, UnreachableError
from dockbell.domain.outcomes import Exchange
from dockbell.net import failures, headers
from dockbell.net.addresses import Address, parse
from dockbell.net.failures import Facts, Failure
from dockbell.net.headers import Outgoing
from dockbell.net.policy import EgressPolicy, Refusal
from dockbell.net.urls import Target

Peer = tuple[str, int]
# Makes the socket of a connection that was allowed. A test puts one here that records and returns None: nothing is sent.
OpenSocket = Callable[[int, int, int, Peer], socket.socket | None]

KEPT_BODY = 16 * 1024
MOST_HEADERS = 128
LONGEST_HEAD = 32 * 1024
_FIRST_FINAL_STATUS = 200
_MOST_SENDS = 2
_MICROSECONDS = 1_000_000
_IDLE_SECONDS = 60  # shorter than the patience of common servers
_LONGEST_LIFE_SECONDS = 600  # then a kept connection asks the name servers anew


def open_socket(family: int, kind: int, protocol: int, peer: Peer) -> socket.socket | None:
    del peer
    return socket.socket(family, kind, protocol)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every request of a sender."""

    timeout: float
    connect_timeout: float
    ca_file: str
    user_agent: str


@dataclass(slots=True)
class Work:
    """One request and the one who waits for it."""

    target: Target
    addresses: tuple[Address, ...]
    outgoing: Outgoing
    dns_seconds: float | None  # None if no name had to be looked up
    seconds_left: float
    future: asyncio.Future[Reply]


@dataclass(slots=True, eq=False)
class Transfer:
    """A handle and what the request on it has come to."""

    policy: EgressPolicy
    open_socket: OpenSocket
    limits: Limits
    curl: pycurl.Curl = field(default_factory=pycurl.Curl)
    work: Work | None = None
    refusal: Refusal | None = None
    trouble: OSError | None = None
    _has_opened: bool = False
    _sends: int = 0
    _head: list[bytes] = field(default_factory=list)
    _head_lines: int = 0
    _head_bytes: int = 0
    _is_head_over_limit: bool = False
    _body: bytes = b""
    _is_body_cut: bool = False
    _seconds: float = 0.0
    _is_pinned: bool = False

    def __post_init__(self) -> None:
        curl = self.curl
        curl.transfer = self
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.POST, 1),
            (pycurl.USERAGENT, self.limits.user_agent),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.REDIR_PROTOCOLS, 0),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PATH_AS_IS, 1),
            # Proxies and credentials come from our own settings or not at all, never from the environment.
            (pycurl.PROXY, ""),
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, 0),
            # Bodies stay as they came: nothing small can unfold into something large.
            (pycurl.ACCEPT_ENCODING, "identity"),
            (pycurl.HTTP_CONTENT_DECODING, 0),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, self.limits.ca_file),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.MAXAGE_CONN, _IDLE_SECONDS),
            (pycurl.MAXLIFETIME_CONN, _LONGEST_LIFE_SECONDS),
            (pycurl.CONNECTTIMEOUT_MS, int(self.limits.connect_timeout * 1000)),
            (pycurl.HEADERFUNCTION, self._on_head),
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.OPENSOCKETFUNCTION, self._on_open),
            (pycurl.RESOLVER_START_FUNCTION, self._on_resolve),
            (pycurl.PREREQFUNCTION, self._on_send),
        ):
            curl.setopt(option, value)

    def prepare(self, work: Work, body: bytes, pins: list[str]) -> None:
        """Set what differs between two requests. `pins` are libcurl's RESOLVE lines, if it needs any."""
        curl = self.curl
        self.work = work
        curl.setopt(pycurl.URL, work.target.url)
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.HTTPHEADER, work.outgoing.lines)
        if work.seconds_left != self._seconds:
            self._seconds = work.seconds_left
            curl.setopt(pycurl.TIMEOUT_MS, max(1, int(self._seconds * 1000)))
        if pins or self._is_pinned:
            self._is_pinned = bool(pins)
            curl.setopt(pycurl.RESOLVE, pins)

    def clear(self) -> None:
        """Forget the request."""
        self.work = None
        self.refusal = None
        self.trouble = None
        self._has_opened = False
        self._sends = 0
        self._head.clear()
        self._head_lines = 0
        self._head_bytes = 0
        self._is_head_over_limit = False
        self._body = b""
        self._is_body_cut = False

    def result(self, work: Work, error: int, message: str) -> Reply | UnreachableError:
        """What the finished request came to; `error` is libcurl's code, 0 if it has no complaint.

        The status wins over what goes wrong with the body for lack of room or time: the target has answered.
        """
        secrets = work.outgoing.secrets
        pairs, is_complete = headers.read(self._head, secrets)
        status = int(self.curl.getinfo(pycurl.RESPONSE_CODE))
        is_answered = is_complete and status >= _FIRST_FINAL_STATUS
        is_out_of_time = error == pycurl.E_OPERATION_TIMEDOUT and is_answered
        exchange = Exchange(
            address=self.curl.getinfo(pycurl.PRIMARY_IP) or None,
            status=status if status >= _FIRST_FINAL_STATUS else None,
            request_headers=work.outgoing.shown,
            response_headers=pairs,
            response_body=headers.mask(self._body, secrets) if self._body else b"",
            response_truncated=self._is_body_cut or is_out_of_time,
            phases=self._phases(work.dns_seconds),
        )
        if is_answered and (error == 0 or is_out_of_time or self._is_body_cut):
            return Reply(exchange, _find(pairs, "retry-after"))
        if self.refusal is not None:
            return UnreachableError(self.refusal.code, self.refusal.detail, exchange=exchange)
        code, detail, fault = self._explain(error, message, status, work.target)
        return UnreachableError(code, detail, fault=fault, exchange=exchange)

    def _explain(self, error: int, message: str, status: int, target: Target) -> Failure:
        getinfo = self.curl.getinfo
        os_error = int(getinfo(pycurl.OS_ERRNO))
        if self.trouble is not None and self.trouble.errno is not None:
            os_error = self.trouble.errno
        is_reused = not self._has_opened
        is_given_up = self._sends > _MOST_SENDS
        if is_given_up:
            error = pycurl.E_GOT_NOTHING  # that is why libcurl wanted to make it once more
        return failures.explain(
            Facts(
                error=error,
                message=message,
                status=status,
                os_error=os_error,
                target=target,
                timeout=self.limits.timeout,
                is_connected=is_reused or getinfo(pycurl.CONNECT_TIME_T) > 0,
                is_secured=target.scheme == "http"
                or is_reused
                or getinfo(pycurl.APPCONNECT_TIME_T) > 0,
                is_sent=getinfo(pycurl.POSTTRANSFER_TIME_T) > 0,
                has_begun=not is_given_up and getinfo(pycurl.STARTTRANSFER_TIME_T) > 0,
                is_over_limit=self._is_head_over_limit,
            )
        )

    def _phases(self, dns_seconds: float | None) -> dict[str, float]:
        """Seconds from the start of the try until each phase was over; a phase that did not happen is not there."""
        getinfo = self.curl.getinfo
        start = dns_seconds or 0.0
        phases = {} if dns_seconds is None else {"dns": dns_seconds}
        for name, option in _PHASES:
            microseconds = getinfo(option)
            if microseconds > 0:
                phases[name] = start + microseconds / _MICROSECONDS
        return phases

    def _on_head(self, line: bytes) -> int | None:
        """Keep the lines of the last head: interim answers are dropped, but count against the limits."""
        self._head_lines += 1
        self._head_bytes += len(line)
        if self._head_bytes > LONGEST_HEAD or self._head_lines > MOST_HEADERS:
            self._is_head_over_limit = True
            return 0
        if line.startswith(b"HTTP/"):
            self._head.clear()
        self._head.append(line)
        return None

    def _on_body(self, data: bytes) -> int | None:
        room = KEPT_BODY - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self._is_body_cut = True
            return 0  # ends the request and its connection: the rest is not even read
        return None

    def _on_open(self, purpose: int, peer: tuple[int, int, int, tuple[object, ...]]) -> object:
        """Judge the very address that libcurl is about to connect to: the last moment at which that can be done."""
        del purpose
        self._has_opened = True
        family, kind, protocol, location = peer
        work = self.work
        if work is None or family not in {socket.AF_INET, socket.AF_INET6}:
            return pycurl.SOCKET_BAD
        address = parse(str(location[0]))
        if address is None:
            return pycurl.SOCKET_BAD
        target = work.target
        self.refusal = self.policy.refusal(target.host, target.port, address)
        if self.refusal is not None:
            return pycurl.SOCKET_BAD
        made = None
        try:
            made = self.open_socket(family, kind, protocol, (str(address), target.port))
            if made is not None:
                # pycurl duplicates the descriptor, and if there is none left it does not say so: it would look as if
                # there were no way to the target.
                made.dup().close()
        except OSError as error:
            self.trouble = error
            if made is not None:
                made.close()
            return pycurl.SOCKET_BAD
        return pycurl.SOCKET_BAD if made is None else made

    def _on_send(self, *connection: object) -> int:
        """Let a request that a kept connection did not answer be made once more, as that one may have been closed before.

        libcurl would go through all kept connections, and the target may have read the request on each.
        """
        del connection
        self._sends += 1
        answer: int = pycurl.PREREQFUNC_OK
        if self._sends > _MOST_SENDS:
            answer = pycurl.PREREQFUNC_ABORT
        return answer

    def _on_resolve(self) -> int:
        """Libcurl looks up no name of its own: names are pinned, and only an address needs no lookup."""
        return 0 if self.work is not None and self.work.target.address is not None else 1

    def close(self) -> None:
        del self.curl.transfer
        with contextlib.suppress(pycurl.error):
            self.curl.close()


_PHASES = (
    ("connect", pycurl.CONNECT_TIME_T),
    ("tls", pycurl.APPCONNECT_TIME_T),
    ("first_byte", pycurl.STARTTRANSFER_TIME_T),
    ("total", pycurl.TOTAL_TIME_T),
)


def _find(pairs: headers.Pairs, name: str) -> str | None:
    for key, value in pairs:
        if key.lower() == name:
            return value
    return None
