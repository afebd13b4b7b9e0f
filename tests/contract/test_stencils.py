"""What tries have in common is prepared once, and no request differs by it from one that was made by itself."""

import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from dockbell.domain.deliveries import Order, Trigger
from dockbell.domain.forms import PayloadForm
from dockbell.domain.methods import Reply, UnreachableError
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Exchange, FilledPairs, SharedPairs
from dockbell.domain.posts import FilledForm, HeaderForm, Post, Stenciling
from dockbell.domain.signing import SecretKind, Signature, SigningSecret
from dockbell.methods.webhook import METHOD, Webhook
from dockbell.net.headers import compose
from tests.factories import KINDS, NOON, message_of, sample_of

AGENT = "dockbell/1"
KEY = SigningSecret("sec_1", SecretKind.HMAC, b"k" * 32, NOON)
EVENT = sample_of(KINDS["repo_push"])
ORDER = Order(
    "dlv_1",
    "ntf_1",
    "evt_1",
    "ntf_1",
    Trigger.EVENT,
    tries=0,
    attempts=0,
    created_at=NOON,
    lease="l",
)


def notification_of(**changes: object) -> Notification:
    plain = Notification(
        id="ntf_1",
        uuid="0b8c1f6e-0000-4000-8000-000000000001",
        namespace_id="nsp_1",
        repository_id="rep_1",
        kind="repo_push",
        method="webhook",
        title=None,
        config={"url": "https://example.test/100%25/of?it"},
        event_config={},
        failure_streak=0,
        paused_at=None,
        pause_reason=None,
        created_at=NOON,
        secrets=(KEY,),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # -- each names a field of its own


@pytest.mark.parametrize("attempts", [0, 41])
@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("authorization", [None, "Basic dTpwYXNzd29yZA=="])
def test_a_request_is_the_same_byte_for_byte(
    attempts: int, trigger: Trigger, authorization: str | None
) -> None:
    notification = notification_of()
    stencil = Webhook().stencil(notification, EVENT.kind)
    assert stencil is not None
    order = ORDER._replace(attempts=attempts, trigger=trigger)
    message = message_of(EVENT, secrets=(KEY,), attempt=attempts + 1, trigger=trigger)
    by_itself = Webhook().post(message, notification.config)
    values = stencil.values(order, EVENT.body, NOON)
    headers = FilledForm(stencil.form, values)
    assert isinstance(by_itself, Post)
    assert Post(stencil.url, EVENT.body, headers.headers) == by_itself
    one = compose(by_itself.headers, authorization, AGENT)
    other = compose(headers, authorization, AGENT)
    assert other.text == one.text
    assert set(other.secrets) == set(one.secrets)
    assert len(one.secrets) == (1 if authorization is None else 2)
    assert isinstance(other.shown, FilledPairs)
    assert isinstance(one.shown, tuple)
    assert other.shown.form % other.shown.values == msgspec.json.encode(one.shown).decode()


def test_what_is_secret_is_not_shown() -> None:
    form = HeaderForm([("X-Token", None), ("X-Api-Key", "100%-secret"), ("x", None)])
    sent = compose(FilledForm(form, ("t0ken-of-mine", "50%")), None, AGENT)
    assert "X-Token: t0ken-of-mine\r\nX-Api-Key: 100%-secret\r\nx: 50%\r\n" in sent.text
    assert set(sent.secrets) == {b"t0ken-of-mine", b"100%-secret"}
    assert isinstance(sent.shown, FilledPairs)
    assert json.loads(sent.shown.form % sent.shown.values) == [
        ["X-Token", "(redacted)"],
        ["X-Api-Key", "(redacted)"],
        ["x", "50%"],
        ["Content-Type", "application/json"],
    ]


@pytest.mark.parametrize("value", ['"', "\\", "a\r\nB: c", "ü", "\x7f"])
def test_a_value_that_is_not_plain_is_looked_at_as_always(value: str) -> None:
    form = HeaderForm([("Content-Type", "application/json"), ("x", None)])
    spelled = [("Content-Type", "application/json"), ("x", value)]
    if value in {'"', "\\"}:
        assert compose(FilledForm(form, (value,)), None, AGENT) == compose(spelled, None, AGENT)
    else:
        with pytest.raises(UnreachableError, match="value of the header x"):
            compose(FilledForm(form, (value,)), None, AGENT)


def test_a_form_that_cannot_be_sent_is_refused() -> None:
    for form in (HeaderForm([("Host", None)]), HeaderForm([("x", "a\nb"), ("y", None)])):
        with pytest.raises(UnreachableError):
            compose(FilledForm(form, ("1",)), None, AGENT)


@pytest.mark.parametrize(
    "notification",
    [
        notification_of(config={"url": "https://a.test/", "template": "{}"}),
        notification_of(payload_form=PayloadForm.CLOUDEVENTS),
        notification_of(signatures=(Signature.V1, Signature.GITHUB)),
        notification_of(secrets=()),
        notification_of(secrets=(KEY, KEY)),
        notification_of(secrets=(replace(KEY, kind=SecretKind.ED25519),)),
        notification_of(secrets=(replace(KEY, expires_at=NOON + timedelta(days=1)),)),
    ],
)
def test_what_differs_from_try_to_try_is_not_prepared(notification: Notification) -> None:
    assert Webhook().stencil(notification, "repo_push") is None


@pytest.mark.parametrize(
    ("status", "body", "header"),
    [(500, b"", "x"), (204, b"k" * 32, "x"), (200, b"", "v" * 32), (302, b"", "x")],
)
def test_an_answer_that_may_tell_a_secret_or_bad_news_is_judged_by_the_method(
    status: int, body: bytes, header: str
) -> None:
    stencil = Webhook().stencil(notification_of(), "repo_push")
    assert stencil is not None
    exchange = Exchange(
        status=status, response_body=body, response_headers=SharedPairs([("a", header)])
    )
    assert stencil.judge(Reply(exchange)) is None


@pytest.mark.parametrize("status", [200, 204, 299])
def test_an_ordinary_answer_means_what_it_means_to_the_method(status: int) -> None:
    stencil = Webhook().stencil(notification_of(), "repo_push")
    assert stencil is not None
    reply = Reply(
        Exchange(
            status=status, response_body=b"thanks", response_headers=SharedPairs([("a", "b")])
        )
    )
    message = message_of(EVENT, secrets=(KEY,))
    assert stencil.judge(reply) == Webhook().judge(message, reply)


def test_the_method_is_one_that_prepares() -> None:
    assert isinstance(METHOD, Stenciling)
