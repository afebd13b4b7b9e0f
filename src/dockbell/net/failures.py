"""Why a request has no usable answer: one plain sentence each, with its code and whose fault it is."""

import errno
import ssl

from dockbell.domain.outcomes import Code, Fault
from dockbell.net.answers import MalformedError, OverLimitError, SwitchingError

Failure = tuple[Code, str, Fault]

# The ends of OpenSSL's words for what a target says of our certificate, or of there being none.
_OF_OUR_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)
# What the system says when it has no descriptor, or no memory for one, to give.
SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
OUT_OF_SOCKETS: Failure = (
    Code.OUT_OF_SOCKETS,
    "This server is out of sockets or memory.",
    Fault.OURS,
)
# OpenSSL's numbers for a certificate that is for somebody else.
_OTHER_NAMES = {62, 64}


def unconnected(host: str, port: int, error: OSError) -> Failure:
    """No connection could be opened."""
    if error.errno in SHORTAGES:
        return OUT_OF_SOCKETS
    refused = f"{host} refused the connection to port {port}."
    code, text = {
        errno.ECONNREFUSED: (Code.CONNECT_REFUSED, refused),
        errno.ETIMEDOUT: (Code.CONNECT_TIMEOUT, f"{host} did not take the connection in time."),
        errno.ECONNRESET: (Code.CONNECT_RESET, f"{host} reset the connection."),
    }.get(error.errno or 0, (Code.CONNECT_FAILED, f"There is no way to {host} port {port}."))
    return code, text, Fault.TARGET


def unconnected_in_time(host: str) -> Failure:
    return Code.CONNECT_TIMEOUT, f"{host} did not take the connection in time.", Fault.TARGET


def unusable(error: Exception) -> Failure:
    """What the notification wants in TLS cannot be set up."""
    text = f"The notification's certificates cannot be used: {error}."
    return Code.CONFIG_INVALID, text, Fault.CONFIG


def _unwelcome(host: str, error: Exception) -> Failure | None:
    """The target does not take us for whom it expects, if that is what it says."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if not reason.endswith(_OF_OUR_CERTIFICATE):
        return None
    said = reason.lower().replace("_", " ")
    text = f"{host} wants a client certificate that it knows: {said}."
    return Code.TLS_CLIENT_CERTIFICATE, text, Fault.CONFIG


def unsecured(host: str, error: Exception, *, has_own: bool = False) -> Failure:
    """There is a connection, but no TLS on it. `has_own` says that the notification names its authorities itself.

    Others may send there with other ones, so that nothing is wrong with the host then.
    """
    unwelcome = _unwelcome(host, error)
    if unwelcome is not None:
        return unwelcome
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        if error.verify_code in _OTHER_NAMES:
            reason = f"no subject name in it is {host}"
        text = f"The TLS certificate of {host} was not accepted: {reason}."
        return Code.TLS_VERIFY, text, Fault.CONFIG if has_own else Fault.TARGET
    if isinstance(error, TimeoutError):
        text = f"{host} did not finish the TLS handshake in time."
    elif isinstance(error, ssl.SSLError) and error.reason:
        text = f"No TLS session with {host}: {error.reason.lower().replace('_', ' ')}."
    else:
        text = f"No TLS session with {host}: it closed the connection."
    return Code.TLS_HANDSHAKE, text, Fault.TARGET


def late(host: str, timeout: float, *, is_sent: bool, has_begun: bool) -> Failure:
    """The connection is open, and the time is over."""
    limit = f"{timeout:g} s"
    if has_begun:
        code, text = Code.TOTAL_TIMEOUT, f"{host} did not finish its answer within {limit}."
    elif not is_sent:
        code, text = Code.WRITE_TIMEOUT, f"{host} did not read the request within {limit}."
    else:
        code, text = Code.FIRST_BYTE_TIMEOUT, f"{host} did not answer within {limit}."
    return code, text, Fault.TARGET


def unanswered(host: str, error: Exception, *, has_begun: bool) -> Failure:
    """The connection ended too early, or what came on it is no answer."""
    unwelcome = _unwelcome(host, error)
    if unwelcome is not None:
        return unwelcome
    code, text = Code.PROTOCOL_ERROR, f"{host} did not answer in HTTP: {error}."
    if isinstance(error, OverLimitError):
        text = f"The answer of {host} has too many headers."
    elif isinstance(error, SwitchingError):
        text = f"{host} wants to speak another protocol."
    elif not isinstance(error, MalformedError):
        code = Code.CONNECT_RESET
        if has_begun:
            text = f"{host} broke the connection in the middle of its answer."
        elif isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}:
            text = f"{host} reset the connection without an answer."
        else:
            text = f"{host} closed the connection without an answer."
    return code, text, Fault.TARGET
