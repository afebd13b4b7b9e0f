"""The public conformance suite of OCI Distribution against `dockbell serve`. docs/registry.md says where it comes from."""

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.programs import serving

PROGRAM = os.environ.get("DOCKBELL_CONFORMANCE", "")
LIMIT = 300.0  # seconds; it takes about 15
FIRST = {"username": "boss", "password": "correct-horse-battery", "access_token": True}


@pytest.mark.slow
@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.skipif(
    not PROGRAM, reason="DOCKBELL_CONFORMANCE does not name the built conformance suite"
)
@pytest.mark.parametrize("cached", ["true", "false"])
async def test_the_registry_passes_all_of_the_conformance_suite(
    tmp_path: Path, database_url: str, cached: str
) -> None:
    """Every test of the next version of the standard, which has all of the present one's: none fails or is skipped."""
    words = ("--no-engine", "--user-initialize")
    with serving(tmp_path, *words, DOCKBELL_DATABASE_URL=database_url) as server:
        status, _ = server.call("POST", "/api/v1/user/initialize", FIRST)
        assert status == 200
        done = subprocess.run(  # noqa: ASYNC221 -- nothing else goes on here
            [PROGRAM],
            cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False,
            env={
                "PATH": os.environ["PATH"],
                "OCI_REGISTRY": server.address.removeprefix("http://"),
                "OCI_TLS": "disabled",
                "OCI_REPO1": "boss/one",
                "OCI_REPO2": "boss/two",
                "OCI_USERNAME": "boss",
                "OCI_PASSWORD": str(FIRST["password"]),
                "OCI_CACHE_AUTH": cached,
                "OCI_VERSION": "1.1+dev",
                "OCI_RESULTS_DIR": "results",
            },
        )  # fmt: skip

    counted = ET.parse(tmp_path / "results" / "junit.xml").getroot()  # noqa: S314 -- just written
    counts = {name: int(counted.get(name, "0")) for name in ("failures", "errors", "skipped")}
    assert (done.returncode, counts) == (0, {"failures": 0, "errors": 0, "skipped": 0}), (
        done.stdout
    )
    assert int(counted.get("tests", "0")) > 900
