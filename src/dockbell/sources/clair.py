"""Vulnerability reports of Clair v4, as its matcher answers them."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from dockbell.domain.scans import Finding, Scanner, ScanReportError, finding_of


class _Package(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Vulnerability(msgspec.Struct):
    name: str
    description: str | None = None
    links: str | None = None
    severity: str | None = None
    normalized_severity: str | None = None
    fixed_in_version: str | None = None


class _Report(msgspec.Struct):
    manifest_hash: str
    vulnerabilities: dict[str, _Vulnerability] | None = None
    package_vulnerabilities: dict[str, list[str]] | None = None
    packages: dict[str, _Package] | None = None


_DECODER = msgspec.json.Decoder(_Report)


class Clair:
    """Clair v4's vulnerability report."""

    name = "clair"
    title = "Clair v4"
    example = (
        b'{"manifest_hash": "sha256:aa", "packages": {"10": {"id": "10", "name": "openssl", "version": "3.0.1"}},'
        b' "vulnerabilities": {"356": {"id": "356", "name": "CVE-2026-0001", "description": "A flaw in openssl.",'
        b' "links": "https://cve.example.org/CVE-2026-0001 https://other.example.org", "severity": "Important",'
        b' "normalized_severity": "Critical", "fixed_in_version": "3.0.2"}},'
        b' "package_vulnerabilities": {"10": ["356"]}, "distributions": {}, "environments": {}, "enrichments": {}}'
    )

    def is_mine(self, keys: Collection[str]) -> bool:
        return "manifest_hash" in keys

    def read(self, body: bytes) -> Sequence[Finding]:
        try:
            report = _DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ScanReportError(
                f"It is no whole vulnerability report of Clair: {error}", field="body"
            ) from None
        known = report.vulnerabilities or {}
        packages = report.packages or {}
        return [
            _finding(known[one], packages.get(package))
            for package, found in (report.package_vulnerabilities or {}).items()
            for one in _of(found, known)
        ]


def _of(found: Sequence[str], known: Mapping[str, _Vulnerability]) -> Sequence[str]:
    for one in found:
        if one not in known:
            raise ScanReportError(
                f"It names the vulnerability {one[:64]}, and does not say what it is",
                field="vulnerabilities",
            )
    return found


def _finding(one: _Vulnerability, package: _Package | None) -> Finding:
    return finding_of(
        one.name,
        # Where Clair does not know a distribution's word, the word itself may be known here.
        one.severity
        if one.normalized_severity in {None, "Unknown"}
        else one.normalized_severity,
        package=None if package is None else package.name,
        version=None if package is None else package.version,
        fixed_in=one.fixed_in_version,
        description=one.description,
        links=(one.links or "").split(),
    )


SCANNER: Scanner = Clair()
