"""Reports of vulnerability scanners: what is read of them, and which of it is news."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from dockbell.domain import severities
from dockbell.domain.errors import ConfigError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.severities import SEVERITIES

MOST_FINDINGS = 50_000  # in one report
SHOWN = 100  # vulnerabilities and tags in one event
_LONGEST = 255  # characters of an id, a package, a version
_LONGEST_TEXT = 1000  # of a description or a link
_CERTAIN = len(SEVERITIES) - 1


class ScanReportError(ConfigError):
    """The report cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one package of an image."""

    id: str
    severity: str  # one of SEVERITIES
    package: str = ""
    version: str = ""
    fixed_in: str = ""
    description: str = ""
    link: str = ""


def finding_of(  # noqa: PLR0913 -- one argument for each thing that scanners tell
    vulnerability_id: str,
    severity: str | None,
    *,
    package: str | None,
    version: str | None,
    fixed_in: str | None,
    description: str | None,
    links: Iterable[str | None],
) -> Finding:
    """A finding in our words and lengths. What a scanner calls no severity that anybody knows is Unknown."""
    index = severities.index_of_name(severity)
    return Finding(
        id=_line(vulnerability_id)[:_LONGEST],
        severity=SEVERITIES[_CERTAIN if index is None else index],
        package=_line(package)[:_LONGEST],
        version=_line(version)[:_LONGEST],
        fixed_in=_line(fixed_in)[:_LONGEST],
        description=_clean(description)[:_LONGEST_TEXT],
        link=next((_line(link)[:_LONGEST_TEXT] for link in links if link), ""),
    )


def _clean(text: str | None) -> str:
    # PostgreSQL stores no such character.
    return (text or "").replace("\0", "")


def _line(text: str | None) -> str:
    return " ".join(_clean(text).split())


class Scanner(Protocol):
    """A scanner whose reports are understood. One file in `sources` each."""

    name: str  # as `format` names it
    title: str
    example: bytes  # a report that it really makes; the tests read it

    def is_mine(self, keys: Collection[str]) -> bool:
        """Whether a report with these keys at its top is this scanner's."""
        ...

    def read(self, body: bytes) -> Sequence[Finding]:
        """What was found. Raise ScanReportError, which names the place, for what is no whole report of it."""
        ...


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A vulnerability of an image, whatever number of packages has it."""

    id: str
    severity: str
    description: str
    link: str
    has_fix: bool

    @property
    def shown(self) -> Mapping[str, object]:
        """As Quay's payload has it."""
        return {
            "id": self.id,
            "description": self.description,
            "link": self.link,
            "priority": self.severity,
            "has_fix": self.has_fix,
        }


def _index(severity: str) -> int:
    return SEVERITIES.index(severity)


def merged(findings: Iterable[Finding]) -> Sequence[Vulnerability]:
    """Each vulnerability once, the most severe first, then by id. It has a fix if one of its packages has."""
    found: dict[str, Vulnerability] = {}
    for one in findings:
        known = found.get(one.id)
        has_fix = bool(one.fixed_in)
        if known is None:
            found[one.id] = Vulnerability(
                one.id, one.severity, one.description, one.link, has_fix
            )
            continue
        found[one.id] = Vulnerability(
            one.id,
            min(known.severity, one.severity, key=_index),
            known.description or one.description,
            known.link or one.link,
            known.has_fix or has_fix,
        )
    return sorted(found.values(), key=lambda one: (_index(one.severity), one.id))


@dataclass(frozen=True, slots=True)
class ScannedTag:
    """A tag of the scanned image. `platform` tells the images of one tag apart; it is empty for the only one."""

    name: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """Vulnerabilities that no last scan of some tags had, and those tags."""

    tags: Sequence[str]
    vulnerabilities: Sequence[Vulnerability]


def news_of(
    vulnerabilities: Sequence[Vulnerability],
    known: Mapping[ScannedTag, Collection[str]],
) -> News:
    """What is new for the tags, whose last scans had the `known` ids."""
    tags: list[str] = []
    fresh: set[str] = set()
    for tag, ids in known.items():
        new = {one.id for one in vulnerabilities if one.id not in ids}
        if new:
            fresh |= new
            tags.append(tag.name)
    return News(sorted(set(tags)), [one for one in vulnerabilities if one.id in fresh])


IMAGE, EACH = "image", "vulnerability"  # what an event of a scan is one of


def image_fields(news: News) -> Mapping[str, object]:
    """One event for the image, which begins as Quay's does with the most severe vulnerability."""
    counts: dict[str, int] = {}
    for one in news.vulnerabilities:
        counts[one.severity] = counts.get(one.severity, 0) + 1
    return {
        "tags": news.tags[:SHOWN],
        "vulnerability": news.vulnerabilities[0].shown,
        "vulnerabilities": [one.shown for one in news.vulnerabilities[:SHOWN]],
        "vulnerability_counts": counts,
    }


def single_fields(news: News, one: Vulnerability) -> Mapping[str, object]:
    """Quay's form: an event for one vulnerability."""
    return {"tags": news.tags[:SHOWN], "vulnerability": one.shown}


def facts_of(news: News, digest: str, scanner: str) -> Mapping[str, object]:
    """What is known of the scan beside the body."""
    fixable = next((one.severity for one in news.vulnerabilities if one.has_fix), None)
    return {
        "digest": digest,
        "scanner": scanner,
        "scan_form": IMAGE,
        "most_severe_fixable": fixable,
    }
