"""What scanners found in an image, with Quay's address and shape."""

import re
from collections.abc import Sequence

from litestar import Response, get
from litestar.params import FromPath

from dockbell.api.v1.tags import digest_of
from dockbell.domain.scans import Finding
from dockbell.services import repositories, scans
from dockbell.web.calls import Call

_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_INDEXED_BY = 4  # Quay: the version of the scanner's interface, which clients look at


@get("/repository/{repository:str}/manifest/{digest:str}/security")
async def get_manifest_security(
    call: Call, repository: FromPath[str], digest: FromPath[str]
) -> Response[bytes]:
    """200 with `scanned` and the features of the image, their vulnerabilities if `vulnerabilities` is true; or `queued`."""
    path = call.path(repository)
    with_vulnerabilities = call.flag("vulnerabilities")
    async with call.read() as tx:
        reader = await repositories.reader_of(tx, await call.actor(tx), path)
        image = digest_of(digest)
        found = await scans.list_of(tx, reader, image)
    if not found:
        # Quay: nobody has looked yet. Pinned by integration/test_scans.py.
        return call.reply(200, {"status": "queued", "data": None})
    layer = {
        "Name": str(image),
        "ParentName": "",
        "NamespaceName": "",
        "IndexedByVersion": _INDEXED_BY,
        "Features": _features(found[0].findings, with_vulnerabilities=with_vulnerabilities),
    }
    return call.reply(200, {"status": "scanned", "data": {"Layer": layer}})


def _features(
    findings: Sequence[Finding], *, with_vulnerabilities: bool
) -> list[dict[str, object]]:
    """Packages with vulnerabilities. Of those without any, reports tell nothing."""
    packages: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        packages.setdefault((one.package, one.version), []).append(one)
    return [
        _feature(name, version, found if with_vulnerabilities else ())
        for (name, version), found in packages.items()
    ]


def _feature(name: str, version: str, found: Sequence[Finding]) -> dict[str, object]:
    # Quay: the three lists are there, and empty, where vulnerabilities were not asked for. Pinned by integration/test_scans.py.
    return {
        "Name": name,
        "VersionFormat": "",
        "NamespaceName": "",
        "AddedBy": "",
        "Version": version,
        "BaseScores": [],
        "CVEIds": sorted(
            {cve for one in found for cve in _CVE.findall(f"{one.id} {one.link}")}
        ),
        "Vulnerabilities": [_vulnerability(one) for one in found],
    }


def _vulnerability(finding: Finding) -> dict[str, object]:
    return {
        "Severity": finding.severity,
        "NamespaceName": "",
        "Link": finding.link,
        "FixedBy": finding.fixed_in,
        "Description": finding.description,
        "Name": finding.id,
        # Reports of most scanners tell none of this, but clients reach through it.
        "Metadata": {
            "UpdatedBy": None,
            "RepoName": None,
            "RepoLink": None,
            "DistroName": None,  # codespell:ignore distroname
            "DistroVersion": None,
            "NVD": {"CVSSv3": {"Vectors": None, "Score": None}},
        },
    }


HANDLERS = [get_manifest_security]
