"""The event `quota_error`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import text_of


class QuotaError:
    """A namespace uses more storage than its quota."""

    name = "quota_error"
    title = "Quota error"
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
        return Level.ERROR

    def summary(self, event: Event) -> str:
        percent = text_of(event.data, "usage_percent")
        return (
            f"Namespace {event.subject.namespace} storage usage has exceeded"
            f" its quota limit ({percent}%)"
        )

    def html(self, event: Event, links: Links) -> str:
        del links
        data = event.data
        used, limit = (text_of(data, f"{what}_bytes_formatted") for what in ("usage", "limit"))
        return (
            f"Namespace {markup.bold(event.subject.namespace)} storage usage has "
            f"{markup.bold('exceeded')} its quota limit "
            f"({markup.escaped(text_of(data, 'usage_percent'))}%). "
            f"<br><br> Current usage: {markup.escaped(used)} of {markup.escaped(limit)}. "
            "Image pushes may be rejected until storage usage is reduced."
        )

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "threshold_percent": 100,
            "usage_bytes": 1127428915,
            "limit_bytes": 1073741824,
            "usage_percent": 105,
            "usage_bytes_formatted": "1.05 GB",
            "limit_bytes_formatted": "1.00 GB",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = QuotaError()
