"""The forms of a webhook's body, for every event kind in the catalog, and what they do to a request."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dockbell.domain import forms
from dockbell.domain.events import Event, EventKind, Performer
from dockbell.domain.forms import PayloadForm
from dockbell.methods.webhook import METHOD
from tests.factories import KINDS, LINKS, NOON, WEB, event_of, message_of, sample_of
from tests.fakes import FakeOutbound

_GOLDEN = Path(__file__).parent / "golden"
_URL = "https://hooks.example.com/quay"
# As the registry tells it of a push.
_FACTS = {
    "tag": "v1",
    "digest": f"sha256:{'a' * 64}",
    "media_type": "application/vnd.oci.image.index.v1+json",
    "size": 856,
    "content_size": 24_117_248,
    "artifact_type": None,
    "platforms": ["linux/amd64", "linux/arm64/v8"],
    "previous_digest": f"sha256:{'b' * 64}",
    "subject_digest": None,
}
_ALICE = Performer("alice")


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> EventKind:
    return KINDS[request.param]


def told(kind: EventKind) -> Event:
    """An event of the kind with what its source can know of it."""
    if kind.name == "repo_push":
        return event_of(kind.name, {"updated_tags": ["v1"]}, performer=_ALICE, facts=_FACTS)
    return sample_of(kind, performer=_ALICE if kind.name.startswith("build") else None)


@pytest.mark.parametrize("form", [PayloadForm.QUAY_PLUS, PayloadForm.CLOUDEVENTS])
def test_a_form_is_kept_to_the_byte(kind: EventKind, form: PayloadForm) -> None:
    name = {PayloadForm.QUAY_PLUS: "quay-plus", PayloadForm.CLOUDEVENTS: "cloudevents"}[form]

    body = forms.body_of(told(kind), form, LINKS)

    assert body == (_GOLDEN / f"{kind.name}.{name}.json").read_bytes()


def test_quays_form_is_the_body_itself(kind: EventKind) -> None:
    event = told(kind)

    body = forms.body_of(event, PayloadForm.QUAY, LINKS)

    assert body is event.body


def test_quay_plus_begins_with_quays_body(kind: EventKind) -> None:
    event = told(kind)

    body = forms.body_of(event, PayloadForm.QUAY_PLUS, LINKS)

    assert body.startswith(event.body.removesuffix(b"}") + b", ")


def test_a_cloud_event_has_what_the_standard_asks_for(kind: EventKind) -> None:
    event = told(kind)

    document = json.loads(forms.body_of(event, PayloadForm.CLOUDEVENTS, LINKS))

    data = document.pop("data")
    subject = document.pop("subject")
    page = "organization" if kind.name.startswith("quota") else "repository"
    assert document == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": f"https://dockbell.test/{page}/{event.subject.path}",
        "type": f"dockbell.{kind.name}",
        "time": "2026-03-14T12:00:00.000000Z",
        "datacontenttype": "application/json",
    }
    assert subject == {"repo_push": "acme/web:v1"}.get(kind.name, event.subject.path)
    assert data == json.loads(forms.body_of(event, PayloadForm.QUAY_PLUS, LINKS))


def test_a_body_is_made_once(kind: EventKind) -> None:
    event = told(kind)

    first, second = (forms.body_of(event, PayloadForm.QUAY_PLUS, LINKS) for _ in range(2))

    assert first is second


def test_nothing_replaces_a_key_of_quay_or_of_the_event() -> None:
    event = event_of(
        "repo_push",
        {"digest": "quay's", "actor": "quay's"},
        facts={"digest": "ours", "event_id": "odd", "other": 1},
    )

    document = forms.document_of(event, PayloadForm.QUAY_PLUS, LINKS)

    shown = {key: document[key] for key in ("digest", "actor", "event_id", "other")}
    assert shown == {"digest": "quay's", "actor": "quay's", "event_id": "evt_1", "other": 1}


def test_times_are_told_in_utc() -> None:
    east = datetime(2026, 3, 14, 14, 30, 0, 5, timezone(timedelta(hours=2, minutes=30)))

    assert forms.moment(east) == "2026-03-14T12:00:00.000005Z"


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (PayloadForm.QUAY, "application/json"),
        (PayloadForm.QUAY_PLUS, "application/json"),
        (PayloadForm.CLOUDEVENTS, "application/cloudevents+json"),
    ],
)
async def test_a_webhook_posts_the_form_with_its_content_type(
    kind: EventKind, form: PayloadForm, content_type: str
) -> None:
    event, out = told(kind), FakeOutbound()

    await METHOD.send(message_of(event, form=form), {"url": _URL}, out)

    (post,) = out.posts
    assert (post.body, post.headers[0]) == (
        forms.body_of(event, form, LINKS),
        ("Content-type", content_type),
    )


@pytest.mark.parametrize(
    ("form", "rendered"),
    [
        (PayloadForm.QUAY, b'["acme/web", null, null]'),
        (PayloadForm.QUAY_PLUS, b'["acme/web", "v1", null]'),
        (PayloadForm.CLOUDEVENTS, b'[null, null, "dockbell.repo_push"]'),
    ],
)
async def test_a_template_is_filled_from_the_form(form: PayloadForm, rendered: bytes) -> None:
    out = FakeOutbound()
    template = '["${repository}", "${tag}", "${type}"]'

    await METHOD.send(
        message_of(told(KINDS["repo_push"]), form=form),
        {"url": _URL, "template": template},
        out,
    )

    (post,) = out.posts
    assert (post.body, post.headers[0]) == (rendered, ("Content-type", "application/json"))


def test_an_event_with_odd_names_still_has_a_source_that_is_a_uri() -> None:
    event = Event(
        id="evt_1",
        kind="repo_push",
        subject=WEB,
        body=b"{}",
        occurred_at=NOON,
        facts={"tag": ["not a text"]},
    )

    document = forms.document_of(event, PayloadForm.CLOUDEVENTS, LINKS)

    assert (document["source"], document["subject"]) == (
        "https://dockbell.test/repository/acme/web",
        "acme/web",
    )
