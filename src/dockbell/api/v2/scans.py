"""Reports of vulnerability scanners on images."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from dockbell.api.v2.reporters import reporter
from dockbell.domain.digests import Digest
from dockbell.domain.errors import ConfigError
from dockbell.domain.scans import MOST_FINDINGS, Finding, Scanner, ScanReportError, merged
from dockbell.services import repositories, scans
from dockbell.web import bodies, large_bodies
from dockbell.web.calls import Call
from dockbell.web.large_bodies import Room

MOST_BYTES = 32 << 20  # of one report
_AT_ONCE = Room(4 * MOST_BYTES)
_SCANS = "/repositories/{repository:str}/manifests/{digest:str}/scans"

Format = Annotated[
    str | None,
    QueryParameter(
        name="format",
        description="Whose report it is: `clair`, `grype`, `harbor`, `trivy`. Seen by itself if it is left out.",
    ),
]


class ReportedScan(msgspec.Struct, frozen=True):
    """What a report told. `new` of the vulnerabilities found were in no last scan of `tags`; null: nothing is new."""

    digest: str
    format: str
    found: int
    new: int
    tags: Sequence[str]
    event_id: str | None


class Scan(msgspec.Struct, frozen=True):
    """The last report of one scanner: how many vulnerabilities of each severity, and how many of all have a fix."""

    format: str
    found: int
    fixable: int
    counts: Mapping[str, int]
    reported_at: datetime


_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _read(
    body: bytes, name: str | None, scanners: Mapping[str, Scanner]
) -> tuple[str, Sequence[Finding]]:
    """Whose report it is and what it tells; raise ScanReportError. Takes as long as the report is large."""
    try:
        keys = _TOP.decode(body).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ScanReportError(f"It is no whole JSON object: {error}", field="body") from None
    if name is None:
        name = next((one.name for one in scanners.values() if one.is_mine(keys)), None)
    if name is None:
        raise ScanReportError(f"It is of none of the forms {', '.join(scanners)}", field="body")
    findings = scanners[name].read(body)
    if len(findings) > MOST_FINDINGS:
        raise ScanReportError(
            f"It tells of {len(findings)} findings; at most {MOST_FINDINGS} are taken",
            field="body",
        )
    return name, findings


@post(
    _SCANS,
    status_code=200,
    before_request=large_bodies.leave,
    request_max_body_size=None,  # it is read piece by piece, up to a limit of its own
)
async def report_scan(
    request: Request[Any, Any, State],
    repository: FromPath[str],
    digest: FromPath[str],
    report_format: Format = None,
) -> ReportedScan:
    """What is new in a scanner's report on an image; the body is the report as the scanner wrote it, up to 32 MiB."""
    call = large_bodies.call_of(request)
    path, image = call.path(repository), Digest.of(digest)
    scanners = call.faces.scanners
    async with call.read() as tx:
        actor = await reporter(call, tx)
        await repositories.reporter_of(tx, actor, path)
    if report_format is not None and report_format not in scanners:
        raise ConfigError(f"It is not one of {', '.join(scanners)}", field="format")
    if not bodies.is_json(request.headers.get("content-type", "")):
        raise bodies.WrongContentTypeError
    with _AT_ONCE.taken(MOST_BYTES):
        body = await large_bodies.read(request, MOST_BYTES)
        name, findings = await asyncio.to_thread(_read, body, report_format, scanners)
        async with call.begin() as tx:
            right = await repositories.reporter_of(tx, await reporter(call, tx), path)
            scanned = await call.faces.scans.report(tx, right, image, name, findings)
    return ReportedScan(
        digest=str(image),
        format=name,
        found=len(scanned.found),
        new=len(scanned.news.vulnerabilities),
        tags=scanned.news.tags,
        event_id=scanned.event_id,
    )


@get(_SCANS)
async def list_scans(
    call: Call, repository: FromPath[str], digest: FromPath[str]
) -> Sequence[Scan]:
    """The last report of each scanner on the image, the newest first."""
    path, image = call.path(repository), Digest.of(digest)
    async with call.read() as tx:
        reader = await repositories.reader_of(tx, await reporter(call, tx), path)
        found = await scans.list_of(tx, reader, image)
    shown = []
    for one in found:
        counts: dict[str, int] = {}
        vulnerabilities = merged(one.findings)
        for each in vulnerabilities:
            counts[each.severity] = counts.get(each.severity, 0) + 1
        shown.append(
            Scan(
                format=one.scanner,
                found=len(vulnerabilities),
                fixable=sum(each.has_fix for each in vulnerabilities),
                counts=counts,
                reported_at=one.reported_at,
            )
        )
    return shown


HANDLERS = [list_scans, report_scan]
