"""The event `referrer_attached`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class ReferrerAttached:
    """Something that is about an image was pushed: a signature, an SBOM, an attestation."""

    name = "referrer_attached"
    title = "Referrer attached"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("subject_digest", "digest")

    def level(self, event: Event) -> Level:
        del event
        return Level.SUCCESS

    def summary(self, event: Event) -> str:
        kind = one_line(text_of(event.data, "artifact_type")) or "A referrer"
        return f"{kind} attached in repository {event.subject.path}"

    def html(self, event: Event, links: Links) -> str:
        kind = markup.escaped(text_of(event.data, "artifact_type") or "A referrer")
        subject = markup.escaped(text_of(event.data, "subject_digest"))
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"{kind} was attached{by} to {subject} in repository {markup.repository(event, links)}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "subject_digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "digest": "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "artifact_type": "application/vnd.dev.cosign.artifact.sig.v1+json",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = ReferrerAttached()
