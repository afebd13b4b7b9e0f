"""Finding things by a part of their name, with Quay's addresses and shapes."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get

from dockbell.api.v1.views import avatar
from dockbell.domain.accounts import Namespace, NamespaceKind
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.repositories import Repository, Visibility
from dockbell.services import organizations, repositories
from dockbell.web.calls import ApiCall, Call

_PAGE_SIZE = 10  # Quay: so many on a page, and pages to look at
_MOST_PAGES = 10
_FEW = 5  # of each sort, where all sorts are looked for
_LONGEST = 255
# Quay: what is found weighs so much by its sort, and less the further its name is from what was asked for.
_OWNER_WEIGHT, _REPOSITORY_WEIGHT = 1, 4


def _query(call: ApiCall) -> str:
    text = call.text("query")
    if len(text) > _LONGEST:
        raise InvalidRequestError(f"`query` must have at most {_LONGEST} characters")
    return text


def _closeness(name: str, text: str) -> float:
    if name == text.lower():
        return 1.0
    return 0.9 if name.startswith(text.lower()) else 0.5


def _owner(namespace: Namespace, score: float = _OWNER_WEIGHT) -> dict[str, Any]:
    is_organization = namespace.kind is NamespaceKind.ORGANIZATION
    kind = "organization" if is_organization else "user"
    return {
        "title": "org" if is_organization else "user",
        "kind": kind,
        "avatar": avatar(namespace.name, namespace.email, "org" if is_organization else "user"),
        "name": namespace.name,
        "score": score,
        "href": f"/{kind}/{namespace.name}",
    }


def _found(repository: Repository, owner: Namespace, score: float) -> dict[str, Any]:
    return {
        "kind": "repository",
        "title": "repo",
        "namespace": _owner(owner),
        "name": repository.name,
        "description": repository.description,
        "is_public": repository.visibility is Visibility.PUBLIC,
        "score": score,
        "href": f"/repository/{repository.path}",
    }


@get("/find/repositories")
async def find_repositories(call: Call) -> Response[bytes]:
    """200 with a page of the repositories that the caller may see whose path or description has `query` in it."""
    page = min(max(1, call.number("page", 1, "The page. (int)")), _MOST_PAGES)
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, has_more = await repositories.search(
            tx, actor, _query(call), page=page, size=_PAGE_SIZE
        )
        modified = await repositories.last_modified(tx, actor, [one for one, _ in found])
    results = []
    for repository, owner in found:
        moment = modified.get(repository.id)
        more = {} if moment is None else {"last_modified": int(moment.timestamp())}
        view = _found(repository, owner, _REPOSITORY_WEIGHT)
        results.append({**view, **more, "stars": 0, "popularity": 0.0})
    return call.reply(
        200,
        {
            "results": results,
            "has_additional": has_more,
            "page": page,
            "page_size": _PAGE_SIZE,
            "start_index": (page - 1) * _PAGE_SIZE,
        },
    )


@get("/find/all")
async def find_all(call: Call) -> Response[bytes]:
    """200 with the repositories that the caller may see, and their own organizations and account, that have `query` in them."""
    text = _query(call)
    if not text:
        return call.reply(200, {"results": []})
    own: Sequence[Namespace]
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, _ = await repositories.search(tx, actor, text, page=1, size=_FEW)
        own = await organizations.search_own(tx, actor, text, limit=_FEW)
    results = [
        _found(one, owner, _REPOSITORY_WEIGHT * _closeness(one.name, text))
        for one, owner in found
    ]
    results += [_owner(one, _OWNER_WEIGHT * _closeness(one.name, text)) for one in own]
    results.sort(key=lambda one: one["score"], reverse=True)
    return call.reply(200, {"results": results})


HANDLERS = [find_repositories, find_all]
