"""`dockbell blobs`: the content of images, by whoever may read the database and the data folder."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import OutputOfOne, is_json, show_json
from dockbell.settings import Settings

app = new_group("Free the space of what nobody needs.")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Find out what would be done, and change nothing.")
]


@app.command(
    epilog=examples(
        "dockbell blobs prune --dry-run",
        "dockbell blobs prune --keep-deleted-tags 30 --data /var/lib/dockbell",
    )
)
@flags.takes_settings(*flags.DATABASE, "keep_deleted_tags")
def prune(settings: Settings, *, dry_run: DryRun = False, output: OutputOfOne = None) -> None:
    """Delete manifests that no tag keeps and content that no manifest needs, as the server does every hour.

    It is safe while a server runs and others push: what a push asked for in the last 24 hours stays, and what no
    repository holds any more is deleted 24 hours later.
    """
    done = asyncio.run(_prune(settings, is_dry=dry_run))
    if output is not None and is_json(output):
        show_json(done)
        return
    would = "would be " if dry_run else ""
    say(
        f"{done['repositories']} repositories looked at. {done['manifests']} manifests {would}removed, "
        f"{done['links']} blobs {would}let go by repositories. "
        f"{done['blobs']} blobs with {done['bytes']} bytes and {done['files']} files without a row {would}deleted."
    )
    if done["later_blobs"]:
        say(
            f"In 24 hours it is {done['later_blobs']} blobs with {done['later_bytes']} bytes more."
        )


async def _prune(settings: Settings, *, is_dry: bool) -> dict[str, Any]:
    from dockbell import bootstrap
    from dockbell.observability import logs
    from dockbell.registry.garbage import Collected

    def show(so_far: Collected) -> None:
        if sys.stderr.isatty():
            line = f"\r{so_far.repositories} repositories, {so_far.manifests} manifests, {so_far.blobs} blobs"
            sys.stderr.write(line)
            sys.stderr.flush()

    logs.configure(style=settings.log_format, level="warning")
    async with bootstrap.existing_collector(settings) as (collector, now):
        found = await collector.run(now, is_dry=is_dry, progress=show)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return {
        "dry_run": is_dry,
        "repositories": found.repositories,
        "manifests": found.manifests,
        "links": found.links,
        "blobs": found.blobs,
        "bytes": found.size,
        "files": found.orphans,
        "later_blobs": found.later,
        "later_bytes": found.later_size,
    }
