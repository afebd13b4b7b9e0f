"""Reports in Harbor's form, which every scanner that works with Harbor writes."""

from collections.abc import Collection, Sequence

import msgspec

from dockbell.domain.scans import Finding, Scanner, ScanReportError, finding_of

_MEDIA_TYPE = "application/vnd.security.vulnerability.report"


class _Vulnerability(msgspec.Struct):
    id: str
    package: str | None = None
    version: str | None = None
    fix_version: str | None = None
    severity: str | None = None
    description: str | None = None
    links: list[str] | None = None


class _Report(msgspec.Struct):
    vulnerabilities: list[_Vulnerability] | None


_DECODER = msgspec.json.Decoder(_Report)
_WRAPPED = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Harbor:
    """The vulnerability report of Harbor's scanner adapters, alone or under its media type as Harbor's API answers."""

    name = "harbor"
    title = "Harbor's form"
    example = (
        b'{"generated_at": "2026-03-14T12:00:00Z", "artifact": {"repository": "acme/web"},'
        b' "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.60.0"}, "severity": "Critical",'
        b' "vulnerabilities": [{"id": "CVE-2026-0001", "package": "openssl", "version": "3.0.1", "fix_version": "3.0.2",'
        b' "severity": "Critical", "description": "A flaw in openssl.", "links": ["https://avd.example.org/cve-2026-0001"]}]}'
    )

    def is_mine(self, keys: Collection[str]) -> bool:
        return _is_wrapped(keys) or {"vulnerabilities", "scanner"} <= set(keys)

    def read(self, body: bytes) -> Sequence[Finding]:
        try:
            report = _DECODER.decode(_unwrapped(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ScanReportError(
                f"It is no whole report in Harbor's form: {error}", field="body"
            ) from None
        return [
            finding_of(
                one.id,
                one.severity,
                package=one.package,
                version=one.version,
                fixed_in=one.fix_version,
                description=one.description,
                links=one.links or (),
            )
            for one in report.vulnerabilities or ()
        ]


def _is_wrapped(keys: Collection[str]) -> bool:
    return len(keys) == 1 and all(key.startswith(_MEDIA_TYPE) for key in keys)


def _unwrapped(body: bytes) -> bytes | msgspec.Raw:
    outer = _WRAPPED.decode(body)
    return next(iter(outer.values())) if _is_wrapped(outer.keys()) else body


SCANNER: Scanner = Harbor()
