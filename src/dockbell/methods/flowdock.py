"""The method `flowdock`: a message to a team's inbox, as Quay sends it (quay-compat 4.7). The service itself is gone."""

import json
from urllib.parse import quote

from dockbell.domain import posts, urls
from dockbell.domain.errors import ConfigError
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

_HEADERS = (("Content-type", "application/json"), ("User-Agent", USER_AGENT))
_GONE = "Flowdock was shut down"


class Flowdock:
    """Post the message to a team's inbox on whatever an operator has put in the service's place."""

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

    def __init__(self, base_url: str = "", mail_from: str = "") -> None:
        self._base_url = base_url  # empty while nothing is in its place
        self._mail_from = mail_from

    @property
    def warning(self) -> str | None:
        if self._base_url:
            return None
        return f"{_GONE}, so nothing will arrive: choose another method, or have an operator set `flowdock_url`."

    async def check(self, config: Config, lookup: Lookup) -> None:
        del lookup
        token = config.get("flow_api_token")
        if not token:
            raise ConfigError("Missing Flowdock API Token", field="flow_api_token")
        if not isinstance(token, str):
            raise ConfigError("The Flowdock API Token must be a string", field="flow_api_token")

    def target(self, config: Config) -> str:
        del config
        return "Flowdock team"  # the token is all there is

    def host(self, config: Config) -> str | None:
        del config
        return urls.host_of(self._base_url) if self._base_url else None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        return await posts.send(self, message, config, out)

    def post(self, message: Message, config: Config) -> Post | Outcome:
        if not self._base_url:
            return Rejected(
                Code.SERVICE_DISCONTINUED,
                f"{_GONE}: choose another method, or have an operator set `flowdock_url`.",
                fault=Fault.CONFIG,
            )
        token = quote(str(config.get("flow_api_token")), safe="")
        url = f"{self._base_url}/v1/messages/team_inbox/{token}"
        body = json.dumps(payload_of(message, self._mail_from)).encode()
        return Post(url, body, _HEADERS)

    def judge(self, message: Message, answer: Reply | UnreachableError) -> Outcome:
        return posts.judge(message, answer)


def payload_of(message: Message, mail_from: str) -> dict[str, object]:
    """What Quay sends, key for key."""
    subject = message.event.subject
    names = (
        [subject.namespace]
        if subject.repository is None
        else [subject.namespace, subject.repository]
    )
    return {
        "source": "Quay",
        "from_address": mail_from,
        "subject": message.summary,
        "content": message.html,
        "from_name": subject.namespace,
        "project": " ".join(names),
        "tags": [f"#{message.event.kind}"],
        "link": message.event.data.get("homepage"),
    }


METHOD: Method = Flowdock()
