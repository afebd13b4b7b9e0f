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
from dockbell.domain.outcomes import Code, Outcome, Rejected
from dockbell.domain.posts import Post
from dockbell.domain.product import USER_AGENT

_COLORS = {
    Level.INFO: "#ffffff",
    Level.WARNING: "warning",
    Level.ERROR: "danger",
    Level.SUCCESS: "good",
    Level.PRIMARY: "good",
}
# Slack's words for what no further try can mend.
_REFUSALS = {
    "invalid_payload": "it does not understand the message",
    "no_text": "it finds no text in the message",
    "too_many_attachments": "the message has too many attachments",
    "user_not_found": "the person whom the message is for is not there",
    "action_prohibited": "an administrator does not allow this message",
    "posting_to_general_channel_denied": "only some may write to that channel",
}
# And for what stays so for every message.
_GONE = {
    "no_service": "the webhook was deleted or turned off",
    "no_service_id": "the address is not complete",
    "no_active_hooks": "the webhook was turned off",
    "no_team": "the workspace is not there",
    "team_disabled": "the workspace was turned off",
    "invalid_token": "the address is not one of its webhooks",
    "channel_not_found": "the channel is not there",
    "channel_is_archived": "the channel was archived",
}
_ENDED, _TOO_MANY = 410, 429
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
        refusal = _refusal(answer) if isinstance(answer, Reply) else None
        return refusal or posts.judge(message, answer)


def _refusal(reply: Reply) -> Rejected | None:
    """The end of the delivery, if the answer is one of Slack's words; others who take its messages say none."""
    status = reply.exchange.status or 0
    word = reply.exchange.response_body.strip().decode("latin-1")
    reason = _REFUSALS.get(word) or _GONE.get(word)
    if reason is None or not 400 <= status < 500 or status == _TOO_MANY:  # noqa: PLR2004 -- HTTP's errors
        return None
    code = Code.HTTP_410 if status == _ENDED else Code.HTTP_4XX
    detail = f"Slack answered {status}, {word}: {reason}."
    return Rejected(code, detail, reply.exchange, gone=word in _GONE)


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
