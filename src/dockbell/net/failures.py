"""Why a request has no usable answer: libcurl's codes in our words, one plain sentence each."""

import errno
from dataclasses import dataclass

import pycurl

from dockbell.domain.outcomes import Code, Fault
from dockbell.net.urls import Target


@dataclass(frozen=True, slots=True)
class Facts:
    """How far a failed request came."""

    error: int  # a CURLE_ code; 0 for an answer that libcurl took for complete and we do not
    message: str
    status: int  # of the last answer, an interim one included
    os_error: int
    target: Target
    timeout: float
    is_connected: bool
    is_secured: bool  # TLS is up, or not asked for
    is_sent: bool  # all of the body was handed to the system
    has_begun: bool  # a byte of the answer came
    is_over_limit: bool  # we ended it because its head was too large


# pycurl has no names for these two.
_WEIRD_SERVER_REPLY = 8
_TOO_LARGE = 100
_SWITCHING = 101  # a status, "switching protocols"

Failure = tuple[Code, str, Fault]

_VERIFY = {
    pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_ISSUER_ERROR,
    pycurl.E_SSL_INVALIDCERTSTATUS,
}
_HANDSHAKE = {
    pycurl.E_SSL_CONNECT_ERROR,
    pycurl.E_SSL_CIPHER,
    pycurl.E_SSL_CERTPROBLEM,
    pycurl.E_USE_SSL_FAILED,
}
_PROTOCOL = {
    pycurl.E_UNSUPPORTED_PROTOCOL,  # HTTP/0.9
    _WEIRD_SERVER_REPLY,
    pycurl.E_BAD_CONTENT_ENCODING,
    _TOO_LARGE,
    pycurl.E_HTTP2,
}
_LOST = {
    pycurl.E_OK,
    pycurl.E_GOT_NOTHING,
    pycurl.E_SEND_ERROR,
    pycurl.E_RECV_ERROR,
    pycurl.E_PARTIAL_FILE,
    pycurl.E_SEND_FAIL_REWIND,
}
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


def explain(facts: Facts) -> Failure:
    """The machine-readable cause, a sentence for the user, and whose fault it is."""
    host = facts.target.host
    reason = facts.message.removeprefix("SSL certificate problem: ").rstrip(".")
    fault = Fault.TARGET
    if facts.is_over_limit:
        code, text = Code.PROTOCOL_ERROR, f"The answer of {host} has too many headers."
    elif facts.error == pycurl.E_COULDNT_CONNECT:
        code, text, fault = _unconnected(facts)
    elif facts.error == pycurl.E_OPERATION_TIMEDOUT:
        code, text = _late(facts)
    elif facts.error in _VERIFY:
        code, text = (
            Code.TLS_VERIFY,
            f"The TLS certificate of {host} was not accepted: {reason}.",
        )
    elif facts.error in _HANDSHAKE or (not facts.is_secured and facts.error in _LOST):
        code, text = Code.TLS_HANDSHAKE, f"No TLS session with {host}: {reason}."
    elif facts.status == _SWITCHING:
        code, text = Code.PROTOCOL_ERROR, f"{host} wants to speak another protocol."
    elif facts.error in _PROTOCOL or _is_malformed(facts):
        code, text = Code.PROTOCOL_ERROR, f"{host} did not answer in HTTP: {reason}."
    elif facts.error in _LOST:
        code, text = Code.CONNECT_RESET, _lost(facts)
    else:
        code, fault = Code.INTERNAL_ERROR, Fault.OURS
        text = f"The request could not be made (libcurl error {facts.error})."
    return code, text, fault


def _is_malformed(facts: Facts) -> bool:
    """Libcurl has one code for a lost connection and for chunks that are none; only the first has a system error."""
    message = facts.message.lower()
    return facts.error == pycurl.E_RECV_ERROR and ("chunk" in message or "header" in message)


def _unconnected(facts: Facts) -> Failure:
    host, port = facts.target.host, facts.target.port
    if facts.os_error in _OURS:
        return Code.INTERNAL_ERROR, "This server is out of sockets or memory.", Fault.OURS
    code, text = {
        errno.ECONNREFUSED: (
            Code.CONNECT_REFUSED,
            f"{host} refused the connection to port {port}.",
        ),
        errno.ETIMEDOUT: (Code.CONNECT_TIMEOUT, f"{host} did not take the connection in time."),
        errno.ECONNRESET: (Code.CONNECT_RESET, f"{host} reset the connection."),
    }.get(facts.os_error, (Code.CONNECT_FAILED, f"There is no way to {host} port {port}."))
    return code, text, Fault.TARGET


def _late(facts: Facts) -> tuple[Code, str]:
    host, limit = facts.target.host, f"{facts.timeout:g} s"
    if not facts.is_connected:
        return Code.CONNECT_TIMEOUT, f"{host} did not take the connection in time."
    if not facts.is_secured:
        return Code.TLS_HANDSHAKE, f"{host} did not finish the TLS handshake in time."
    if facts.has_begun:
        return Code.TOTAL_TIMEOUT, f"{host} did not finish its answer within {limit}."
    if not facts.is_sent:
        return Code.WRITE_TIMEOUT, f"{host} did not read the request within {limit}."
    return Code.FIRST_BYTE_TIMEOUT, f"{host} did not answer within {limit}."


def _lost(facts: Facts) -> str:
    host = facts.target.host
    if facts.has_begun:
        return f"{host} broke the connection in the middle of its answer."
    if facts.os_error in {errno.ECONNRESET, errno.EPIPE}:
        return f"{host} reset the connection without an answer."
    return f"{host} closed the connection without an answer."
