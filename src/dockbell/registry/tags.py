"""Lists of tags, page by page."""

from dockbell.domain.names import is_tag
from dockbell.registry import access
from dockbell.registry.errors import Refusal
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Reply, Request, json_reply
from dockbell.registry.routes import Route
from dockbell.services import tags

_PAGE = 1000


async def list_tags(parts: Parts, request: Request, route: Route) -> Reply:
    """At most `n` tags from behind `last`, with a Link to the next page if there is one."""
    claim = await access.identify(parts, request)
    limit = page_size(request)
    last = request.query("last") or ""
    if last and not is_tag(last):
        raise Refusal(400, "TAG_INVALID", "`last` must be a tag.")
    async with parts.read() as tx:
        reader = await access.reader(tx, claim, route.path)
        found = await tags.list_names(tx, reader, after=last, limit=limit + 1)
    shown = list(found[:limit])
    headers = {}
    if shown and len(found) > limit:
        address = f"/v2/{route.path}/tags/list?n={limit}&last={shown[-1]}"
        headers["link"] = f'<{address}>; rel="next"'
    return json_reply(200, {"name": route.path, "tags": shown}, headers)


def page_size(request: Request) -> int:
    """How many entries the client wants, at most a thousand."""
    text = request.query("n")
    if text is None:
        return _PAGE
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", "`n` must be a whole number.")
    return min(int(text[:9]), _PAGE)
