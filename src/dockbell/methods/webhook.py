"""The method `webhook`: POST the event as JSON to a URL (quay-compat 4.1, 4.4)."""

from functools import lru_cache

from dockbell.domain import signing, urls
from dockbell.domain.errors import ConfigError, TemplateError
from dockbell.domain.http_outcomes import outcome_of, outcome_of_silence
from dockbell.domain.methods import (
    Config,
    Field,
    Lookup,
    Message,
    Method,
    Outbound,
    UnreachableError,
)
from dockbell.domain.outcomes import Code, Fault, Outcome, Rejected
from dockbell.domain.product import USER_AGENT
from dockbell.domain.templates import compile_template

_compiled = lru_cache(maxsize=512)(compile_template)


class Webhook:
    """Post the event's JSON, or what a template makes of it, signed as Standard Webhooks asks."""

    name = "webhook"
    title = "Webhook POST"
    fields: tuple[Field, ...] = (
        # Receivers without signatures hide a token in the path, so the whole address counts as secret.
        Field(
            key="url",
            label="Webhook URL",
            example="https://hooks.example.com/quay?token=s3cret",
            secret=True,
        ),
        Field(
            key="template",
            label="POST JSON body template",
            example='{"text": "${repository} got ${updated_tags}"}',
            required=False,
        ),
    )
    signs = True

    async def check(self, config: Config, lookup: Lookup) -> None:
        url = config.get("url")
        if not url:
            raise ConfigError("Missing webhook URL", field="url")
        parts = urls.web_address(url)
        if parts is None:
            raise ConfigError("Invalid webhook URL", field="url")
        refusal = await lookup.address_error(str(url))
        if refusal is not None and urls.names_loopback(parts):
            # Quay: its words for these two names. Pinned by contract/test_methods.py. Where an operator
            # has opened loopback, the lookup does not refuse them.
            raise ConfigError("Invalid webhook URL", field="url")
        _check_template(config.get("template"))
        if refusal is not None:
            raise ConfigError(refusal, field="url")

    def target(self, config: Config) -> str:
        parts = urls.web_address(config.get("url"))
        return "Webhook" if parts is None else urls.shown(parts)

    def host(self, config: Config) -> str | None:
        return urls.host_of(config.get("url"))

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        """Make one try. Every try and redelivery of an event to a notification has the same `webhook-id`."""
        body = message.event.body
        template = config.get("template")
        if template:
            try:
                body = _compiled(str(template)).render(message.event.data)
            except TemplateError as error:
                return Rejected(Code.TEMPLATE_ERROR, error.detail, fault=Fault.CONFIG)
        timestamp = int(message.now.timestamp())
        headers = [
            ("Content-type", "application/json"),
            ("User-Agent", USER_AGENT),
            ("webhook-id", message.delivery_id),
            ("webhook-timestamp", str(timestamp)),
        ]
        if message.secrets:
            signature = signing.sign(message.secrets, message.delivery_id, timestamp, body)
            headers.append(("webhook-signature", signature))
        headers += [
            ("dockbell-event", message.event.kind),
            ("dockbell-attempt", str(message.attempt)),
            ("dockbell-trigger", message.trigger.value),
        ]
        try:
            reply = await out.post(str(config.get("url")), body, headers)
        except UnreachableError as error:
            return outcome_of_silence(error)
        return outcome_of(reply, message.now)


def _check_template(template: object) -> None:
    """Raise ConfigError for a template that is not one. An empty one is none, as in Quay."""
    if template is None or template == "":
        return
    if not isinstance(template, str):
        raise TemplateError(
            "Could not parse template: it must be a string that holds JSON", field="template"
        )
    compile_template(template)


METHOD: Method = Webhook()
