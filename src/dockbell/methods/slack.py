"""The method `slack`: one message to a channel's incoming-webhook address (quay-compat 4.6)."""

import json

from dockbell.domain import posts, slack_text, urls
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
from dockbell.domain.outcomes import Outcome
from dockbell.domain.posts import Post
from dockbell.domain.product import USER_AGENT

_COLORS = {
    Level.INFO: "#ffffff",
    Level.WARNING: "warning",
    Level.ERROR: "danger",
    Level.SUCCESS: "good",
    Level.PRIMARY: "good",
}
_HEADERS = (("Content-type", "application/json"), ("User-Agent", USER_AGENT))


class Slack:
    """Post the message to a channel's incoming-webhook address."""

    name = "slack"
    title = "Slack Notification"
    fields: tuple[Field, ...] = (
        Field(
            key="url",
            label="Webhook URL",
            example="https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX",
            secret=True,
        ),
    )
    signs = False
    warning = None

    async def check(self, config: Config, lookup: Lookup) -> None:
        url = config.get("url")
        if not url:
            raise ConfigError("Missing Slack Callback URL", field="url")
        # Quay takes any text here, and any address: FIX, since nothing can ever arrive.
        if urls.web_address(url) is None:
            raise ConfigError("Invalid Slack Callback URL", field="url")
        refusal = await lookup.address_error(str(url))
        if refusal is not None:
            raise ConfigError(refusal, field="url")

    def target(self, config: Config) -> str:
        del config
        return "Slack webhook"  # the URL's path is the secret

    def host(self, config: Config) -> str | None:
        return urls.host_of(config.get("url"))

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        return await posts.send(self, message, config, out)

    def post(self, message: Message, config: Config) -> Post | Outcome:
        made = message.event.made  # all channels get the same
        body = made.get(self.name)
        if body is None:
            body = made[self.name] = json.dumps(payload_of(message)).encode()
        return Post(str(config.get("url")), body, _HEADERS)

    def judge(self, message: Message, answer: Reply | UnreachableError) -> Outcome:
        return posts.judge(message, answer)


def payload_of(message: Message) -> dict[str, object]:
    """What Quay sends, key for key."""
    summary = slack_text.escaped(message.summary)
    return {
        "text": summary,
        "username": "quayiobot",
        "attachments": [
            {
                "fallback": summary,
                "text": slack_text.slack_text(message.html),
                "color": _COLORS[message.level],
                "mrkdwn_in": ["text"],
            }
        ],
    }


METHOD: Method = Slack()
