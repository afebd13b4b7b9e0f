"""The event `quota_warning`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import text_of


class QuotaWarning:
    """A namespace uses a good part of its storage quota."""

    name = "quota_warning"
    title = "Quota warning"
    scope = EventScope.NAMESPACE
    needs: tuple[str, ...] = (
        "threshold_percent",
        "usage_bytes",
        "limit_bytes",
        "usage_percent",
        "usage_bytes_formatted",
        "limit_bytes_formatted",
    )

    def level(self, event: Event) -> Level:
        del event
        return Level.WARNING

    def summary(self, event: Event) -> str:
        percent = text_of(event.data, "threshold_percent")
        return (
            f"Namespace {event.subject.namespace} storage usage has reached"
            f" {percent}% of its quota limit"
        )

    def html(self, event: Event, links: Links) -> str:
        del links
        data = event.data
        used, limit = (text_of(data, f"{what}_bytes_formatted") for what in ("usage", "limit"))
        return (
            f"Namespace {markup.bold(event.subject.namespace)} storage usage has reached "
            f"{markup.bold(text_of(data, 'threshold_percent') + '%')} of its quota limit. "
            f"<br><br> Current usage: {markup.escaped(text_of(data, 'usage_percent'))}% "
            f"({markup.escaped(used)} of {markup.escaped(limit)})"
        )

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "threshold_percent": 80,
            "usage_bytes": 858993459,
            "limit_bytes": 1073741824,
            "usage_percent": 80,
            "usage_bytes_formatted": "819.20 MB",
            "limit_bytes_formatted": "1.00 GB",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = QuotaWarning()
