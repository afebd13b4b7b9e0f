"""Moving in from another dockbell, which speaks Quay's API: `dockbell import quay` and `dockbell export` as processes."""

import asyncio
import contextlib
import json
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Program, held_in, prepare, run, running, serving

# Some thousand calls and two servers: on a busy machine that takes more than the minute that a test has.
pytestmark = pytest.mark.timeout(180)

LOOPBACK = "--egress-allow=loopback"
REPOSITORIES = 30
SECRET = "T0/B0/sesame-42"
# What `export` says of people's addresses depends on how much the token may see, so both are compared without.
TEAMS = {"owners": ("admin", ["boss"]), "devs": ("member", ["acme+ci", "writer"])}


@dataclass(frozen=True, slots=True)
class Source:
    server: Program
    token: str
    folder: Path

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        status, answer = self.server.call(
            verb, f"/api/v1/{path}", body, Authorization=f"Bearer {self.token}"
        )
        assert status in {200, 201, 204}, (path, answer)
        return answer

    def choose(self, uuid: str, choices: dict[str, Any]) -> None:
        status, answer = self.server.call(
            "PATCH",
            f"/api/v2/notifications/{uuid}",
            choices,
            Authorization=f"Bearer {self.token}",
        )
        assert status == 200, answer

    def pause(self, uuid: str) -> None:
        status, answer = self.server.call(
            "POST", f"/api/v2/notifications/{uuid}/pause", Authorization=f"Bearer {self.token}"
        )
        assert status == 200, answer


# What API v2 alone knows of a notification.
CHOICES: list[dict[str, Any]] = [
    {"payload_form": "cloudevents", "filter": {"tags": {"include": ["v*"]}}, "in_order": True},
    {"events": ["vulnerability_found", "repo_push"], "rate_limit": {"per_second": 0.5}},
    {"in_order": True},
    {"rate_limit": {"per_second": 3}},
]


def _notification(number: int) -> dict[str, Any]:
    """Four to each repository, of several methods and events."""
    kinds: list[dict[str, Any]] = [
        {
            "event": "repo_push",
            "method": "webhook",
            "config": {
                "url": f"http://127.0.0.2:9/{SECRET}/{number}",
                "template": '{"n": "${name}"}',
            },
        },
        {
            "event": "vulnerability_found",
            "method": "slack",
            "config": {"url": f"https://127.0.0.2/services/{SECRET}/{number}"},
            "eventConfig": {"level": "1"},
        },
        {
            "event": "repo_image_expiry",
            "method": "quay_notification",
            "config": {"target": {"name": "devs", "kind": "team"}},
            "eventConfig": {"days": 7},
        },
        {
            "event": "repo_mirror_sync_failed",
            "method": "quay_notification",
            "config": {"target": {"name": "reader", "kind": "user", "is_robot": False}},
            "title": f"Number {number}: ünïcode",
        },
    ]
    return {"eventConfig": {}, **kinds[number % 4]}


def _fill(source: Source) -> None:
    source.call("POST", "organization/", {"name": "acme", "email": "acme@example.org"})
    for name in ("writer", "reader", "stranger"):
        source.call("POST", "superuser/users/", {"username": name, "email": f"{name}@b.test"})
    source.call(
        "PUT", "organization/acme/team/devs", {"role": "member", "description": "Makers"}
    )
    source.call("PUT", "organization/acme/robots/ci", {"description": "Pushes"})
    source.call("PUT", "organization/acme/team/devs/members/acme+ci")
    source.call("PUT", "organization/acme/team/devs/members/writer")
    for number in range(REPOSITORIES):
        name = f"team/app-{number:02}"
        source.call(
            "POST",
            "repository",
            {
                "namespace": "acme",
                "repository": name,
                "visibility": "public" if number % 5 == 0 else "private",
                "description": f"App {number}",
            },
        )
        permissions = f"repository/acme/{name}/permissions"
        source.call("PUT", f"{permissions}/user/writer", {"role": "write"})
        source.call("PUT", f"{permissions}/user/acme+ci", {"role": "read"})
        source.call("PUT", f"{permissions}/team/devs", {"role": "admin"})
        for one in range(4):
            made = source.call(
                "POST",
                f"repository/acme/{name}/notification/",
                _notification(4 * number + one),
            )
            if number % 10 == 0 and one == 0:
                source.pause(made["uuid"])
            if number % 10 == 1:
                source.choose(made["uuid"], CHOICES[one])
    source.call(
        "POST", "repository", {"repository": "own", "visibility": "private", "description": ""}
    )
    for delegate, creator in (
        ({"kind": "team", "name": "devs"}, None),
        ({"kind": "user", "name": "acme+ci"}, "writer"),
    ):
        source.call(
            "POST",
            "organization/acme/prototypes",
            {
                "role": "write",
                "delegate": delegate,
                "activating_user": creator and {"name": creator},
            },
        )
    _bound(source)
    _mirror(source)
    source.call("POST", "organization/acme/immutabilitypolicy/", {"tagPattern": "v.*"})
    source.call(
        "POST",
        "repository/acme/team/app-03/immutabilitypolicy/",
        {"tagPattern": "dev", "tagPatternMatches": False},
    )


def _bound(source: Source) -> None:
    """A quota with limits, and who is told of them."""
    for namespace, notifications in (
        ("superuser/organization/acme", "organization/acme/notifications"),
        ("superuser/users/boss", "user/namespacenotifications"),
    ):
        source.call("POST", f"{namespace}/quota", {"limit_bytes": 1 << 30})
        target = {"name": "boss", "kind": "user"}
        for event, method, config in (
            ("quota_warning", "webhook", {"url": f"http://127.0.0.2:9/{SECRET}/quota"}),
            ("quota_error", "quay_notification", {"target": target}),
            ("quota_error", "email", {}),
        ):
            source.call(
                "POST",
                notifications,
                {"event": event, "method": method, "config": config, "eventConfig": {}},
            )
    (quota,) = source.call("GET", "organization/acme/quota")
    for kind, percent in (("Warning", 80), ("Warning", 50), ("Reject", 100)):
        source.call(
            "POST",
            f"organization/acme/quota/{quota['id']}/limit",
            {"type": kind, "threshold_percent": percent},
        )
    (told, *_) = source.call("GET", "organization/acme/notifications")["notifications"]
    source.pause(told["uuid"])


def _mirror(source: Source) -> None:
    """One as it is, and one that takes pushes for now."""
    for number in (0, 1):
        source.call(
            "POST",
            f"repository/acme/team/app-0{number}/mirror",
            {
                "external_reference": "127.0.0.2:9/team/app",
                "external_registry_username": "reader" if number == 0 else None,
                "external_registry_password": SECRET if number == 0 else None,
                "external_registry_config": {
                    "verify_tls": False,
                    "proxy": {
                        "https_proxy": f"http://bell:{SECRET.rpartition('/')[2]}@127.0.0.2:9"
                    },
                },
                "architecture_filter": ["amd64", "arm64"],
                "sync_interval": 3600,
                "sync_start_date": "2099-01-01T00:00:00Z",
                "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["v*", "latest"]},
                "robot_username": "acme+ci",
                "skopeo_timeout_interval": 600,
            },
        )
    source.call("PUT", "repository/acme/team/app-01/changestate", {"state": "NORMAL"})


@contextlib.contextmanager
def source_in(folder: Path) -> Iterator[Source]:
    folder.mkdir()
    first = {"username": "boss", "password": "correct-horse-1", "access_token": True}
    with serving(
        folder, "--user-initialize", LOOPBACK, DOCKBELL_REQUIRE_TEAM_INVITE="false",
        DOCKBELL_SMTP_HOST="127.0.0.1", DOCKBELL_MAIL_FROM="bell@b.test",
    ) as server:  # fmt: skip
        status, made = server.call("POST", "/api/v1/user/initialize", first)
        assert status == 200, made
        yield Source(server, made["access_token"], folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    with source_in(tmp_path_factory.mktemp("source") / "there") as opened:
        _fill(opened)
        yield opened


@pytest.fixture
def here(tmp_path: Path, database_url: str) -> dict[str, str]:
    """The settings of a dockbell that holds nothing yet."""
    settings = {"DOCKBELL_DATABASE_URL": database_url, "DOCKBELL_DATA": str(tmp_path / "data")}
    asyncio.run(prepare(tmp_path, **settings))
    return settings


def move(
    folder: Path, here: dict[str, str], source: Source, *words: str
) -> tuple[dict[str, Any], str]:
    code, shown, said = run(
        folder, "import", "quay", "--url", source.server.address, LOOPBACK, "--rate", "1000",
        *words, DOCKBELL_IMPORT_TOKEN=source.token, **here,
    )  # fmt: skip
    assert code == 0, said
    return json.loads(shown), said


def export(folder: Path, *namespaces: str, **settings: str) -> dict[str, Any]:
    return asyncio.run(held_in(folder, *namespaces, **settings))


def of_source(source: Source) -> dict[str, Any]:
    return export(source.folder, "acme", "boss")


def test_what_moved_in_is_equal_after_an_export_and_once_more_changes_nothing(
    source: Source, tmp_path: Path, here: dict[str, str]
) -> None:
    plan, said = move(tmp_path, here, source)
    empty = export(tmp_path, **here)
    report, _ = move(tmp_path, here, source, "--apply")

    assert empty == {"format": 1, "users": [], "namespaces": [], "repositories": []}
    assert "Nothing was written." in said
    mirror = {"what": "mirror", "name": "acme/team/app-00 of 127.0.0.2:9/team/app"}
    reason = "the password of reader is not told: set it, or the syncs will fail"
    assert plan["remarks"] == report["remarks"]
    assert report["remarks"] == [{**mirror, "result": "not moved", "reason": reason}]
    assert [one["name"] for one in plan["changes"]] == [
        one["name"] for one in report["changes"]
    ]
    count = {
        what: len([one for one in report["changes"] if one["what"] == what])
        for what in (
            "organization", "team", "robot", "default permission", "repository", "notification", "quota", "mirror",
            "immutable tags",
        )
    }  # fmt: skip
    assert count == {
        "organization": 1, "team": 2, "robot": 1, "default permission": 2, "repository": REPOSITORIES + 1, "notification": 4 * REPOSITORIES + 6,
        "quota": 2, "mirror": 2, "immutable tags": 2,
    }  # fmt: skip
    there, moved = of_source(source), export(tmp_path, **here)
    assert moved["repositories"] == there["repositories"]
    assert moved["namespaces"] == [
        *there["namespaces"],
        *(
            {
                "name": name, "kind": "user", "email": f"{name}@b.test", "teams": [],
                "robots": [], "default_permissions": [], "quota": None, "notifications": [],
                "immutable_tags": [],
            }
            for name in ("reader", "writer")
        ),
    ]  # fmt: skip
    (acme, *_) = moved["namespaces"]
    assert acme["default_permissions"] == [
        {
            "delegate": {"kind": "user", "name": "acme+ci"},
            "activating_user": "writer",
            "role": "write",
        },
        {
            "delegate": {"kind": "team", "name": "devs"},
            "activating_user": None,
            "role": "write",
        },
    ]
    assert acme["quota"] == {
        "limit_bytes": 1 << 30,
        "limits": [
            {"type": "Warning", "limit_percent": 50},
            {"type": "Warning", "limit_percent": 80},
            {"type": "Reject", "limit_percent": 100},
        ],
    }
    assert sorted(one["number_of_failures"] >= 3 for one in acme["notifications"]) == [
        False, False, True,
    ]  # fmt: skip
    assert [
        one["mirror"]["refuses_pushes"] for one in moved["repositories"] if one["mirror"]
    ] == [True, False]
    assert {team["name"]: (team["role"], team["members"]) for team in acme["teams"]} == TEAMS
    paused = [
        one
        for repository in moved["repositories"]
        for one in repository["notifications"]
        if one["number_of_failures"] >= 3
    ]
    assert len(paused) == REPOSITORIES / 10
    told = next(one for one in moved["repositories"] if one["name"] == "team/app-01")
    assert {
        (one["method"], one["event"]): (
            one["further_events"], one["filter"], one["payload_form"], one["rate_limit"], one["in_order"],
        )
        for one in told["notifications"]
    } == {
        ("webhook", "repo_push"): ([], CHOICES[0]["filter"], "cloudevents", None, True),
        ("slack", "vulnerability_found"): (["repo_push"], None, "quay", 0.5, False),
        ("quay_notification", "repo_image_expiry"): ([], None, "quay", None, True),
        ("quay_notification", "repo_mirror_sync_failed"): ([], None, "quay", 3, False),
    }  # fmt: skip
    again, _ = move(tmp_path, here, source, "--apply")
    assert (again["changes"], again["remarks"]) == ([], [])
    assert export(tmp_path, **here) == moved


def test_a_move_that_is_killed_goes_on(
    source: Source, tmp_path: Path, here: dict[str, str]
) -> None:
    words = (
        "import",
        "quay",
        "--url",
        source.server.address,
        LOOPBACK,
        "--apply",
        "-o",
        "json",
    )
    with running(
        tmp_path, *words, "--rate", "50", DOCKBELL_IMPORT_TOKEN=source.token, **here
    ) as program:
        program.wait_for(rf"acme: 25 of {REPOSITORIES} repositories")
        program.end(signal.SIGKILL)
    half = export(tmp_path, **here)["repositories"]

    report, _ = move(tmp_path, here, source, "--apply")

    assert 25 <= len(half) < REPOSITORIES
    assert all(len(one["notifications"]) == 4 for one in half)
    assert {one["what"] for one in report["remarks"]} <= {"mirror"}
    assert export(tmp_path, **here)["repositories"] == of_source(source)["repositories"]


def test_what_is_here_otherwise_is_left_and_said(
    source: Source, tmp_path: Path, here: dict[str, str]
) -> None:
    move(tmp_path, here, source, "--apply", "--namespace", "acme")
    path = "repository/acme/team/app-01"
    uuid = source.call("GET", f"{path}/notification/")["notifications"][1]["uuid"]
    source.call("PUT", path, {"description": "Another"})
    try:
        again, _ = move(tmp_path, here, source, "--apply", "--namespace", "acme")
    finally:
        source.call("PUT", path, {"description": "App 1"})

    assert again["changes"] == []
    assert again["remarks"] == [
        {
            "what": "repository",
            "name": "acme/team/app-01",
            "result": "differs",
            "reason": "it has another description here, and is left as it is",
        }
    ]
    assert uuid in json.dumps(export(tmp_path, **here))


def test_what_cannot_be_saved_here_is_said_and_the_rest_moves(
    source: Source, tmp_path: Path, here: dict[str, str]
) -> None:
    code, shown, said = run(
        tmp_path, "import", "quay", "--url", source.server.address, "--apply", "--rate", "1000",
        DOCKBELL_IMPORT_TOKEN=source.token, **here,
    )  # fmt: skip
    report = json.loads(shown)

    assert code == 0, said
    refused = [one["reason"] for one in report["remarks"]]
    # The webhooks, and Slack's; those of two namespaces, and two mirrors.
    assert len(refused) == REPOSITORIES * 2 + 2 + 2
    assert all("DOCKBELL_EGRESS_ALLOW" in reason for reason in refused)
    assert SECRET not in shown + said
    kept = export(tmp_path, **here)["repositories"]
    assert sum(len(one["notifications"]) for one in kept) == REPOSITORIES * 2


def test_an_export_shows_no_secrets_unless_asked(source: Source) -> None:
    code, shown, said = run(source.folder, "export")
    lines = run(source.folder, "export", "--form", "lines")[1].splitlines()

    assert code == 0, said
    assert "sesame" not in shown
    told = run(
        source.folder, "export", "--with-secrets", "--namespace=acme", "--namespace=boss"
    )
    assert SECRET in told[1]
    assert json.loads(told[1]) == of_source(source)
    document = json.loads(shown)
    assert [json.loads(line)["record"] for line in lines] == [
        *("user" for _ in document["users"]),
        *("namespace" for _ in document["namespaces"]),
        *("repository" for _ in document["repositories"]),
    ]
    code, _, said = run(source.folder, "export", "--namespace", "nobody")
    assert (code, said) == (3, "dockbell: There is no user or organization nobody.\n")


def test_mail_moves_to_those_who_have_agreed_there(tmp_path: Path) -> None:
    with source_in(tmp_path / "there") as small:
        small.call(
            "POST",
            "repository",
            {"repository": "own", "visibility": "private", "description": ""},
        )
        database = sqlite3.connect(tmp_path / "there" / "dockbell-data" / "dockbell.db")
        with contextlib.closing(database), database:
            database.execute(
                "INSERT INTO authorized_emails (id, repository_id, email, unsubscribe_sealed, confirmed_at, created_at)"
                " SELECT 'aem_1', id, 'ops@b.test', x'00', 1, 1 FROM repositories"
            )
        small.call(
            "POST",
            "repository/boss/own/notification/",
            {
                "event": "repo_push",
                "method": "email",
                "config": {"email": "ops@b.test"},
                "eventConfig": {},
            },
        )
        asyncio.run(prepare(tmp_path))
        report, _ = move(tmp_path, {}, small, "--apply")

    assert [(one["what"], one["name"]) for one in report["changes"]][:3] == [
        ("user", "boss"),
        ("repository", "boss/own"),
        ("e-mail address", "boss/own: ops@b.test"),
    ]
    (moved,) = export(tmp_path)["repositories"]
    assert moved["authorized_emails"] == ["ops@b.test"]
    assert [one["config"] for one in moved["notifications"]] == [{"email": "ops@b.test"}]
