"""Reports of Trivy, as `trivy image --format json` writes them."""

from collections.abc import Collection, Sequence

import msgspec

from dockbell.domain.scans import Finding, Scanner, ScanReportError, finding_of


class _Vulnerability(msgspec.Struct):
    id: str = msgspec.field(name="VulnerabilityID")
    package: str | None = msgspec.field(name="PkgName", default=None)
    version: str | None = msgspec.field(name="InstalledVersion", default=None)
    fixed_in: str | None = msgspec.field(name="FixedVersion", default=None)
    severity: str | None = msgspec.field(name="Severity", default=None)
    title: str | None = msgspec.field(name="Title", default=None)
    description: str | None = msgspec.field(name="Description", default=None)
    link: str | None = msgspec.field(name="PrimaryURL", default=None)


class _Result(msgspec.Struct):
    vulnerabilities: list[_Vulnerability] | None = msgspec.field(
        name="Vulnerabilities", default=None
    )


class _Report(msgspec.Struct):
    schema: int = msgspec.field(name="SchemaVersion")
    results: list[_Result] | None = msgspec.field(name="Results", default=None)


_DECODER = msgspec.json.Decoder(_Report)


class Trivy:
    """Trivy's JSON, schema version 2."""

    name = "trivy"
    title = "Trivy"
    example = (
        b'{"SchemaVersion": 2, "ArtifactName": "acme/web:v1", "Results": [{"Target": "acme/web:v1 (debian 12)",'
        b' "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [{"VulnerabilityID": "CVE-2026-0001",'
        b' "PkgName": "openssl", "InstalledVersion": "3.0.1", "FixedVersion": "3.0.2", "Severity": "CRITICAL",'
        b' "Title": "A flaw", "Description": "A flaw in openssl.",'
        b' "PrimaryURL": "https://avd.example.org/cve-2026-0001"}]}, {"Target": "app.jar", "Class": "lang-pkgs"}]}'
    )

    def is_mine(self, keys: Collection[str]) -> bool:
        return "SchemaVersion" in keys

    def read(self, body: bytes) -> Sequence[Finding]:
        try:
            report = _DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ScanReportError(
                f"It is no whole Trivy report: {error}", field="body"
            ) from None
        return [
            finding_of(
                one.id,
                one.severity,
                package=one.package,
                version=one.version,
                fixed_in=one.fixed_in,
                description=one.description or one.title,
                links=(one.link,),
            )
            for result in report.results or ()
            for one in result.vulnerabilities or ()
        ]


SCANNER: Scanner = Trivy()
