"""Errors in the shape of the distribution standard."""

import errno
from collections.abc import Mapping, Sequence

from dockbell.domain import manifests
from dockbell.domain.digests import DigestError
from dockbell.domain.errors import (
    ConflictError,
    DataError,
    DockbellError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.registry.ranges import UnsatisfiableError
from dockbell.registry.requests import (
    QueryError,
    Reply,
    StalledError,
    TooLargeError,
    json_reply,
)
from dockbell.registry.upload_files import BusyError
from dockbell.services.authentication import TooManySignInsError
from dockbell.services.mirrors import MirroredError
from dockbell.web.outages import RETRY_AFTER

# Quay's literal text. Pinned by compat/test_oci_tokens.py.
NOT_AUTHORIZED = "access to the requested resource is not authorized"
_SHOWN = 100  # missing digests in one answer

# From the most special class to the most general: the first that fits an error's ancestors wins.
_CODES: Mapping[type[Exception], tuple[int, str]] = {
    DigestError: (400, "DIGEST_INVALID"),
    manifests.ManifestError: (400, "MANIFEST_INVALID"),
    manifests.ManifestUnknownError: (404, "MANIFEST_UNKNOWN"),
    manifests.BlobUnknownError: (404, "BLOB_UNKNOWN"),
    manifests.UploadUnknownError: (404, "BLOB_UPLOAD_UNKNOWN"),
    manifests.TagError: (404, "TAG_INVALID"),
    # Deletion is `unsupported` for this one blob: the standard knows no other answer than 202, 404 and 405.
    manifests.BlobInUseError: (405, "UNSUPPORTED"),
    MirroredError: (405, "UNSUPPORTED"),
    NotFoundError: (404, "NAME_UNKNOWN"),
    ForbiddenError: (403, "DENIED"),
    InvalidRequestError: (400, "INVALID_REQUEST"),
    DataError: (400, "INVALID_REQUEST"),
    RefusedError: (403, "DENIED"),
    ConflictError: (409, "CONFLICT"),
    BusyError: (409, "BLOB_UPLOAD_INVALID"),
    UnsatisfiableError: (416, "BLOB_UPLOAD_INVALID"),
    StalledError: (408, "BLOB_UPLOAD_INVALID"),
    TooLargeError: (413, "SIZE_INVALID"),
    QueryError: (400, "INVALID_REQUEST"),
}


class Refusal(Exception):  # noqa: N818 -- an answer, chosen where it is raised
    """An answer with one error of the standard."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reply = refusal(status, code, message, headers=headers)


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    detail: object = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    entry = {"code": code, "detail": {} if detail is None else detail, "message": message}
    return json_reply(status, {"errors": [entry]}, headers)


def reply_of(error: Exception, challenge: str) -> Reply | None:
    """The answer to an error that a caller can mend; None for a bug of ours."""
    match error:
        case Refusal():
            reply: Reply | None = error.reply
        case TooManySignInsError():
            wait = {"retry-after": str(max(1, round(error.wait.total_seconds())))}
            reply = refusal(429, "TOOMANYREQUESTS", error.detail, headers=wait)
        case UnauthenticatedError():
            is_bare = type(error) is UnauthenticatedError
            reply = unauthorized(challenge, NOT_AUTHORIZED if is_bare else error.detail)
        case UnavailableError():
            reply = unavailable(error.detail)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            reply = unavailable("The server's disk is full.")
        case manifests.UnknownReferencesError():
            reply = _missing(error.detail, error.digests)
        case _:
            reply = _coded(error)
    return reply


def unauthorized(challenge: str, message: str = NOT_AUTHORIZED) -> Reply:
    return refusal(401, "UNAUTHORIZED", message, headers={"www-authenticate": challenge})


def unavailable(message: str) -> Reply:
    return refusal(503, "UNAVAILABLE", message, headers={"retry-after": RETRY_AFTER})


def _missing(message: str, digests: Sequence[str]) -> Reply:
    return json_reply(
        400,
        {
            "errors": [
                {
                    "code": "MANIFEST_BLOB_UNKNOWN",
                    "detail": {"digest": digest},
                    "message": message,
                }
                for digest in digests[:_SHOWN]
            ]
        },
    )


def _coded(error: Exception) -> Reply | None:
    for ancestor in type(error).__mro__:
        if ancestor in _CODES:
            status, code = _CODES[ancestor]
            headers = {"allow": "GET, HEAD"} if status == 405 else None  # noqa: PLR2004 -- the status itself
            return refusal(status, code, _text_of(error), headers=headers)
    return None


def _text_of(error: Exception) -> str:
    if isinstance(error, DockbellError):
        return error.detail
    return str(error) or (type(error).__doc__ or "").strip()
