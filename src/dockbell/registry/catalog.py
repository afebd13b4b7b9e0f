"""The list of repositories, for clients that ask the registry and not the API."""

from typing import Any

from dockbell.domain.accounts import Actor
from dockbell.domain.errors import DockbellError
from dockbell.registry import access
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Reply, Request, json_reply
from dockbell.registry.routes import Route
from dockbell.registry.tags import page_size
from dockbell.services import registry_tokens, repositories


async def list_catalog(parts: Parts, request: Request, route: Route) -> Reply:
    """Repositories that the caller may see, oldest first, from behind `last`; a Link leads on."""
    del route
    claim = await access.identify(parts, request)
    limit, last = page_size(request), request.query("last")
    async with parts.read() as tx:
        grant = await registry_tokens.honour(tx, claim)
        if not grant.allows_catalog:
            raise access.InsufficientScopeError
        try:
            after = await _id_of(tx, grant.actor, last)
        except DockbellError:
            return json_reply(
                200, {"repositories": []}
            )  # nothing comes behind what is not there
        page, following = await repositories.list_page(
            tx, grant.actor, namespace=None, with_public=True, after=after
        )
    shown = [repository.path for repository in page[:limit]]
    headers = {}
    if shown and (following is not None or len(page) > limit):
        headers["link"] = f'</v2/_catalog?n={limit}&last={shown[-1]}>; rel="next"'
    return json_reply(200, {"repositories": shown}, headers)


async def _id_of(tx: Any, actor: Actor, path: str | None) -> str:
    return "" if path is None else (await repositories.reader_of(tx, actor, path)).repository.id
