"""What a command loads: as little as it needs, because everything else costs each start and stays in memory."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "from dockbell.cli.app import run; run(['version', '-o', 'json'])"
SERVER = """
import asyncio
from pathlib import Path
from dockbell.cli.app import run
run(["serve", "--data", "data", "--port", "8080", "--help"])
from dockbell.cli import imports
with imports.quick():
    from dockbell.cli import serving
from dockbell.settings import Settings
async def start():
    application = serving.bootstrap.build(Settings.load(environment={}, folder=Path.cwd(), flags={"data": "data"}))
    await application.assemble()
    await application.close()
asyncio.run(start())
"""
UNUSED = {
    "click",
    "sqlalchemy.orm",
    "yaml",
    "aiosmtplib",
    "alembic",
    "asyncpg",
    "cryptography.x509",
    "jinja2",
    "obstore",
    "pydantic",
    "rich",
    "sqlalchemy.dialects.postgresql",
}


@pytest.mark.parametrize(
    ("script", "unused"),
    [(SMALL, {*UNUSED, "asyncio", "sqlalchemy", "structlog"}), (SERVER, UNUSED)],
    ids=["small command", "server"],
)
def test_a_command_loads_no_library_that_it_has_no_use_for(
    script: str, unused: set[str], tmp_path: Path, sqlite_template: Path
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "dockbell.db")
    ask = f"{script}\nimport sys\nprint(sorted({unused} & set(sys.modules)), file=sys.stderr)"

    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stderr.splitlines()[-1] == "[]"
