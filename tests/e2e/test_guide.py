"""The guide's own commands (Quay 11.3, "Creating notifications by using the API"), typed into a shell against a served dockbell."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import LIMIT, Program, environment_of, serving

# What the guide prints. The id, the hash and the colour are of its server; the hash gives the colour.
SHOWN = (
    '{"uuid": "240662ea-597b-499d-98bb-2b57e73408d6", "title": null, "event": "repo_push", '
    '"method": "quay_notification", "config": {"target": {"name": "quayadmin", "kind": "user", '
    '"is_robot": false, "avatar": {"name": "quayadmin", '
    '"hash": "b28d563a6dc76b4431fc7b0524bbff6b810387dac86d9303874871839859c7cc", '
    '"color": "#17becf", "kind": "user"}}}, "event_config": {}, "number_of_failures": 0}'
)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who follows the guide: a repository's administrator with an access token."""

    server: Program
    token: str
    folder: Path

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        status, answer = self.server.call(
            verb, f"/api/v1/{path}", body, Authorization=f"Bearer {self.token}"
        )
        assert status in {200, 201}, answer
        return answer

    def types(self, line: str) -> str:
        """What the command prints; what stands in angle brackets is filled in."""
        filled = (
            line.replace("<bearer_token>", self.token)
            .replace("https://<quay-server.example.com>", self.server.address)
            .replace("<namespace>/<repository_name>", "quayadmin/web")
            .replace("<repository>", "quayadmin/web")
        )
        done = subprocess.run(
            ["sh", "-c", filled],
            cwd=self.folder, env=environment_of(NO_PROXY="*", no_proxy="*"), capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    first = {"username": "quayadmin", "password": "correct-horse-1", "access_token": True}
    with serving(tmp_path, "--user-initialize") as server:
        status, made = server.call("POST", "/api/v1/user/initialize", first)
        assert status == 200, made
        opened = Reader(server, made["access_token"], tmp_path)
        opened.call(
            "POST",
            "repository",
            {"repository": "web", "visibility": "private", "description": ""},
        )
        yield opened


def test_the_guides_commands_print_what_the_guide_prints(reader: Reader) -> None:
    # A browser sends the whole of what the search for recipients found.
    (found,) = reader.call("GET", "entities/quayadmin")["results"]
    avatar = found["avatar"]
    assert list(avatar) == ["name", "hash", "color", "kind"]
    expected = re.sub(r"b28d[0-9a-f]{60}", avatar["hash"], SHOWN)
    expected = expected.replace("#17becf", avatar["color"])
    _, _, target = expected.partition('"config": ')
    config = target.partition(', "event_config"')[0]

    created = reader.types(f"""curl -X POST \\
        -H "Authorization: Bearer <bearer_token>" \\
        -H "Content-Type: application/json" \\
        --data '{{"event": "repo_push", "method": "quay_notification", "config": {config}, "eventConfig": {{}}}}' \\
        https://<quay-server.example.com>/api/v1/repository/<repository>/notification""")
    uuid = re.findall(UUID, created)[0]
    looked_at = reader.types(f"""curl -X GET \\
        -H "Authorization: Bearer <bearer_token>" \\
        https://<quay-server.example.com>/api/v1/repository/<repository>/notification/{uuid}""")
    tested = reader.types(f"""curl -X POST \\
        -H "Authorization: Bearer <bearer_token>" \\
        https://<quay-server.example.com>/api/v1/repository/<repository>/notification/{uuid}/test""")
    reset = reader.types(f"""curl -X POST \\
        -H "Authorization: Bearer <bearer_token>" \\
        https://<quay-server.example.com>/api/v1/repository/<repository>/notification/{uuid}""")
    deleted = reader.types(f"""curl -X DELETE \\
        -H "Authorization: Bearer <bearer_token>" \\
        https://<quay-server.example.com>/api/v1/repository/<namespace>/<repository_name>/notification/{uuid}""")
    listed = [
        reader.types(
            'curl -X GET -H "Authorization: Bearer <bearer_token>" -H "Accept: application/json" '
            f"https://<quay-server.example.com>/api/v1/repository/<namespace>/<repository_name>/notification{end}"
        )
        for end in ("", "/")
    ]

    shown = re.sub(UUID, uuid, expected) + "\n"
    assert (created, looked_at) == (shown, shown)
    assert (tested, reset, deleted) == ("{}\n", "", "")
    assert listed == ['{"notifications": []}\n'] * 2
