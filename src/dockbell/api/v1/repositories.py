"""Repositories with Quay's addresses, shapes and statuses (quay-compat 6.6)."""

from collections.abc import Mapping
from datetime import datetime

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1 import page_tokens
from dockbell.api.v1.organizations import TAG_EXPIRATION_SECONDS
from dockbell.api.v1.views import date
from dockbell.domain.accounts import Role
from dockbell.domain.errors import NotFoundError
from dockbell.domain.quotas import Standing
from dockbell.domain.repositories import Repository, Visibility
from dockbell.services import repositories
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST_DESCRIPTION = 100_000
_MOST_TAGS = 500  # Quay: a repository shows so many of its tags
_VISIBILITIES = tuple(visibility.value for visibility in Visibility)

_NEW = Schema(
    properties=(
        Property("repository", "string", required=True),
        Property("visibility", "string", required=True, enum=_VISIBILITIES),
        Property("description", "string", required=True, most=_LONGEST_DESCRIPTION),
        Property("namespace", "string"),
        Property("repo_kind", "string", nullable=True, enum=("image",)),
    )
)
_CHANGE = Schema(
    properties=(Property("description", "string", required=True, most=_LONGEST_DESCRIPTION),)
)
_VISIBILITY = Schema(
    properties=(Property("visibility", "string", required=True, enum=_VISIBILITIES),)
)
_ALL = "/repository"
_ONE = "/repository/{repository:str}"


def _shown_in_list(
    repository: Repository,
    call: Call,
    modified: Mapping[str, datetime],
    used: Mapping[str, Standing],
) -> dict[str, object]:
    view: dict[str, object] = {
        "namespace": repository.namespace,
        "name": repository.name,
        "description": repository.description,
        "is_public": repository.visibility is Visibility.PUBLIC,
        "kind": "image",
        "state": repository.state.value,
    }
    if call.flag("last_modified"):
        moment = modified.get(repository.id)
        view["last_modified"] = None if moment is None else int(moment.timestamp())
    if call.flag("popularity"):
        view["popularity"] = 0.0
    view["is_starred"] = False
    standing = used.get(repository.id)
    if standing is not None:
        view["quota_report"] = {
            "quota_bytes": standing.used,
            "configured_quota": standing.configured,
        }
    return view


@get(_ALL)
async def list_repositories(call: Call) -> Response[bytes]:
    """200 with one page of what the caller may see of a namespace, or of all that is public."""
    wanted = repositories.Filter(
        namespace=call.text("namespace") or None,
        with_public=call.flag("public"),
        with_starred=call.flag("starred"),
    )
    after = page_tokens.of_token(call.text("next_page"))
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, last_id = await repositories.list_filtered(tx, actor, wanted, after=after)
        modified: Mapping[str, datetime] = {}
        if call.flag("last_modified"):
            modified = await repositories.last_modified(tx, actor, found)
        used: Mapping[str, Standing] = {}
        if call.flag("quota"):
            used = await call.faces.quotas.standings_of_repositories(tx, actor, found)
    answer: dict[str, object] = {
        "repositories": [_shown_in_list(one, call, modified, used) for one in found]
    }
    if last_id is not None:
        answer["next_page"] = page_tokens.to_token(last_id)
    return call.reply(200, answer)


@post(_ALL)
async def create_repository(call: Call) -> Response[bytes]:
    """201 with its names. Without a namespace it becomes the caller's own."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        await repositories.check_creator(tx, actor)
        body = call.json(_NEW)
        creator = await repositories.creator_in(tx, actor, body.get("namespace"))
        made = await repositories.create(
            tx,
            creator,
            body["repository"],
            visibility=Visibility(body["visibility"]),
            description=body["description"],
            intake=call.faces.intake,
        )
    return call.reply(201, {"namespace": made.namespace, "name": made.name, "kind": "image"})


@get(_ONE)
async def get_repository(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with the repository and, unless `includeTags` is false, its tags."""
    path = call.path(repository)
    with_tags = call.text("includeTags", "true").lower() not in {"false", "0", "no"}
    async with call.read() as tx:
        actor = await call.actor(tx)
        tags = _MOST_TAGS if with_tags else 0
        details = await repositories.load(tx, actor, path, tags=tags)
    found = details.repository
    view: dict[str, object] = {
        "namespace": found.namespace,
        "name": found.name,
        "kind": "image",
        "description": found.description,
        "is_public": found.visibility is Visibility.PUBLIC,
        "is_organization": details.is_organization,
        "is_starred": False,
        "status_token": "",
        "trust_enabled": False,
        "tag_expiration_s": TAG_EXPIRATION_SECONDS,
        "is_free_account": True,
        "state": found.state.value,
    }
    if with_tags:
        view["tags"] = {
            tag.name: {
                "name": tag.name,
                "size": None,
                "last_modified": date(tag.updated_at),
                "manifest_digest": tag.digest,
            }
            for tag in details.tags
        }
    view["can_write"] = Role.WRITE in details.roles
    view["can_admin"] = Role.ADMIN in details.roles
    return call.reply(200, view)


@put(_ONE)
async def change_repository(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200: the description is changed."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, call.path(repository))
        body = call.json(_CHANGE)
        await repositories.set_description(tx, writer, body["description"])
    return call.reply(200, {"success": True})


@post(f"{_ONE}/changevisibility")
async def change_visibility(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200: it is public or private now."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await repositories.admin_of(tx, actor, call.path(repository))
        body = call.json(_VISIBILITY)
        await repositories.set_visibility(tx, admin, Visibility(body["visibility"]))
    return call.reply(200, {"success": True})


@delete(_ONE, status_code=200)
async def delete_repository(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """204: it is gone with all that it owned."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        try:
            admin = await repositories.admin_of(tx, actor, call.path(repository))
        except NotFoundError:
            # Quay: deleting what does not exist succeeds. Pinned by compat/test_repositories.py.
            return call.reply(204)
        await repositories.delete(tx, admin, call.faces.intake)
    return call.reply(204)


HANDLERS = [
    list_repositories,
    create_repository,
    get_repository,
    change_repository,
    change_visibility,
    delete_repository,
]
