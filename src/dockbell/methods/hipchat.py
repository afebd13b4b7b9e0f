"""The method `hipchat`: not available in this version, and clear about it. The service itself is gone."""

from dockbell.domain.errors import ConfigError
from dockbell.domain.methods import Config, Field, Lookup, Message, Method, Outbound
from dockbell.domain.outcomes import Code, Fault, Outcome, Rejected

_NOT_YET = "The method hipchat is not available yet"


class HipChat:
    """Post the message to a room."""

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

    async def check(self, config: Config, lookup: Lookup) -> None:
        del lookup
        if not config.get("notification_token"):
            raise ConfigError(
                "Missing Hipchat Room Notification Token", field="notification_token"
            )
        if not config.get("room_id"):
            raise ConfigError("Missing Hipchat Room ID", field="room_id")
        raise ConfigError(_NOT_YET)

    def target(self, config: Config) -> str:
        return f"HipChat room {config.get('room_id') or ''}".strip()

    def host(self, config: Config) -> str | None:
        del config
        return None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        del message, config, out
        return Rejected(
            Code.SERVICE_DISCONTINUED,
            "HipChat was shut down: use another method.",
            fault=Fault.CONFIG,
        )


METHOD: Method = HipChat()
