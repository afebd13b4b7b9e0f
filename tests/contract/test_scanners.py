"""What every scanner's reader must do; runs for each one in the catalog."""

import json

import pytest

from dockbell.domain.scans import Finding, Scanner, ScanReportError, merged
from dockbell.sources import scanners

ALL = list(scanners().values())


@pytest.fixture(params=ALL, ids=[one.name for one in ALL])
def scanner(request: pytest.FixtureRequest) -> Scanner:
    found: Scanner = request.param
    return found


def test_the_example_is_read_and_tells_the_same_of_every_scanner(scanner: Scanner) -> None:
    (found,) = merged(scanner.read(scanner.example))

    assert (found.id, found.severity, found.has_fix) == ("CVE-2026-0001", "Critical", True)
    assert found.description == "A flaw in openssl."
    assert found.link.startswith("https://")
    assert scanner.read(scanner.example) == scanner.read(scanner.example)


def test_the_example_is_known_for_its_own_and_no_other_scanners(scanner: Scanner) -> None:
    keys = json.loads(scanner.example).keys()

    assert [one.name for one in ALL if one.is_mine(keys)] == [scanner.name]


def test_half_a_report_is_refused_wherever_it_was_cut(scanner: Scanner) -> None:
    for at in range(0, len(scanner.example) - 1, 7):
        with pytest.raises(ScanReportError) as refused:
            scanner.read(scanner.example[:at])
        assert refused.value.field == "body"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b"1", b"[" * 100_000,
        b'{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"Severity": "LOW"}]}]}',
        b'{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"VulnerabilityID": 5}]}]}',
        b'{"matches": [{"vulnerability": {}}]}', b'{"matches": null}',
        b'{"scanner": {}, "vulnerabilities": [{"severity": "High"}]}',
        b'{"scanner": {}, "vulnerabilities": {"id": "CVE-1"}}',
        b'{"manifest_hash": "x", "package_vulnerabilities": {"1": ["2"]}}',
        b'{"manifest_hash": "x", "vulnerabilities": {"1": {}}}',
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_words(scanner: Scanner, body: bytes) -> None:
    with pytest.raises(ScanReportError) as refused:
        scanner.read(body)

    assert refused.value.detail


def test_an_image_without_findings_is_no_mistake() -> None:
    known = scanners()

    assert known["trivy"].read(b'{"SchemaVersion": 2, "Results": null}') == []
    assert known["grype"].read(b'{"matches": []}') == []
    assert known["harbor"].read(b'{"scanner": {}, "vulnerabilities": null}') == []
    assert known["clair"].read(b'{"manifest_hash": "sha256:aa"}') == []


def test_harbors_report_is_read_as_its_api_answers_it() -> None:
    harbor = scanners()["harbor"]
    kind = b"application/vnd.security.vulnerability.report; version=1.1"

    wrapped = harbor.read(b'{"%s": %s}' % (kind, harbor.example))

    assert wrapped == harbor.read(harbor.example)


def test_a_vulnerability_of_many_packages_is_one_with_the_worst_of_its_severities() -> None:
    found = merged(
        [
            Finding("CVE-2", "Low", "a"),
            Finding("CVE-1", "Medium", "a"),
            Finding(
                "CVE-2", "High", "b", fixed_in="2", description="why", link="https://x.test"
            ),
            Finding("CVE-3", "Unknown", "c"),
        ]
    )

    assert [(one.id, one.severity, one.has_fix) for one in found] == [
        ("CVE-2", "High", True),
        ("CVE-1", "Medium", False),
        ("CVE-3", "Unknown", False),
    ]
    assert found[0].description == "why"
