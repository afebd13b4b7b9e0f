"""Everything below `/v2`: the OCI distribution API as one ASGI application."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog

from dockbell.domain.accounts import Powers
from dockbell.domain.errors import UnavailableError
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.registry import blobs, catalog, errors, manifests, routes, tags, tokens, uploads
from dockbell.registry.access import InsufficientScopeError
from dockbell.registry.files import Files
from dockbell.registry.parts import Begin, Parts, Pulls
from dockbell.registry.requests import DisconnectedError, Part, QueryError, Reply, Request
from dockbell.registry.routes import Resource, Route, is_path
from dockbell.services.authentication import EndedError
from dockbell.services.intake import Intake
from dockbell.services.quotas import Quotas
from dockbell.services.registry_tokens import RegistryTokens, TokenError
from dockbell.web import outages, repeats
from dockbell.web.edge import Receive, Scope, Send
from dockbell.web.readonly import WORDS

_READING = frozenset({"GET", "HEAD"})
_PIECE = 256 << 10
# Which token to ask for next (RFC 6750): some clients ask again only if they are told why.
_ERROR_OF: Mapping[type[Exception], str] = {
    InsufficientScopeError: ',error="insufficient_scope"',
    TokenError: ',error="invalid_token"',
    EndedError: ',error="invalid_token"',
}
# Made here and not when it is needed: nothing can go wrong with it any more.
_MISTAKE = errors.refusal(500, "UNKNOWN", "The server made a mistake. It is in its log.")
_log = structlog.get_logger("dockbell.registry")

Handler = Callable[[Parts, Request, Route], Awaitable[Reply]]

_HANDLERS: Mapping[Resource, Mapping[str, Handler]] = {
    Resource.BASE: {"GET": tokens.show_base, "HEAD": tokens.show_base},
    Resource.TOKEN: {"GET": tokens.get_token, "POST": tokens.post_token},
    Resource.CATALOG: {"GET": catalog.list_catalog, "HEAD": catalog.list_catalog},
    Resource.UPLOADS: {"POST": uploads.post_upload},
    Resource.UPLOAD: {
        "GET": uploads.get_upload,
        "PATCH": uploads.patch_upload,
        "PUT": uploads.put_upload,
        "DELETE": uploads.delete_upload,
    },
    Resource.BLOB: {
        "GET": blobs.get_blob,
        "HEAD": blobs.get_blob,
        "DELETE": blobs.delete_blob,
    },
    Resource.MANIFEST: {
        "GET": manifests.get_manifest,
        "HEAD": manifests.get_manifest,
        "PUT": manifests.put_manifest,
        "DELETE": manifests.delete_manifest,
    },
    Resource.TAGS: {"GET": tags.list_tags, "HEAD": tags.list_tags},
    Resource.REFERRERS: {"GET": manifests.list_referrers, "HEAD": manifests.list_referrers},
}


class Registry:
    """Answers every request below `/v2`: never with a traceback, and always in the standard's words."""

    def __init__(  # noqa: PLR0913 -- made only by the composition root
        self,
        *,
        store_begin: Begin,
        store_read: Begin,
        files: Files,
        links: Links,
        intake: Intake,
        clock: Clock,
        tokens: RegistryTokens,
        patience_seconds: float = 60.0,
        pulls: Pulls | None = None,
        powers: Powers | None = None,
        allows_anonymous: bool = True,
        is_readonly: bool = False,
        default_quota: int = 0,
        are_indexed: bool = False,
    ) -> None:
        self._parts = Parts(
            begin=store_begin,
            read=store_read,
            files=files,
            links=links,
            intake=intake,
            tokens=tokens,
            clock=clock,
            pulls=pulls or Pulls(),
            powers=powers or Powers(),
            allows_anonymous=allows_anonymous,
            is_readonly=is_readonly,
            are_indexed=are_indexed,
            quotas=Quotas(intake, default_quota),
        )
        self._patience = patience_seconds
        self._realm = f'Bearer realm="{links.token_realm}",service="{links.host}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, self._patience)
        reply = None
        try:
            reply = await self._answer(request)
            headers = reply.raw_headers()
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 -- a mistake in the answer itself must not show either
            with contextlib.suppress(Exception):  # the log may be what is broken
                _log_bug(error, request)
            if reply is not None:
                reply.close()
            reply, headers = _MISTAKE, _MISTAKE.raw_headers()
        await _send(reply, headers, request, send)

    async def _answer(self, request: Request) -> Reply:
        route = routes.find(request.path)
        if route is None:
            return errors.refusal(404, "UNSUPPORTED", "There is nothing at this address.")
        handlers = _HANDLERS[route.resource]
        handler = handlers.get(request.verb)
        if handler is None:
            return errors.refusal(
                405,
                "UNSUPPORTED",
                f"{request.verb[:20]} is not possible here.",
                headers={"allow": ", ".join(handlers)},
            )
        if (
            self._parts.is_readonly
            and request.verb not in _READING
            and route.resource is not Resource.TOKEN
        ):
            # Quay: 405 here, and 503 at its API. Pinned by compat/test_readonly.py.
            return errors.refusal(405, "DENIED", WORDS, headers={"allow": "GET, HEAD"})
        if route.path and not route.is_name_valid:
            return errors.refusal(
                400,
                "NAME_INVALID",
                "A repository is named `namespace/name`, in small letters, digits, `.`, `_` and `-`.",
            )
        waits = iter(repeats.WAITS)
        while True:
            try:
                return await handler(self._parts, request, route)
            except DisconnectedError:
                raise
            except Exception as error:  # noqa: BLE001 -- a bug in one request must not show, nor stop others
                wait = next(waits, None)
                if wait is None or request.is_spent or not repeats.may_help(error):
                    return self._answer_error(error, request, route)
            await asyncio.sleep(wait)

    def _answer_error(self, error: Exception, request: Request, route: Route) -> Reply:
        challenge = self._challenge(request, route, error) + _ERROR_OF.get(type(error), "")
        reply = errors.reply_of(error, challenge)
        if isinstance(error, UnavailableError):
            outages.warn_of(error, request.scope)
        if reply is None:
            _log_bug(error, request)
            return _MISTAKE
        if route.resource is Resource.BASE and reply.status == 401:  # noqa: PLR2004 -- the status itself
            return tokens.challenge_base(challenge)
        return reply

    def _challenge(self, request: Request, route: Route, error: Exception) -> str:
        if route.resource is Resource.CATALOG:
            return f'{self._realm},scope="registry:catalog:*"'
        if not route.path:
            return self._realm
        is_pull = request.verb in {"GET", "HEAD"} and route.resource is not Resource.UPLOAD
        actions = "pull" if is_pull else "pull,push"
        scope = f"repository:{route.path}:{actions}"
        if route.resource is Resource.UPLOADS and not isinstance(error, QueryError):
            scope += _mount_scope_of(request)
        return f'{self._realm},scope="{scope}"'


def _mount_scope_of(request: Request) -> str:
    """What the token has to reach besides: the repository to mount from, or any.

    Known before anybody has signed in, so that the first token is good enough: some clients ask only once.
    """
    if not request.query("mount"):
        return ""
    source = request.query("from")
    if source is None:
        return " registry:mount:*"
    return f" repository:{source}:pull" if is_path(source) else ""


def _log_bug(error: Exception, request: Request) -> None:
    _log.error("registry_bug", verb=request.verb, path=request.path, exc_info=error)


async def _send(
    reply: Reply, headers: list[tuple[bytes, bytes]], request: Request, send: Send
) -> None:
    body = reply.body
    try:
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": headers,
            }
        )
        if isinstance(body, Part):
            await _send_part(body, request, send)
        else:
            shown = b"" if request.verb == "HEAD" else body
            await send({"type": "http.response.body", "body": shown})
    finally:
        reply.close()


async def _send_part(part: Part, request: Request, send: Send) -> None:
    """Send piece by piece; stop reading when nobody is there any more."""
    end = part.start + part.length
    gone = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        for position in range(part.start, end, _PIECE):
            piece = await part.file.read(position, min(_PIECE, end - position))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # neither read nor send has to wait: let others have a turn
            if gone.done():
                return
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
