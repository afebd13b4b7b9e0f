"""What this server is, and the pages that links in messages lead to: a repository, an organization, a user."""

import re
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from dockbell.domain.accounts import Actor, NamespaceKind
from dockbell.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from dockbell.domain.redirects import with_query
from dockbell.domain.repositories import Visibility
from dockbell.domain.sessions import csrf_token_of
from dockbell.services import organizations, repositories, users
from dockbell.services.repositories import Details
from dockbell.ui import pages, sign_in
from dockbell.web.calls import ApiCall, Call

_MOST_TAGS = 500
_BUILD = re.compile(r"(?P<path>.+)/build/[^/]+")


async def _who(call: ApiCall) -> Actor:
    async with call.read() as tx:
        return await call.caller(tx)


@get("/", include_in_schema=False)
async def show_start(call: Call) -> Response[bytes]:
    """What this server is, and where everything else of it is."""
    actor = await _who(call)
    secret = call.session_secret
    values = {
        "username": "" if actor.is_anonymous else actor.name,
        "csrf": ""
        if secret is None
        else csrf_token_of(secret),  # for the button that signs out
        "host": call.faces.links.host,
    }
    return pages.page("start.html", values)


@get("/repository/{path:path}", include_in_schema=False)
async def show_repository(call: Call, path: FromPath[str]) -> Response[bytes]:
    """The repository of a message, for who may see it; others are asked to sign in, or see nothing."""
    wanted = path.strip("/")
    async with call.read() as tx:
        actor = await call.caller(tx)
        is_let_in = call.faces.allows_anonymous or not actor.is_anonymous
        found = await _details(tx, actor, wanted) if is_let_in else None
    if found is None:
        return _nothing(call, actor, f"/repository/{wanted}", "repository")
    repository = found.repository
    return pages.page(
        "repository.html",
        {
            "path": repository.path,
            "namespace": repository.namespace,
            "namespace_link": _namespace_link(found),
            "description": repository.description,
            "is_public": repository.visibility is Visibility.PUBLIC,
            "tags": found.tags,
            "marked": call.text("tag"),
            "pull": call.faces.links.docker_url(repository.path),
        },
    )


async def _details(tx: Any, actor: Actor, wanted: str) -> Details | None:
    """The repository with that path or, as links of builds have it, with the path before `/build/`."""
    build = _BUILD.fullmatch(wanted)
    for path in (wanted, build["path"] if build else None):
        if path is None:
            continue
        try:
            return await repositories.load(tx, actor, path, tags=_MOST_TAGS)
        except (UnauthenticatedError, ForbiddenError, NotFoundError):
            continue
    return None


def _namespace_link(found: Details) -> str:
    kind = "organization" if found.is_organization else "user"
    return f"/{kind}/{found.repository.namespace}"


def _nothing(call: ApiCall, actor: Actor, address: str, kind: str) -> Response[bytes]:
    if actor.is_anonymous:
        following = with_query(address, dict(call.request.query_params))
        return sign_in.ask(call, following, status=401)
    words = f"There is no such {kind}, or you may not see it."
    return pages.refusal(404, "Nothing to see here", words)


@get(["/organization/{name:str}", "/user/{name:str}"], include_in_schema=False)
async def show_namespace(call: Call, name: FromPath[str]) -> Response[bytes]:
    """The repositories of an organization or a user that the caller may see."""
    async with call.read() as tx:
        actor = await call.caller(tx)
        is_organization = call.request.scope["path"].startswith("/organization/")
        if actor.is_anonymous and not call.faces.allows_anonymous:
            kind = "organization" if is_organization else "user"
            return _nothing(call, actor, call.request.scope["path"], kind)
        try:
            if is_organization:
                found_kind = (await organizations.load(tx, actor, name)).namespace.kind
            else:
                found_kind = (await users.load(tx, actor, name)).namespace.kind
        except NotFoundError:
            return pages.refusal(
                404, "Nothing to see here", "There is no organization or user of that name."
            )
        found, more = await repositories.list_page(
            tx, actor, namespace=name, with_public=True, after=""
        )
    return pages.page(
        "namespace.html",
        {
            "name": name,
            "kind": "organization" if found_kind is NamespaceKind.ORGANIZATION else "user",
            "repositories": found,
            "has_more": more is not None,
            "is_anonymous": actor.is_anonymous,
            "address": call.request.scope["path"],
        },
    )


HANDLERS = [show_start, show_repository, show_namespace]
