"""What scanners found in an image, with Quay's address and shape."""

from collections.abc import Sequence

from litestar import Response, get
from litestar.params import FromPath

from dockbell.api.v1.tags import digest_of
from dockbell.domain.scans import Finding
from dockbell.services import repositories, scans
from dockbell.web.calls import Call

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
        # Quay: nobody has looked yet. Pinned by compat/test_security.py.
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
    packages: dict[tuple[str, str], list[dict[str, object]]] = {}
    for one in findings:
        packages.setdefault((one.package, one.version), []).append(
            {
                "Severity": one.severity,
                "NamespaceName": "",
                "Link": one.link,
                "FixedBy": one.fixed_in,
                "Description": one.description,
                "Name": one.id,
                "Metadata": {},
            }
        )
    features = []
    for (name, version), vulnerabilities in packages.items():
        feature: dict[str, object] = {
            "Name": name,
            "VersionFormat": "",
            "NamespaceName": "",
            "AddedBy": "",
            "Version": version,
        }
        if with_vulnerabilities:
            feature["Vulnerabilities"] = vulnerabilities
        features.append(feature)
    return features


HANDLERS = [get_manifest_security]
