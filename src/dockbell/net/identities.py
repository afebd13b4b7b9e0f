"""TLS as one notification wants it: its own authorities, and a certificate of ours that its target asks for."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from functools import lru_cache

from dockbell.domain.tls import Tls
from dockbell.net.connections import secured

_MOST_KEPT = 64  # with the public authorities in it, one takes a megabyte


@lru_cache(maxsize=_MOST_KEPT)
def context_of(tls: Tls, ca_file: str) -> ssl.SSLContext:
    """The client's side of TLS. `ca_file` holds the authorities of who names none.

    Raise ssl.SSLError or ValueError for what was not checked before it was saved, or is no longer taken.
    """
    context = secured(None if tls.ca else ca_file)
    if tls.ca:
        context.load_verify_locations(cadata=tls.ca)
    if tls.client_certificate:
        with _as_file(f"{tls.client_certificate}\n{tls.client_key}") as path:
            context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """The text by a name, since the library reads keys from files only: in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # for this user alone
        file.write(text.encode())
        file.flush()
        yield file.name
