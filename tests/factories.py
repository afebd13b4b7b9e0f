"""Make what a test needs from the little that it says."""

from collections.abc import Mapping
from datetime import UTC, datetime

from dockbell import events, methods
from dockbell.domain.deliveries import Trigger
from dockbell.domain.events import Event, EventKind, EventScope, Performer, Subject, body_of
from dockbell.domain.forms import PayloadForm
from dockbell.domain.links import Links
from dockbell.domain.methods import Message
from dockbell.domain.signing import SecretKind, Signature, SigningSecret

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
LINKS = Links("https://dockbell.test")
WEB = Subject(namespace="acme", repository="web")
ACME = Subject(namespace="acme")
# Made once: each catalog asks every installed package whether it brings something.
KINDS = events.catalog()
METHODS = methods.catalog()


def subject_for(kind: EventKind) -> Subject:
    return WEB if kind.scope is EventScope.REPOSITORY else ACME


def event_of(
    kind: str,
    details: Mapping[str, object],
    *,
    subject: Subject = WEB,
    performer: Performer | None = None,
    build_id: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Event:
    return Event(
        id="evt_1",
        kind=kind,
        subject=subject,
        body=body_of(subject, details, LINKS, build_id=build_id),
        occurred_at=NOON,
        performer=performer,
        facts=facts or {},
    )


def sample_of(
    kind: EventKind,
    event_config: Mapping[str, object] | None = None,
    *,
    performer: Performer | None = None,
) -> Event:
    """The event that the test button sends."""
    subject = subject_for(kind)
    details = kind.sample(subject, event_config or {})
    build_id = details.get("build_id")
    return event_of(
        kind.name,
        details,
        subject=subject,
        performer=performer,
        build_id=None if build_id is None else str(build_id),
    )


def message_of(
    event: Event,
    *,
    secrets: tuple[bytes | SigningSecret, ...] = (),
    form: PayloadForm = PayloadForm.QUAY,
    signatures: tuple[Signature, ...] = (Signature.V1,),
    attempt: int = 1,
    trigger: Trigger = Trigger.EVENT,
    now: datetime = NOON,
) -> Message:
    return Message(
        event=event,
        kind=KINDS[event.kind],
        links=LINKS,
        delivery_id="dlv_1",
        notification_id="ntf_1",
        attempt=attempt,
        trigger=trigger,
        now=now,
        form=form,
        signatures=signatures,
        secrets=tuple(
            SigningSecret("sec_1", SecretKind.HMAC, one, NOON)
            if isinstance(one, bytes)
            else one
            for one in secrets
        ),
    )
