"""The method `flowdock`: not available in this version, and clear about it. The service itself is gone."""

from dockbell.domain.errors import ConfigError
from dockbell.domain.methods import Config, Field, Lookup, Message, Method, Outbound
from dockbell.domain.outcomes import Code, Fault, Outcome, Rejected

_NOT_YET = "The method flowdock is not available yet"


class Flowdock:
    """Post the message to a team's inbox."""

    name = "flowdock"
    title = "Flowdock Team Notification"
    fields: tuple[Field, ...] = (
        Field(
            key="flow_api_token",
            label="Flowdock API Token",
            example="0123456789abcdef",
            secret=True,
        ),
    )
    signs = False

    async def check(self, config: Config, lookup: Lookup) -> None:
        del lookup
        if not config.get("flow_api_token"):
            raise ConfigError("Missing Flowdock API Token", field="flow_api_token")
        raise ConfigError(_NOT_YET)

    def target(self, config: Config) -> str:
        del config
        return "Flowdock team"  # the token is all there is

    def host(self, config: Config) -> str | None:
        del config
        return None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        del message, config, out
        return Rejected(
            Code.SERVICE_DISCONTINUED,
            "Flowdock was shut down: use another method.",
            fault=Fault.CONFIG,
        )


METHOD: Method = Flowdock()
