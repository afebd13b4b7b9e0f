"""The method `webhook`: POST the event as JSON to a URL (quay-compat 4.1, 4.4)."""

import base64
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dockbell.domain import forms, posts, signing, urls
from dockbell.domain.deliveries import Order, Trigger
from dockbell.domain.errors import ConfigError, TemplateError
from dockbell.domain.http_outcomes import taken
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
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import (
    Code,
    Delivered,
    Exchange,
    Fault,
    Outcome,
    Pairs,
    Rejected,
    SharedPairs,
)
from dockbell.domain.posts import HeaderForm, Post, Stencil
from dockbell.domain.product import USER_AGENT
from dockbell.domain.signing import SecretKind, Signature
from dockbell.domain.templates import compile_template
from dockbell.net.headers import mask

_compiled = lru_cache(maxsize=512)(compile_template)
_V1_ONLY = (Signature.V1,)  # as nearly always
_SHORTEST_SECRET = 32  # characters of a secret of 24 bytes
_USER_AGENT = ("User-Agent", USER_AGENT)
_JSON = ("Content-type", "application/json")
# A member of an enumeration takes three times as long to look up as a name of this module.
_EVENT, _QUAY, _HMAC = Trigger.EVENT, forms.PayloadForm.QUAY, SecretKind.HMAC
_EVENT_WORD = _EVENT.value
_BY_EVENT = ("dockbell-trigger", _EVENT_WORD)
# To make a key of its bytes takes as long as to sign with it.
_ed25519 = lru_cache(maxsize=1024)(Ed25519PrivateKey.from_private_bytes)


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
    warning = None

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
            raise ConfigError("Invalid webhook URL", field="url", more=refusal)
        _check_template(config.get("template"))
        if refusal is not None:
            raise ConfigError(refusal, field="url")

    def target(self, config: Config) -> str:
        parts = urls.web_address(config.get("url"))
        return "Webhook" if parts is None else urls.shown(parts)

    def host(self, config: Config) -> str | None:
        return urls.host_of(config.get("url"))

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        return await posts.send(self, message, config, out)

    def post(self, message: Message, config: Config) -> Post | Outcome:
        """Every try and redelivery of an event to a notification has the same `webhook-id`."""
        template = config.get("template")
        event, form = message.event, message.form
        content_type = _JSON  # a template's text is JSON as well
        if template:
            document = forms.document_of(event, form, message.links)
            try:
                body = _compiled(str(template)).render(document)
            except TemplateError as error:
                return Rejected(Code.TEMPLATE_ERROR, error.detail, fault=Fault.CONFIG)
        elif form is _QUAY:
            body = event.body
        else:
            body = forms.body_of(event, form, message.links)
            content_type = "Content-type", forms.CONTENT_TYPES[form]
        timestamp = int(message.now.timestamp())
        trigger = message.trigger
        headers = [
            content_type,
            _USER_AGENT,
            ("webhook-id", message.delivery_id),
            ("webhook-timestamp", str(timestamp)),
            *_signatures(message, timestamp, body),
            ("dockbell-event", event.kind),
            ("dockbell-attempt", str(message.attempt)),
            _BY_EVENT if trigger is _EVENT else ("dockbell-trigger", trigger.value),
        ]
        return Post(str(config.get("url")), body, headers)

    def stencil(self, notification: Notification, kind: str) -> Stencil | None:
        """For what is sent as it was recorded, signed by one key that does not end: as nearly always."""
        config, secrets = notification.config, notification.secrets
        if (
            config.get("template")
            or notification.payload_form is not _QUAY
            or notification.signatures != _V1_ONLY
            or len(secrets) != 1
            or secrets[0].kind is not _HMAC
            or secrets[0].expires_at is not None
        ):
            return None
        return _Stencil(str(config.get("url")), kind, secrets[0].value)

    def judge(self, message: Message, answer: Reply | UnreachableError) -> Outcome:
        exchange = _forgetful(answer.exchange, message)
        if exchange is not answer.exchange:
            if isinstance(answer, UnreachableError):
                answer.exchange = exchange
            else:
                answer = replace(answer, exchange=exchange)
        return posts.judge(message, answer)


class _Stencil:
    """Webhooks of one notification and kind that differ by their body, id, number, time and signature."""

    __slots__ = ("_harmless", "_said", "_sign", "form", "url")

    def __init__(self, url: str, kind: str, secret: bytes) -> None:
        self.url = url
        self._sign = signing.signer(secret)
        # The headers of an answer that was well and had no room for a secret, and what it means.
        self._harmless: Pairs | None = None
        self._said = ""
        self.form = HeaderForm(
            [
                _JSON,
                _USER_AGENT,
                ("webhook-id", None),
                ("webhook-timestamp", None),
                ("webhook-signature", None),
                ("dockbell-event", kind),
                ("dockbell-attempt", None),
                ("dockbell-trigger", None),
            ]
        )

    def values(self, order: Order, body: bytes, now: datetime) -> tuple[str, ...]:
        delivery_id, trigger = order.delivery_id, order.trigger
        timestamp = _seconds_of(now)
        return (
            delivery_id,
            timestamp,
            self._sign(delivery_id, timestamp, body),
            str(order.attempts + 1),
            _EVENT_WORD if trigger is _EVENT else trigger.value,
        )

    def judge(self, answer: Reply) -> Outcome | None:
        exchange = answer.exchange
        headers = exchange.response_headers
        if len(exchange.response_body) >= _SHORTEST_SECRET:
            return None
        if headers is self._harmless:  # the same head, and so the same status
            return Delivered(exchange, self._said)
        status = exchange.status or 0
        if not 200 <= status < 300 or not _are_short(headers):  # noqa: PLR2004 -- the numbers of the standard
            return None
        outcome = taken(exchange, status)
        if type(headers) is SharedPairs:
            self._harmless, self._said = headers, outcome.detail
        return outcome


@lru_cache(maxsize=64)
def _seconds_of(now: datetime) -> str:
    """Tries that begin together have one time."""
    return str(int(now.timestamp()))


def _signatures(message: Message, timestamp: int, body: bytes) -> list[tuple[str, str]]:
    """The headers that prove where the body comes from; none without a secret."""
    if message.signatures == _V1_ONLY and len(message.secrets) == 1:  # as nearly always
        secret = message.secrets[0]
        if secret.kind is _HMAC:
            signed = signing.signed_bytes(message.delivery_id, timestamp, body)
            return [("webhook-signature", signing.v1(secret.value, signed))]
    secrets = [secret.value for secret in message.secrets if secret.kind is _HMAC]
    if message.signatures == _V1_ONLY:
        if not secrets:
            return []
        return [
            ("webhook-signature", signing.sign(secrets, message.delivery_id, timestamp, body))
        ]
    parts = [signing.sign(secrets, message.delivery_id, timestamp, body)] if secrets else []
    if Signature.V1A in message.signatures:
        signed = signing.signed_bytes(message.delivery_id, timestamp, body)
        parts += [
            "v1a," + base64.b64encode(_ed25519(secret.value).sign(signed)).decode()
            for secret in message.secrets
            if secret.kind is SecretKind.ED25519
        ]
    headers = [("webhook-signature", " ".join(parts))] if parts else []
    if Signature.GITHUB in message.signatures:
        # The header holds one signature only: that of the newest secret, if there are any that is its own.
        for kind in (SecretKind.GITHUB, SecretKind.HMAC):
            newest = next((one for one in message.secrets if one.kind is kind), None)
            if newest is not None:
                headers.append(("X-Hub-Signature-256", signing.github(newest, body)))
                break
    return headers


def _are_short(headers: Pairs) -> bool:
    """Whether no secret has room in a value."""
    if isinstance(headers, SharedPairs):
        return headers.longest < _SHORTEST_SECRET
    return all(len(value) < _SHORTEST_SECRET for _, value in headers)


def _forgetful(exchange: Exchange, message: Message) -> Exchange:
    """The same without our signing secrets, which a target knows and may send back for everybody to read."""
    said = exchange.response_body
    if (
        len(said) < _SHORTEST_SECRET
        and message.signatures == _V1_ONLY
        and _are_short(exchange.response_headers)
    ):
        return exchange  # as nearly always
    texts = [
        secret.value if secret.kind is SecretKind.GITHUB else base64.b64encode(secret.value)
        for secret in message.secrets
    ]
    values = [value for _, value in exchange.response_headers]
    if not any(text in said or any(text.decode() in one for one in values) for text in texts):
        return exchange
    return replace(
        exchange,
        response_body=mask(said, texts),
        response_headers=tuple(
            (name, mask(value.encode("latin-1", "replace"), texts).decode("latin-1"))
            for name, value in exchange.response_headers
        ),
    )


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
