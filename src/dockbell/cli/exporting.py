"""What `export` reads."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from dockbell import bootstrap
from dockbell.cli.direct import opened
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import NotFoundError
from dockbell.domain.inventories import Document, HeldNamespace, HeldRepository
from dockbell.domain.masks import masked
from dockbell.domain.methods import Method
from dockbell.domain.mirrors import masked_config
from dockbell.domain.permissions import SuperUser
from dockbell.services import inventories, users
from dockbell.settings import Settings
from dockbell.store.transactions import Store

_Held = TypeVar("_Held", HeldNamespace, HeldRepository)
Take = Callable[[str, Document], None]  # the kind of a record, and the record


async def each(
    settings: Settings, names: tuple[str, ...], take: Take, *, with_secrets: bool
) -> None:
    """Give out one record after the other: users, then namespaces, then the repositories of each."""
    ways = bootstrap.methods_of(settings)

    async with opened(settings) as store:
        async with store.read() as tx:
            right = await users.superuser(tx, SYSTEM)
            for user in await inventories.list_users(tx, right):
                if not names or user.name in names:
                    take("user", user.document())
            names = names or tuple(await inventories.list_namespaces(tx, right))
            for name in names:
                held = await inventories.find_namespace(tx, right, name)
                if held is None:
                    raise NotFoundError(f"There is no user or organization {name}.")
                if not with_secrets:
                    held = _masked(held, ways)
                take("namespace", held.document())
        for name in names:
            for one in await _repositories(store, right, name):
                shown = one if with_secrets else _without_proxy(_masked(one, ways))
                take("repository", shown.document())


def _masked(held: _Held, ways: Mapping[str, Method]) -> _Held:
    return replace(
        held,
        notifications=tuple(
            replace(one, config=masked(ways.get(one.method), one.config))
            for one in held.notifications
        ),
    )


def _without_proxy(held: HeldRepository) -> HeldRepository:
    if held.mirror is None:
        return held
    config = masked_config(held.mirror.registry_config)
    return replace(held, mirror=replace(held.mirror, registry_config=config))


async def _repositories(store: Store, right: SuperUser, namespace: str) -> list[HeldRepository]:
    held: list[HeldRepository] = []
    after: str | None = ""
    while after is not None:
        async with store.read() as tx:
            page, after = await inventories.list_repositories(tx, right, namespace, after=after)
            held += [await inventories.hold(tx, right, one) for one in page]
    return sorted(held, key=lambda one: one.name)
