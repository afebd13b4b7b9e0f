"""The method `hipchat`: a message to a room, as Quay sends it (quay-compat 4.7). The service itself is gone."""

import json
from urllib.parse import quote

from dockbell.domain import posts, urls
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Level
from dockbell.domain.methods import (
    Config,
    Field,
    Lookup,
    Message,
    Method,
    Outbound,
    Reply,
    UnreachableError,
)
from dockbell.domain.outcomes import Code, Fault, Outcome, Rejected
from dockbell.domain.posts import Post
from dockbell.domain.product import USER_AGENT

_COLORS = {
    Level.INFO: "gray",
    Level.WARNING: "yellow",
    Level.ERROR: "red",
    Level.SUCCESS: "green",
    Level.PRIMARY: "purple",
}
_HEADERS = (("Content-type", "application/json"), ("User-Agent", USER_AGENT))
_GONE = "HipChat was shut down"


class HipChat:
    """Post the message to a room on whatever an operator has put in the service's place."""

    name = "hipchat"
    title = "HipChat Room Notification"
    fields: tuple[Field, ...] = (
        Field(
            key="notification_token",
            label="Room Notification Token",
            example="0123456789abcdef",
            secret=True,
        ),
        Field(key="room_id", label="Room ID", example="4242"),
    )
    signs = False

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url  # empty while nothing is in its place

    @property
    def warning(self) -> str | None:
        if self._base_url:
            return None
        return f"{_GONE}, so nothing will arrive: choose another method, or have an operator set `hipchat_url`."

    async def check(self, config: Config, lookup: Lookup) -> None:
        del lookup
        token, room = config.get("notification_token"), config.get("room_id")
        if not token:
            raise ConfigError(
                "Missing Hipchat Room Notification Token", field="notification_token"
            )
        if not isinstance(token, str):
            raise ConfigError(
                "The Hipchat Room Notification Token must be a string",
                field="notification_token",
            )
        if not room:
            raise ConfigError("Missing Hipchat Room ID", field="room_id")
        if isinstance(room, bool) or not isinstance(room, int | str):
            raise ConfigError("The Hipchat Room ID must be a number or a name", field="room_id")

    def target(self, config: Config) -> str:
        return f"HipChat room {config.get('room_id') or ''}".strip()

    def host(self, config: Config) -> str | None:
        del config
        return urls.host_of(self._base_url) if self._base_url else None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        return await posts.send(self, message, config, out)

    def post(self, message: Message, config: Config) -> Post | Outcome:
        if not self._base_url:
            return Rejected(
                Code.SERVICE_DISCONTINUED,
                f"{_GONE}: choose another method, or have an operator set `hipchat_url`.",
                fault=Fault.CONFIG,
            )
        room = quote(str(config.get("room_id")), safe="")
        token = quote(str(config.get("notification_token")), safe="")
        url = f"{self._base_url}/v2/room/{room}/notification?auth_token={token}"
        body = json.dumps(payload_of(message)).encode()
        return Post(url, body, _HEADERS)

    def judge(self, message: Message, answer: Reply | UnreachableError) -> Outcome:
        return posts.judge(message, answer)


def payload_of(message: Message) -> dict[str, object]:
    """What Quay sends, key for key."""
    return {
        "color": _COLORS[message.level],
        "message": message.html,
        "notify": message.level is Level.ERROR,
        "message_format": "html",
    }


METHOD: Method = HipChat()
