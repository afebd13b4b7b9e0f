"""What every method must do; runs for each one in the catalog. Then what only one of them does."""

import base64
import hmac
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

from dockbell import methods
from dockbell.domain import signing
from dockbell.domain.deliveries import Trigger
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Level, Performer
from dockbell.domain.letters import Letter
from dockbell.domain.methods import (
    Config,
    MailPhase,
    Method,
    Recipient,
    Reply,
    UnreachableError,
)
from dockbell.domain.outcomes import (
    NOTHING_SENT,
    Code,
    Delivered,
    Exchange,
    Failed,
    Fault,
    Rejected,
)
from dockbell.domain.product import USER_AGENT
from dockbell.domain.signing import SecretKind, Signature, SigningSecret
from dockbell.methods.email import Email
from dockbell.methods.flowdock import Flowdock
from dockbell.methods.hipchat import HipChat
from tests.factories import KINDS, NOON, WEB, event_of, message_of, sample_of
from tests.fakes import FakeLookup, FakeOutbound, Notice, Post, mail_reply_of, reply_of

_BASE = "https://chat.example.com/old"
# As the composition root makes them: with everything set.
_METHODS = {
    **methods.catalog(),
    "email": Email(has_server=True),
    "flowdock": Flowdock(_BASE, "bell@dockbell.test"),
    "hipchat": HipChat(_BASE),
}
_OVER_HTTP = ["flowdock", "hipchat", "slack", "webhook"]
_URL = "https://hooks.example.com/quay"
_PUSH = sample_of(KINDS["repo_push"])
_MESSAGE = message_of(_PUSH)


@pytest.fixture(params=sorted(_METHODS))
def method(request: pytest.FixtureRequest) -> Method:
    return _METHODS[request.param]


def _examples(method: Method) -> Config:
    return {field.key: field.example for field in method.fields}


async def _refusal(
    name: str, config: Config, lookup: FakeLookup | None = None
) -> tuple[str, str | None] | None:
    """The text and the field that a check refuses with, or None if it takes the config."""
    try:
        await _METHODS[name].check(config, lookup or FakeLookup())
    except ConfigError as error:
        return error.detail, error.field
    return None


def test_the_catalog_has_quays_six() -> None:
    found = {name: (method.title, method.signs) for name, method in _METHODS.items()}

    assert found == {
        "email": ("Email Notification", False),
        "flowdock": ("Flowdock Team Notification", False),
        "hipchat": ("HipChat Room Notification", False),
        "quay_notification": ("dockbell Notification", False),
        "slack": ("Slack Notification", False),
        "webhook": ("Webhook POST", True),
    }


async def test_examples_pass_the_check(method: Method) -> None:
    assert await _refusal(method.name, _examples(method)) is None


async def test_an_example_is_delivered(method: Method) -> None:
    result = await method.send(_MESSAGE, _examples(method), FakeOutbound())

    assert (type(result), result.code) == (Delivered, Code.OK)


async def test_required_fields_are_asked_for(method: Method) -> None:
    for field in method.fields:
        config = {key: value for key, value in _examples(method).items() if key != field.key}

        refusal = await _refusal(method.name, config)

        asked_for = refusal is not None and refusal[1] == field.key
        assert (field.key, asked_for) == (field.key, field.required)


def test_the_target_shows_no_secret(method: Method) -> None:
    config = _examples(method)

    shown = method.target(config)

    secrets = [str(config[field.key]) for field in method.fields if field.secret]
    assert [secret for secret in [*secrets, "s3cret"] if secret in shown] == []
    assert shown != ""


@pytest.mark.parametrize("odd", [None, 5, True, "", "x", [], ["x"], {}, {"kind": 5}], ids=repr)
async def test_odd_settings_are_refused_and_can_still_be_shown(
    method: Method, odd: object
) -> None:
    config = {field.key: odd for field in method.fields}

    refusal = await _refusal(method.name, config)

    is_token = odd == "x" and method.name in {"flowdock", "hipchat"}  # any text can be one
    assert (refusal is None) == is_token
    assert isinstance(method.target(config), str)


def test_only_what_cannot_deliver_warns() -> None:
    bare = methods.catalog()

    warnings = {name: (bare[name].warning, method.warning) for name, method in _METHODS.items()}

    gone = (
        "was shut down, so nothing will arrive: choose another method, or have an operator set"
    )
    assert warnings == {
        "email": (
            "This server sends no mail yet: have an operator set `smtp_host` and `mail_from`.",
            None,
        ),
        "flowdock": (f"Flowdock {gone} `flowdock_url`.", None),
        "hipchat": (f"HipChat {gone} `hipchat_url`.", None),
        "quay_notification": (None, None),
        "slack": (None, None),
        "webhook": (None, None),
    }


@pytest.mark.parametrize(
    ("method", "service", "setting"),
    [(Flowdock(), "Flowdock", "flowdock_url"), (HipChat(), "HipChat", "hipchat_url")],
)
async def test_a_service_that_is_gone_ends_the_delivery_with_advice(
    method: Method, service: str, setting: str
) -> None:
    out = FakeOutbound()

    result = await method.send(_MESSAGE, _examples(method), out)

    assert result == Rejected(
        Code.SERVICE_DISCONTINUED,
        f"{service} was shut down: choose another method, or have an operator set `{setting}`.",
        fault=Fault.CONFIG,
    )
    assert (out.posts, await _refusal(method.name, _examples(method))) == ([], None)


@pytest.mark.parametrize("name", _OVER_HTTP)
@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (200, Delivered, Code.OK),
        (204, Delivered, Code.OK),
        (302, Failed, Code.REDIRECT_NOT_FOLLOWED),
        (404, Failed, Code.HTTP_4XX),
        (410, Rejected, Code.HTTP_410),
        (429, Failed, Code.HTTP_429),
        (500, Failed, Code.HTTP_5XX),
    ],
)
async def test_an_answer_gives_the_right_outcome(
    name: str, status: int, outcome: type, code: Code
) -> None:
    reply = reply_of(status, location="https://elsewhere.example.com/")

    result = await _METHODS[name].send(_MESSAGE, _examples(_METHODS[name]), FakeOutbound(reply))

    assert (type(result), result.code, result.exchange) == (outcome, code, reply.exchange)


@pytest.mark.parametrize("name", _OVER_HTTP)
async def test_a_target_may_say_when_to_come_back(name: str) -> None:
    out = FakeOutbound(reply_of(429, retry_after="120"))

    result = await _METHODS[name].send(_MESSAGE, _examples(_METHODS[name]), out)

    assert isinstance(result, Failed)
    assert result.retry_after == timedelta(seconds=120)


@pytest.mark.parametrize("name", _OVER_HTTP)
@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (Code.FIRST_BYTE_TIMEOUT, Fault.TARGET),
        (Code.CONNECT_REFUSED, Fault.TARGET),
        (Code.BLOCKED_ADDRESS, Fault.CONFIG),
        (Code.DNS_TIMEOUT, Fault.OURS),
    ],
)
async def test_silence_is_a_failure_with_its_cause(name: str, code: Code, fault: Fault) -> None:
    exchange = Exchange(address="192.0.2.1")
    error = UnreachableError(code, "No answer.", fault=fault, exchange=exchange)

    result = await _METHODS[name].send(_MESSAGE, _examples(_METHODS[name]), FakeOutbound(error))

    assert result == Failed(code=code, detail="No answer.", exchange=exchange, fault=fault)


# webhook


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Missing webhook URL"),
        ({"url": ""}, "Missing webhook URL"),
        ({"url": None}, "Missing webhook URL"),
        ({"url": "", "template": "{"}, "Missing webhook URL"),
        ({"url": "telnet://example.com"}, "Invalid webhook URL"),
        ({"url": "example.com", "template": "{"}, "Invalid webhook URL"),
        ({"url": "http://"}, "Invalid webhook URL"),
        ({"url": "http:///x"}, "Invalid webhook URL"),
        ({"url": "http://[::1/x"}, "Invalid webhook URL"),
        ({"url": 5}, "Invalid webhook URL"),
        ({"url": ["http://example.com"]}, "Invalid webhook URL"),
        ({"url": "http://example.com/\r\nx"}, "Invalid webhook URL"),
    ],
)
async def test_a_webhook_url_is_refused(config: Config, message: str) -> None:
    assert await _refusal("webhook", config) == (message, "url")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://LocalHost:5000/",
        "https://127.0.0.1:5000/",
        "http://127.0.0.2/",
        "http://10.0.0.1/",
    ],
)
async def test_a_webhook_address_that_the_guard_refuses_is_refused(url: str) -> None:
    lookup = FakeLookup(addresses={url: "Private. Set DOCKBELL_EGRESS_ALLOW."})
    literal = "0.0.0" not in url or "127.0.0.1" in url
    quays = literal and "127.0.0.2" not in url

    refusals = [
        await _refusal("webhook", {"url": url}, each) for each in (lookup, FakeLookup())
    ]

    text = "Invalid webhook URL" if quays else "Private. Set DOCKBELL_EGRESS_ALLOW."
    assert refusals == [(text, "url"), None]


@pytest.mark.parametrize("template", [None, "", "{}", '"${repository}"'])
async def test_a_webhook_template_is_taken(template: object) -> None:
    assert await _refusal("webhook", {"url": _URL, "template": template}) is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{x",
            "Could not parse template: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ('"${}"', "Empty expression found"),
        (
            '"${;;}"',
            "For expression `;;`: Error on line 1, col 0: Unexpected character: ; ",
        ),
        ({"a": 1}, "Could not parse template: it must be a string that holds JSON"),
        (5, "Could not parse template: it must be a string that holds JSON"),
        (0, "Could not parse template: it must be a string that holds JSON"),
        (False, "Could not parse template: it must be a string that holds JSON"),
    ],
)
async def test_a_webhook_template_is_refused(template: object, message: str) -> None:
    lookup = FakeLookup(addresses={_URL: "Refused."})

    refusal = await _refusal("webhook", {"url": _URL, "template": template}, lookup)

    assert refusal == (message, "template")


async def test_a_webhook_sends_the_event_as_it_is() -> None:
    out = FakeOutbound()

    await _METHODS["webhook"].send(_MESSAGE, {"url": _URL, "template": ""}, out)

    assert out.posts == [
        Post(
            _URL,
            _PUSH.body,
            (
                ("Content-type", "application/json"),
                ("User-Agent", USER_AGENT),
                ("webhook-id", "dlv_1"),
                ("webhook-timestamp", str(int(NOON.timestamp()))),
                ("dockbell-event", "repo_push"),
                ("dockbell-attempt", "1"),
                ("dockbell-trigger", "event"),
            ),
        )
    ]


async def test_a_webhook_is_signed_in_every_way_that_is_chosen() -> None:
    new, old = b"n" * 32, b"o" * 32
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    pair = SigningSecret("sec_k", SecretKind.ED25519, b"k" * 32, NOON)
    out = FakeOutbound()
    message = message_of(_PUSH, secrets=(new, pair, old), signatures=tuple(Signature))

    await _METHODS["webhook"].send(message, {"url": _URL}, out)

    headers = dict(out.posts[0].headers)
    first, second, third = headers["webhook-signature"].split(" ")
    body = _PUSH.body.decode()
    assert [first, second] == [
        Webhook(signing.to_text(secret)).sign("dlv_1", NOON, body) for secret in (new, old)
    ]
    version, _, signature = third.partition(",")
    signed = f"dlv_1.{int(NOON.timestamp())}.{body}".encode()
    key.public_key().verify(base64.b64decode(signature, validate=True), signed)  # or raises
    assert version == "v1a"
    assert headers["X-Hub-Signature-256"] == (
        "sha256=" + hmac.new(signing.to_text(new).encode(), _PUSH.body, "sha256").hexdigest()
    )


async def test_githubs_header_takes_a_text_of_its_own_before_the_signing_secret() -> None:
    own = SigningSecret("sec_g", SecretKind.GITHUB, b"sesame", NOON)
    out = FakeOutbound()
    message = message_of(_PUSH, secrets=(b"n" * 32, own), signatures=tuple(Signature))

    await _METHODS["webhook"].send(message, {"url": _URL}, out)

    headers = dict(out.posts[0].headers)
    expected = hmac.new(b"sesame", _PUSH.body, "sha256").hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert headers["webhook-signature"] == Webhook(signing.to_text(b"n" * 32)).sign(
        "dlv_1", NOON, _PUSH.body.decode()
    )


async def test_a_key_pair_alone_signs_only_what_was_chosen() -> None:
    pair = SigningSecret("sec_k", SecretKind.ED25519, b"k" * 32, NOON)
    found = []
    for signatures in ((Signature.V1,), (Signature.V1, Signature.V1A), tuple(Signature)):
        out = FakeOutbound()
        await _METHODS["webhook"].send(
            message_of(_PUSH, secrets=(pair,), signatures=signatures), {"url": _URL}, out
        )
        headers = dict(out.posts[0].headers)
        found.append(
            (headers.get("webhook-signature", "")[:4], "X-Hub-Signature-256" in headers)
        )

    assert found == [("", False), ("v1a,", False), ("v1a,", False)]


async def test_a_webhook_is_signed_with_every_live_secret() -> None:
    new, old = b"n" * 32, b"o" * 32
    out = FakeOutbound()
    message = message_of(_PUSH, secrets=(new, old), attempt=3, trigger=Trigger.REDELIVER)

    await _METHODS["webhook"].send(message, {"url": _URL, "template": '"é ${repository}"'}, out)

    body = '"\\u00e9 acme/web"'
    signatures = [
        Webhook(signing.to_text(secret)).sign("dlv_1", NOON, body) for secret in (new, old)
    ]
    assert out.posts == [
        Post(
            _URL,
            body.encode(),
            (
                ("Content-type", "application/json"),
                ("User-Agent", USER_AGENT),
                ("webhook-id", "dlv_1"),
                ("webhook-timestamp", str(int(NOON.timestamp()))),
                ("webhook-signature", " ".join(signatures)),
                ("dockbell-event", "repo_push"),
                ("dockbell-attempt", "3"),
                ("dockbell-trigger", "redeliver"),
            ),
        )
    ]


async def test_the_id_stays_when_an_event_is_tried_again_later() -> None:
    out = FakeOutbound()
    later = NOON + timedelta(hours=1)
    tries = [
        message_of(_PUSH),
        message_of(_PUSH, attempt=2, now=later),
        message_of(_PUSH, attempt=3, now=later, trigger=Trigger.REDELIVER),
    ]

    for message in tries:
        await _METHODS["webhook"].send(message, {"url": _URL}, out)

    sent = [dict(post.headers) for post in out.posts]
    assert [headers["webhook-id"] for headers in sent] == ["dlv_1"] * 3
    assert [int(headers["webhook-timestamp"]) - int(NOON.timestamp()) for headers in sent] == [
        0,
        3600,
        3600,
    ]


async def test_a_template_that_cannot_be_rendered_ends_the_delivery() -> None:
    event = event_of("repo_push", {"updated_tags": ["x" * 1000] * 1000})
    out = FakeOutbound()

    result = await _METHODS["webhook"].send(
        message_of(event), {"url": _URL, "template": '"${$}${$}"'}, out
    )

    assert result == Rejected(
        Code.TEMPLATE_ERROR,
        "The template's result is longer than 1048576 characters.",
        fault=Fault.CONFIG,
    )
    assert out.posts == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/in?token=s3cret", "https://example.com/…"),
        ("https://alice:s3cret@example.com:8443/", "https://***@example.com:8443/"),
        ("nonsense", "Webhook"),
    ],
)
def test_the_target_of_a_webhook(url: str, shown: str) -> None:
    assert _METHODS["webhook"].target({"url": url}) == shown


# slack


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Missing Slack Callback URL"),
        ({"url": ""}, "Missing Slack Callback URL"),
        ({"url": "not a url"}, "Invalid Slack Callback URL"),
        ({"url": 5}, "Invalid Slack Callback URL"),
        ({"url": "http://localhost/"}, "Loopback. Set DOCKBELL_EGRESS_ALLOW."),
    ],
)
async def test_a_slack_address_is_refused(config: Config, message: str) -> None:
    lookup = FakeLookup(addresses={"http://localhost/": "Loopback. Set DOCKBELL_EGRESS_ALLOW."})

    assert await _refusal("slack", config, lookup) == (message, "url")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"ok", (Delivered, Code.OK, False)),
        (400, b"invalid_payload", (Rejected, Code.HTTP_4XX, False)),
        (400, b"no_text\n", (Rejected, Code.HTTP_4XX, False)),
        (403, b"action_prohibited", (Rejected, Code.HTTP_4XX, False)),
        (403, b"invalid_token", (Rejected, Code.HTTP_4XX, True)),
        (404, b"no_service", (Rejected, Code.HTTP_4XX, True)),
        (404, b"channel_not_found", (Rejected, Code.HTTP_4XX, True)),
        (410, b"channel_is_archived", (Rejected, Code.HTTP_410, True)),
        # Not its words, or not said as an answer to the message: by the status, as for everybody.
        (404, b"", (Failed, Code.HTTP_4XX, False)),
        (404, b"no such page: no_service", (Failed, Code.HTTP_4XX, False)),
        (404, b"\xff\xfe", (Failed, Code.HTTP_4XX, False)),
        (429, b"no_service", (Failed, Code.HTTP_429, False)),
        (500, b"rollup_error", (Failed, Code.HTTP_5XX, False)),
        (500, b"no_service", (Failed, Code.HTTP_5XX, False)),
        (200, b"no_service", (Delivered, Code.OK, False)),
    ],
)
async def test_slacks_own_words_say_what_no_further_try_can_mend(
    status: int, body: bytes, expected: tuple[type, Code, bool]
) -> None:
    out = FakeOutbound(Reply(Exchange(status=status, response_body=body), None))

    result = await _METHODS["slack"].send(_MESSAGE, {"url": _URL}, out)

    gone = isinstance(result, Rejected) and result.gone
    assert (type(result), result.code, gone) == expected
    assert _URL not in result.detail


async def test_slack_takes_any_web_address() -> None:
    assert await _refusal("slack", {"url": "http://example.com"}) is None


async def test_slack_gets_quays_document() -> None:
    out = FakeOutbound()
    event = sample_of(KINDS["repo_push"], performer=Performer("alice"))

    await _METHODS["slack"].send(message_of(event), {"url": _URL}, out)

    base = "https://dockbell.test/repository/acme/web"
    document = {
        "text": "Repository acme/web updated",
        "username": "quayiobot",
        "attachments": [
            {
                "fallback": "Repository acme/web updated",
                "text": f"*alice* pushed <{base}?tag=latest&tab=tags|latest>,"
                f" <{base}?tag=foo&tab=tags|foo> in repository <{base}|acme/web>",
                "color": "good",
                "mrkdwn_in": ["text"],
            }
        ],
    }
    headers = (("Content-type", "application/json"), ("User-Agent", USER_AGENT))
    assert out.posts == [Post(_URL, json.dumps(document).encode(), headers)]


@pytest.mark.parametrize(
    ("kind", "level", "color"),
    [
        ("build_start", Level.INFO, "#ffffff"),
        ("quota_warning", Level.WARNING, "warning"),
        ("build_failure", Level.ERROR, "danger"),
        ("build_success", Level.SUCCESS, "good"),
        ("repo_push", Level.PRIMARY, "good"),
    ],
)
async def test_slack_colors_by_level(kind: str, level: Level, color: str) -> None:
    out = FakeOutbound()
    message = message_of(sample_of(KINDS[kind]))

    await _METHODS["slack"].send(message, {"url": _URL}, out)

    shown = json.loads(out.posts[0].body)["attachments"][0]["color"]
    assert (message.level, shown) == (level, color)


# quay_notification


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, "Missing target"),
        ({}, "Missing target"),
        ("", "Missing target"),
        ({"name": "alice"}, "Missing target"),
        ({"kind": "", "name": "alice"}, "Missing target"),
        ("alice", "The target must be an object with kind and name"),
        (["alice"], "The target must be an object with kind and name"),
        (
            {"kind": "robot", "name": "acme+bot"},
            "Unknown target kind robot. Must be one of: org, team, user",
        ),
        (
            {"kind": 5, "name": "alice"},
            "Unknown target kind 5. Must be one of: org, team, user",
        ),
        (
            {"kind": ["user"], "name": "alice"},
            "Unknown target kind ['user']. Must be one of: org, team, user",
        ),
        ({"kind": "user"}, "Missing target name"),
        ({"kind": "user", "name": 5}, "Missing target name"),
        ({"kind": "user", "name": "nobody"}, "Unknown user nobody"),
        (
            {"kind": "org", "name": "other"},
            "Organization name must match repository namespace",
        ),
    ],
)
async def test_a_recipient_is_refused(target: object, message: str) -> None:
    lookup = FakeLookup(
        recipients={
            "nobody": "Unknown user nobody",
            "other": "Organization name must match repository namespace",
        }
    )

    refusal = await _refusal("quay_notification", {"target": target}, lookup)

    assert refusal == (message, "target")


@pytest.mark.parametrize("kind", ["user", "org", "team"])
async def test_a_recipient_is_asked_for_and_gets_the_notice(kind: str) -> None:
    config = {
        "target": {"kind": kind, "name": "x", "is_robot": False, "avatar": {"kind": kind}}
    }
    lookup, out = FakeLookup(), FakeOutbound(inboxes=2)

    refusal = await _refusal("quay_notification", config, lookup)
    result = await _METHODS["quay_notification"].send(_MESSAGE, config, out)

    assert (refusal, lookup.asked) == (None, [Recipient(kind, "x")])
    assert out.notices == [Notice(_MESSAGE, Recipient(kind, "x"))]
    assert result == Delivered(detail="It is in 2 inboxes.")
    assert _METHODS["quay_notification"].target(config) == f"{kind} x"


async def test_nobody_left_counts_as_delivered() -> None:
    config = {"target": {"kind": "team", "name": "owners"}}

    result = await _METHODS["quay_notification"].send(_MESSAGE, config, FakeOutbound(inboxes=0))

    assert result == Delivered(
        exchange=NOTHING_SENT,
        code=Code.NO_RECIPIENT,
        detail="Nobody got it: there is no team owners any more, or nobody in it.",
    )


async def test_a_broken_recipient_ends_the_delivery() -> None:
    result = await _METHODS["quay_notification"].send(_MESSAGE, {"target": 5}, FakeOutbound())

    assert result == Rejected(
        Code.CONFIG_INVALID,
        "The target must be an object with kind and name",
        fault=Fault.CONFIG,
    )


# flowdock and hipchat


@pytest.mark.parametrize(
    ("config", "message", "field"),
    [
        ({}, "Missing Hipchat Room Notification Token", "notification_token"),
        ({"room_id": 5}, "Missing Hipchat Room Notification Token", "notification_token"),
        ({"notification_token": "t"}, "Missing Hipchat Room ID", "room_id"),
        ({"notification_token": "t", "room_id": 0}, "Missing Hipchat Room ID", "room_id"),
        (
            {"notification_token": 5, "room_id": 5},
            "The Hipchat Room Notification Token must be a string",
            "notification_token",
        ),
        (
            {"notification_token": "t", "room_id": [5]},
            "The Hipchat Room ID must be a number or a name",
            "room_id",
        ),
    ],
)
async def test_a_hipchat_room_is_refused(config: Config, message: str, field: str) -> None:
    assert await _refusal("hipchat", config) == (message, field)


async def test_a_hipchat_room_may_be_a_number_or_a_name() -> None:
    config = {"notification_token": "t"}

    found = [await _refusal("hipchat", {**config, "room_id": room}) for room in (42, "Ops")]

    assert found == [None, None]


async def test_a_flowdock_token_is_asked_for() -> None:
    found = [await _refusal("flowdock", {"flow_api_token": token}) for token in ("", 5)]

    assert found == [
        ("Missing Flowdock API Token", "flow_api_token"),
        ("The Flowdock API Token must be a string", "flow_api_token"),
    ]


async def test_hipchat_gets_quays_document() -> None:
    out = FakeOutbound()
    config = {"notification_token": "a/b?c", "room_id": "4 2"}

    await _METHODS["hipchat"].send(_MESSAGE, config, out)

    document = {
        "color": "purple",
        "message": _MESSAGE.html,
        "notify": False,
        "message_format": "html",
    }
    assert out.posts == [
        Post(
            f"{_BASE}/v2/room/4%202/notification?auth_token=a%2Fb%3Fc",
            json.dumps(document).encode(),
            (("Content-type", "application/json"), ("User-Agent", USER_AGENT)),
        )
    ]
    assert _METHODS["hipchat"].host(config) == "chat.example.com:443"


@pytest.mark.parametrize(
    ("kind", "color", "notify"),
    [
        ("build_start", "gray", False),
        ("quota_warning", "yellow", False),
        ("build_failure", "red", True),
        ("build_success", "green", False),
        ("repo_push", "purple", False),
    ],
)
async def test_hipchat_colors_by_level(kind: str, color: str, notify: bool) -> None:  # noqa: FBT001 -- part of a table
    out = FakeOutbound()
    message = message_of(sample_of(KINDS[kind]))

    await _METHODS["hipchat"].send(message, _examples(_METHODS["hipchat"]), out)

    sent = json.loads(out.posts[0].body)
    assert (sent["color"], sent["notify"]) == (color, notify)


async def test_flowdock_gets_quays_document() -> None:
    out = FakeOutbound()

    await _METHODS["flowdock"].send(_MESSAGE, {"flow_api_token": "a/b"}, out)

    document = {
        "source": "Quay",
        "from_address": "bell@dockbell.test",
        "subject": "Repository acme/web updated",
        "content": _MESSAGE.html,
        "from_name": "acme",
        "project": "acme web",
        "tags": ["#repo_push"],
        "link": "https://dockbell.test/repository/acme/web",
    }
    assert out.posts == [
        Post(
            f"{_BASE}/v1/messages/team_inbox/a%2Fb",
            json.dumps(document).encode(),
            (("Content-type", "application/json"), ("User-Agent", USER_AGENT)),
        )
    ]
    assert _METHODS["flowdock"].host({}) == "chat.example.com:443"


# email


@pytest.mark.parametrize(
    "address",
    [
        "other@example.com",
        "Team@example.com",
        "not an address",
        "team@example.com\r\nBcc: x@example.com",
        5,
    ],
)
async def test_an_address_that_is_not_confirmed_is_refused_in_quays_words(
    address: object,
) -> None:
    assert await _refusal("email", {"email": address}) == (
        "The specified e-mail address is not authorized to receive notifications for this repository",
        "email",
    )


async def test_a_mail_has_text_html_and_a_way_to_end_it() -> None:
    out = FakeOutbound()
    event = sample_of(KINDS["repo_push"], performer=Performer("<b>alice"))

    await _METHODS["email"].send(message_of(event), {"email": "team@example.com"}, out)

    end = "https://dockbell.test/unsubscribe?id=aem_1&code=c0de"
    page = "https://dockbell.test/repository/acme/web"
    tags = [f"{page}?tag={tag}&amp;tab=tags" for tag in ("latest", "foo")]
    assert out.letters == [
        Letter(
            to="team@example.com",
            subject="Repository acme/web updated",
            text=f"<b>alice pushed latest ({page}?tag=latest&tab=tags), foo ({page}?tag=foo&tab=tags)"
            f" in repository acme/web ({page})\n\n-- \n"
            "You get this mail because team@example.com was confirmed for acme/web on dockbell.test.\n"
            f"To end these mails, open {end}\n",
            html='<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width">\n'
            "<title>Repository acme/web updated</title>\n</head>\n"
            '<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">\n'
            f'<p><b>&lt;b&gt;alice</b> pushed <a href="{tags[0]}">latest</a>, <a href="{tags[1]}">foo</a>'
            f' in repository <a href="{page}">acme/web</a></p>\n<hr>\n'
            '<p style="color: #666; font-size: smaller">'
            "You get this mail because team@example.com was confirmed for acme/web on dockbell.test. "
            '<a href="https://dockbell.test/unsubscribe?id=aem_1&amp;code=c0de">End these mails</a></p>\n'
            "</body>\n</html>\n",
            message_id="dlv_1@dockbell.test",
            date=NOON,
            unsubscribe=end,
        )
    ]


async def test_a_mail_has_the_same_id_at_every_try() -> None:
    out = FakeOutbound()
    config = {"email": "team@example.com"}

    for attempt in (1, 2):
        await _METHODS["email"].send(message_of(_PUSH, attempt=attempt), config, out)

    assert [letter.message_id for letter in out.letters] == ["dlv_1@dockbell.test"] * 2


async def test_an_address_that_was_taken_back_gets_nothing() -> None:
    out = FakeOutbound(unsubscribe=None)

    result = await _METHODS["email"].send(_MESSAGE, {"email": "team@example.com"}, out)

    assert result == Rejected(
        Code.MAIL_UNCONFIRMED,
        "The owner of team@example.com has not agreed to mail about acme/web, or ended it.",
        fault=Fault.CONFIG,
    )
    assert (out.asked, out.letters) == (["team@example.com"], [])


async def test_an_address_that_cannot_be_sent_to_ends_the_delivery() -> None:
    out = FakeOutbound()

    result = await _METHODS["email"].send(_MESSAGE, {"email": "a@b.example\nx"}, out)

    assert result == Rejected(
        Code.CONFIG_INVALID,
        "The e-mail address must end in the name of a domain, such as @example.com.",
        fault=Fault.CONFIG,
    )
    assert (out.asked, out.letters) == ([], [])


@pytest.mark.parametrize(
    ("status", "phase", "outcome", "code"),
    [
        (250, MailPhase.BODY, Delivered, Code.OK),
        (450, MailPhase.RECIPIENT, Failed, Code.MAIL_DEFERRED),
        (550, MailPhase.RECIPIENT, Rejected, Code.MAIL_RECIPIENT_REFUSED),
        (552, MailPhase.BODY, Rejected, Code.MAIL_REFUSED),
        (535, MailPhase.LOGIN, Failed, Code.MAIL_LOGIN_FAILED),
    ],
)
async def test_an_answer_of_the_mail_server_gives_the_right_outcome(
    status: int, phase: MailPhase, outcome: type, code: Code
) -> None:
    out = FakeOutbound(mailed=mail_reply_of(status, phase))

    result = await _METHODS["email"].send(_MESSAGE, {"email": "team@example.com"}, out)

    assert (type(result), result.code, result.exchange.status) == (outcome, code, status)


async def test_silence_of_the_mail_server_is_a_failure_with_its_cause() -> None:
    error = UnreachableError(Code.CONNECT_REFUSED, "No answer.", fault=Fault.OURS)

    result = await _METHODS["email"].send(
        _MESSAGE, {"email": "team@example.com"}, FakeOutbound(error)
    )

    assert result == Failed(code=Code.CONNECT_REFUSED, detail="No answer.", fault=Fault.OURS)


def test_the_fakes_are_of_this_world() -> None:
    assert (WEB.path, _PUSH.data["repository"]) == ("acme/web", "acme/web")
