"""The method `email`: not available in this version, and clear about it."""

from dockbell.domain.errors import ConfigError
from dockbell.domain.methods import Config, Field, Lookup, Message, Method, Outbound
from dockbell.domain.outcomes import Code, Fault, Outcome, Rejected

_NOT_YET = "The method email is not available yet"


class Email:
    """Send the message by mail."""

    name = "email"
    title = "Email Notification"
    fields: tuple[Field, ...] = (
        Field(key="email", label="E-mail address", example="team@example.com"),
    )
    signs = False

    async def check(self, config: Config, lookup: Lookup) -> None:
        del lookup
        if not config.get("email"):
            raise ConfigError("Missing e-mail address", field="email")
        raise ConfigError(_NOT_YET)

    def target(self, config: Config) -> str:
        return str(config.get("email") or "E-mail")

    def host(self, config: Config) -> str | None:
        del config
        return None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        del message, config, out
        return Rejected(Code.METHOD_UNKNOWN, f"{_NOT_YET}.", fault=Fault.OURS)


METHOD: Method = Email()
