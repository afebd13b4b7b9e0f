"""How a request names the place that it is about: by its name, or something that belongs to it by its id."""

from typing import Annotated

from litestar.params import QueryParameter

RepositoryPath = Annotated[
    str | None, QueryParameter(description="A repository as `namespace/name`.")
]
NamespaceName = Annotated[str | None, QueryParameter(description="A user or organization.")]
IsInstance = Annotated[
    bool,
    QueryParameter(description="`true` for the whole server: superusers only."),
]
NotificationId = Annotated[
    str | None, QueryParameter(description="A notification's `ntf_` id.")
]
EventId = Annotated[str | None, QueryParameter(description="An event's `evt_` id.")]
