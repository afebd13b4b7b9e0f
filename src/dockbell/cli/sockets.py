"""The listening socket of the server, opened before anything else so that a taken port is said at once."""

import errno
import socket

from dockbell.domain.errors import SetupError

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raise SetupError in plain words when that cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SetupError(
            f"The host `{host}` is not known. Use an address of this machine, such as 127.0.0.1 or 0.0.0.0."
        ) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SetupError(_explain(host, port, error)) from error
    listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return listener


def _explain(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} of {host} is in use by another program. "
                "Stop that one, or choose another port with --port."
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"This user may not listen on port {port}. "
                "Choose one above 1023 with --port, and put a proxy before it."
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{host} is not an address of this machine. "
                "Choose one with --host, such as 127.0.0.1 or 0.0.0.0."
            )
        case _:
            return f"Cannot listen on port {port} of {host}: {error.strerror}."
