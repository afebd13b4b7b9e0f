"""What one try came to, and the words for why (delivery engines' common vocabulary)."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from dockbell.domain.values import value


class Fault(StrEnum):
    """Whose fault a failure is. Only the target's counts against it."""

    TARGET = "target"
    OURS = "ours"
    PROXY = "proxy"
    CONFIG = "config"


class Code(StrEnum):
    """Machine-readable cause of an outcome."""

    OK = "ok"
    DNS_NXDOMAIN = "dns_nxdomain"
    DNS_TIMEOUT = "dns_timeout"
    DNS_FAILED = "dns_failed"
    BLOCKED_ADDRESS = "blocked_address"
    BLOCKED_PORT = "blocked_port"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_RESET = "connect_reset"
    CONNECT_FAILED = "connect_failed"
    TLS_VERIFY = "tls_verify"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_CLIENT_CERTIFICATE = "tls_client_certificate"
    PROXY_ERROR = "proxy_error"
    WRITE_TIMEOUT = "write_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    BODY_TOO_LARGE = "body_too_large"
    PROTOCOL_ERROR = "protocol_error"
    REDIRECT_NOT_FOLLOWED = "redirect_not_followed"
    HTTP_4XX = "http_4xx"
    HTTP_410 = "http_410"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    HTTP_OTHER = "http_other"
    TEMPLATE_ERROR = "template_error"
    CONFIG_INVALID = "config_invalid"
    METHOD_UNKNOWN = "method_unknown"
    EVENT_UNKNOWN = "event_unknown"
    INTERNAL_ERROR = "internal_error"
    OUT_OF_SOCKETS = "out_of_sockets"
    INTERRUPTED = "interrupted"
    SERVICE_DISCONTINUED = "service_discontinued"
    NO_RECIPIENT = "no_recipient"
    MAIL_NOT_SET = "mail_not_set"
    MAIL_UNCONFIRMED = "mail_unconfirmed"
    MAIL_NO_TLS = "mail_no_tls"
    MAIL_LOGIN_FAILED = "mail_login_failed"
    MAIL_UNAVAILABLE = "mail_unavailable"
    MAIL_DEFERRED = "mail_deferred"
    MAIL_RECIPIENT_REFUSED = "mail_recipient_refused"
    MAIL_REFUSED = "mail_refused"


Pairs = tuple[tuple[str, str], ...]


class SharedPairs(tuple[tuple[str, str], ...]):  # noqa: SLOT001 -- a tuple can have no other place
    """Headers that many answers share. What is found out about them is kept with them."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        del pairs
        self.longest = max((len(value) for _, value in self), default=0)  # of its values
        self.json: str | None = None  # once somebody has written it down


class FilledPairs(NamedTuple):
    """Headers of a form that many requests share, as JSON: `form % values` is the text of an array of pairs."""

    form: str
    values: tuple[str, ...]


@value()
class Exchange:
    """What went over the wire in one try. Times in seconds from the start of the try."""

    address: str | None = None
    status: int | None = None
    request_headers: Pairs | FilledPairs = ()
    response_headers: Pairs = ()
    response_body: bytes = b""
    response_truncated: bool = False
    phases: Mapping[str, float] = field(
        default_factory=dict
    )  # dns, connect, tls, first_byte, total


NOTHING_SENT = Exchange()


@value()
class Delivered:
    """The target took it."""

    exchange: Exchange = NOTHING_SENT
    detail: str = ""
    code: Code = Code.OK


@value()
class Rejected:
    """No further try can help: the delivery is dead at once. `gone` asks to pause the notification (410)."""

    code: Code
    detail: str
    exchange: Exchange = NOTHING_SENT
    fault: Fault = Fault.TARGET
    gone: bool = False


@value()
class Failed:
    """A later try may succeed. `retry_after` can only push the next try later."""

    code: Code
    detail: str
    exchange: Exchange = NOTHING_SENT
    fault: Fault = Fault.TARGET
    retry_after: timedelta | None = None


Outcome = Delivered | Rejected | Failed
