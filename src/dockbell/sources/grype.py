"""Reports of Grype, as `grype -o json` writes them."""

from collections.abc import Collection, Sequence

import msgspec

from dockbell.domain.scans import Finding, Scanner, ScanReportError, finding_of


class _Fix(msgspec.Struct):
    versions: list[str] | None = None
    state: str | None = None


class _Vulnerability(msgspec.Struct):
    id: str
    severity: str | None = None
    description: str | None = None
    link: str | None = msgspec.field(name="dataSource", default=None)
    urls: list[str] | None = None
    fix: _Fix | None = None


class _Artifact(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Match(msgspec.Struct):
    vulnerability: _Vulnerability
    artifact: _Artifact | None = None


class _Report(msgspec.Struct):
    matches: list[_Match]


_DECODER = msgspec.json.Decoder(_Report)


class Grype:
    """Grype's JSON."""

    name = "grype"
    title = "Grype"
    example = (
        b'{"matches": [{"vulnerability": {"id": "CVE-2026-0001", "dataSource": "https://nvd.example.org/CVE-2026-0001",'
        b' "severity": "Critical", "urls": ["https://nvd.example.org/CVE-2026-0001"], "description": "A flaw in openssl.",'
        b' "fix": {"versions": ["3.0.2"], "state": "fixed"}}, "relatedVulnerabilities": [],'
        b' "artifact": {"name": "openssl", "version": "3.0.1", "type": "deb"}}],'
        b' "source": {"type": "image"}, "descriptor": {"name": "grype", "version": "0.90.0"}}'
    )

    def is_mine(self, keys: Collection[str]) -> bool:
        return "matches" in keys

    def read(self, body: bytes) -> Sequence[Finding]:
        try:
            report = _DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ScanReportError(
                f"It is no whole Grype report: {error}", field="body"
            ) from None
        return [_finding(match) for match in report.matches]


def _finding(match: _Match) -> Finding:
    one, artifact = match.vulnerability, match.artifact or _Artifact()
    fix = one.fix or _Fix()
    return finding_of(
        one.id,
        one.severity,
        package=artifact.name,
        version=artifact.version,
        fixed_in=", ".join(fix.versions or ()),
        description=one.description,
        links=(one.link, *(one.urls or ())),
    )


SCANNER: Scanner = Grype()
