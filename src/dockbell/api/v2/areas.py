"""How a request names what it is about: a repository by its path, or something that belongs to one by its id."""

from typing import Annotated

from litestar.params import QueryParameter

RepositoryPath = Annotated[
    str | None, QueryParameter(description="A repository as `namespace/name`.")
]
NotificationId = Annotated[
    str | None, QueryParameter(description="A notification's `ntf_` id.")
]
EventId = Annotated[str | None, QueryParameter(description="An event's `evt_` id.")]
