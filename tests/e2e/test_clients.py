"""Real container clients against `dockbell serve`: what one pushes, another pulls, byte for byte."""

import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import oras.client
import oras.oci
import pytest

from tests.e2e.programs import Program, serving

LIMIT = 120.0
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Shop:
    """A served registry with the private repository `acme/web` and a robot that may push to all of `acme`."""

    server: Program
    token: str
    robot_token: str
    folder: Path

    robot = "acme+ci"

    @property
    def host(self) -> str:
        return urlsplit(self.server.address).netloc

    @property
    def credentials(self) -> str:
        return f"{self.robot}:{self.robot_token}"

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        status, answer = self.server.call(
            verb, f"/api/v1/{path}", body, Authorization=f"Bearer {self.token}"
        )
        assert status in {200, 201, 204}, answer
        return answer

    def get(self, path: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of what the registry has there, asked for with Basic credentials."""
        connection = http.client.HTTPConnection(self.host, timeout=LIMIT)
        basic = base64.b64encode(self.credentials.encode()).decode()
        connection.request("GET", path, headers={"Authorization": f"Basic {basic}"})
        answer = connection.getresponse()
        headers, body = (
            {name.lower(): text for name, text in answer.getheaders()},
            answer.read(),
        )
        connection.close()
        assert answer.status == 200, body
        return headers, body

    def digest_of(self, reference: str) -> str:
        headers, body = self.get(f"/v2/acme/{reference}")
        digest = headers["docker-content-digest"]
        assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        return digest

    def run(self, *words: str) -> str:
        """Run a client to its end; it must succeed."""
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT, check=False,
            env={
                **kept,
                "HOME": str(self.folder),
                "REGISTRY_AUTH_FILE": str(self.folder / "auth.json"),
                "XDG_RUNTIME_DIR": str(self.folder),
                "TMPDIR": str(self.folder),
            },
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    first = {"username": "boss", "password": "correct-horse-battery", "access_token": True}
    (tmp_path / "auth.json").write_text("{}")
    with serving(tmp_path, "--no-engine", "--user-initialize") as server:
        status, made = server.call("POST", "/api/v1/user/initialize", first)
        assert status == 200, made
        opened = Shop(server, made["access_token"], "", tmp_path)
        opened.call("POST", "organization/", {"name": "acme"})
        new = {"namespace": "acme", "repository": "web", "visibility": "private"}
        opened.call("POST", "repository", {**new, "description": ""})
        robot = opened.call("PUT", "organization/acme/robots/ci", {"description": ""})
        role = {"role": "creator"}
        opened.call("PUT", "organization/acme/team/pushers", role)
        opened.call("PUT", "organization/acme/team/pushers/members/acme+ci", {})
        opened.call("PUT", "repository/acme/web/permissions/user/acme+ci", {"role": "write"})
        yield Shop(server, opened.token, robot["token"], tmp_path)


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def write_layout(folder: Path, *architectures: str) -> bytes:
    """An OCI image layout with one image for each architecture; return the manifest or index it names."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(body: bytes, media_type: str, **more: object) -> dict[str, object]:
        (blobs / sha256(body)[7:]).write_bytes(body)
        return {"mediaType": media_type, "digest": sha256(body), "size": len(body), **more}

    def put_image(architecture: str) -> tuple[dict[str, object], bytes]:
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            text = f"made for {architecture}\n".encode() + os.urandom(300_000)
            entry = tarfile.TarInfo("hello.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
        platform = {"os": "linux", "architecture": architecture}
        rootfs = {"type": "layers", "diff_ids": [sha256(tar.getvalue())]}
        config = json.dumps({**platform, "rootfs": rootfs, "config": {}}).encode()
        layer = gzip.compress(tar.getvalue(), mtime=0)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_IMAGE,
                "config": put(config, "application/vnd.oci.image.config.v1+json"),
                "layers": [put(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
            }
        ).encode()
        return put(manifest, OCI_IMAGE, platform=platform), manifest

    images = [put_image(architecture) for architecture in architectures]
    entry, top = images[0]
    if len(images) > 1:
        top = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [each for each, _ in images],
            }
        ).encode()
        entry = put(top, OCI_INDEX)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    return top


def storage(shop: Shop, program: str) -> Iterator[tuple[str, ...]]:
    """The program with a store of its own, which needs no daemon and touches nothing else. Skips where it cannot run."""
    # Not in the test's folder: podman refuses a long path.
    with tempfile.TemporaryDirectory(prefix="db-") as folder:
        whole = (program, "--root", f"{folder}/s", "--runroot", f"{folder}/r", "--storage-driver", "vfs")  # fmt: skip
        try:
            shop.run(*whole, "info")
        except AssertionError as error:
            pytest.skip(f"{program} cannot run here: {error}")
        yield whole
        shop.run(*whole, "rmi", "--all", "--force")


@pytest.fixture
def podman(shop: Shop) -> Iterator[tuple[str, ...]]:
    yield from storage(shop, "podman")


@pytest.fixture
def buildah(shop: Shop) -> Iterator[tuple[str, ...]]:
    yield from storage(shop, "buildah")


def test_what_skopeo_pushes_podman_pulls(shop: Shop, podman: tuple[str, ...]) -> None:
    manifest = write_layout(shop.folder / "layout", "amd64")

    shop.run(
        "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", shop.credentials,
        "oci:layout:v1", f"docker://{shop.host}/acme/web:v1",
    )  # fmt: skip
    image = f"{shop.host}/acme/web:v1"
    shop.run(
        *podman, "pull", "--arch", "amd64", "--tls-verify=false", "--creds", shop.credentials, image
    )  # fmt: skip
    pulled = json.loads(shop.run(*podman, "image", "inspect", image))

    assert shop.get("/v2/acme/web/manifests/v1")[1] == manifest
    assert pulled[0]["Digest"] == sha256(manifest) == shop.digest_of("web/manifests/v1")


def test_skopeo_copies_many_platforms_inspects_lists_and_deletes(shop: Shop) -> None:
    index = write_layout(shop.folder / "layout", "amd64", "arm64")
    source = ("--src-tls-verify=false", "--src-creds", shop.credentials)
    target = ("--dest-tls-verify=false", "--dest-creds", shop.credentials)
    login = ("--tls-verify=false", "--creds", shop.credentials)
    web, team = f"docker://{shop.host}/acme/web", f"docker://{shop.host}/acme/team/app"

    copy = ("skopeo", "copy", "--insecure-policy", "--all")
    shop.run(*copy, *target, "oci:layout:v1", f"{web}:v1")
    shop.run(*copy, *source, *target, f"{web}:v1", f"{team}:v2")
    shop.run(*copy, *source, f"{team}:v2", "oci:back:v1")
    raw = shop.run("skopeo", "inspect", "--raw", *login, f"{team}:v2")
    listed = json.loads(shop.run("skopeo", "list-tags", *login, team))
    shop.run("skopeo", "delete", *login, f"{web}:v1")

    back = json.loads((shop.folder / "back" / "index.json").read_text())
    assert raw.encode() == index
    assert back["manifests"][0]["digest"] == sha256(index)
    assert listed["Tags"] == ["v2"]
    assert json.loads(shop.get("/v2/acme/web/tags/list")[1])["tags"] == []


def test_what_buildah_builds_and_pushes_skopeo_reads(
    shop: Shop, buildah: tuple[str, ...]
) -> None:
    (shop.folder / "hello.txt").write_text("hello\n")

    container = shop.run(*buildah, "from", "scratch").strip()
    shop.run(*buildah, "copy", container, "hello.txt", "/hello.txt")
    shop.run(*buildah, "commit", container, "built")
    shop.run(
        *buildah, "push", "--tls-verify=false", "--creds", shop.credentials, "--digestfile", "digest",
        "built", f"docker://{shop.host}/acme/web:built",
    )  # fmt: skip
    inspected = json.loads(
        shop.run(
            "skopeo",
            "inspect",
            "--tls-verify=false",
            "--creds",
            shop.credentials,
            f"docker://{shop.host}/acme/web:built",
        )
    )

    pushed = (shop.folder / "digest").read_text().strip()
    assert inspected["Digest"] == pushed == shop.digest_of("web/manifests/built")


def test_podman_searches_among_what_the_caller_may_see(
    shop: Shop, podman: tuple[str, ...]
) -> None:
    names = {"webhooks": "private", "open-web": "public", "api": "public"}
    names |= {f"filler-{number:03}": "public" for number in range(100)}  # more than one page
    names |= {"last-web": "public"}
    for name, visibility in names.items():
        new = {"namespace": "acme", "repository": name, "visibility": visibility}
        shop.call("POST", "repository", {**new, "description": ""})
    write_layout(shop.folder / "layout", "amd64")
    shop.run(
        "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", shop.credentials,
        "oci:layout:v1", f"docker://{shop.host}/acme/web:v1",
    )  # fmt: skip
    search = (*podman, "search", "--tls-verify=false", "--format")

    shop.run(*podman, "login", "--tls-verify=false", "-u", shop.robot, "-p", shop.robot_token, shop.host)  # fmt: skip
    found = shop.run(*search, "{{.Name}}", f"{shop.host}/web")
    exact = shop.run(*search, "{{.Name}}", "--limit", "1", f"{shop.host}/acme/web")
    hidden = shop.run(*search, "{{.Name}}", f"{shop.host}/webhooks")
    tags = json.loads(shop.run(*search, "json", "--list-tags", f"{shop.host}/acme/web"))

    assert found.split() == [
        f"{shop.host}/acme/{name}" for name in ("web", "open-web", "last-web")
    ]
    assert exact.split() == [f"{shop.host}/acme/web"]
    assert hidden.split() == []
    assert tags == [{"Name": f"{shop.host}/acme/web", "Tags": ["v1"]}]


def test_tokens_sign_in_under_names_of_their_own(shop: Shop, podman: tuple[str, ...]) -> None:
    """`$oauthtoken` and `$app`, as people write them into their scripts."""
    manifest = write_layout(shop.folder / "layout", "amd64")
    code = shop.call("POST", "user/apptoken", {"title": "laptop"})["token"]["token_code"]
    application = shop.call("POST", "organization/acme/applications", {"name": "ci"})
    tokens = f"organization/acme/applications/{application['client_id']}/tokens"
    reading = shop.call("POST", tokens, {"name": "read", "scope": "repo:read"})["token"]
    host, image = shop.host, f"{shop.host}/acme/web:v1"
    insecure = ("--insecure-policy", "--dest-tls-verify=false")

    shop.run("skopeo", "login", "--tls-verify=false", "-u", "$app", "-p", code, host)
    shop.run("skopeo", "copy", *insecure, "oci:layout:v1", f"docker://{image}")
    shop.run("skopeo", "logout", host)
    shop.run(*podman, "login", "--tls-verify=false", "-u", "$oauthtoken", "-p", reading, host)
    shop.run(*podman, "pull", "--arch", "amd64", "--tls-verify=false", image)
    with pytest.raises(AssertionError) as capped:
        shop.run("skopeo", "copy", *insecure, "oci:layout:v1", f"docker://{host}/acme/web:v2")
    with pytest.raises(AssertionError) as swapped:
        shop.run("skopeo", "login", "--tls-verify=false", "-u", "$app", "-p", reading, host)

    assert shop.get("/v2/acme/web/manifests/v1")[1] == manifest
    assert "denied" in str(capped.value) or "unauthorized" in str(capped.value)
    assert "invalid username/password" in str(swapped.value)
    assert json.loads(shop.get("/v2/acme/web/tags/list")[1])["tags"] == ["v1"]


def test_docker_logs_in_with_either_token(shop: Shop) -> None:
    code = shop.call("POST", "user/apptoken", {"title": "laptop"})["token"]["token_code"]
    login = ("docker", "login", shop.host)

    said = [
        shop.run(*login, "-u", user, "-p", secret)
        for user, secret in (("$app", code), ("$oauthtoken", shop.token))
    ]
    with pytest.raises(AssertionError) as refused:
        shop.run(*login, "-u", "$app", "-p", shop.token)

    assert ["Login Succeeded" in text for text in said] == [True, True]
    assert "Invalid or expired app-specific token." in str(refused.value)


def test_a_wrong_password_is_told_to_the_client(shop: Shop) -> None:
    write_layout(shop.folder / "layout", "amd64")

    with pytest.raises(AssertionError) as failure:
        shop.run(
            "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", "acme+ci:wrong",
            "oci:layout:v1", f"docker://{shop.host}/acme/web:v1",
        )  # fmt: skip

    assert "invalid username/password" in str(failure.value)
    assert json.loads(shop.get("/v2/acme/web/tags/list")[1])["tags"] == []


@pytest.fixture
def artifacts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> oras.client.OrasClient:
    monkeypatch.setenv("HOME", str(shop.folder))
    monkeypatch.chdir(shop.folder)
    # Its token backend keeps the first token, for pulling, and never asks for a better one.
    client = oras.client.OrasClient(hostname=shop.host, insecure=True, auth_backend="basic")
    client.auth.set_basic_auth(shop.robot, shop.robot_token)
    return client


def test_oras_pushes_an_artifact_with_a_subject_and_pulls_it(
    shop: Shop, artifacts: oras.client.OrasClient
) -> None:
    content = os.urandom(100_000)
    (shop.folder / "subject.txt").write_text("subject\n")
    (shop.folder / "sbom.json").write_bytes(content)

    artifacts.push(target=f"{shop.host}/acme/web:subject", files=["subject.txt"])
    headers, body = shop.get("/v2/acme/web/manifests/subject")
    subject = oras.oci.Subject(OCI_IMAGE, headers["docker-content-digest"], len(body))
    answer = artifacts.push(
        target=f"{shop.host}/acme/web:sbom",
        files=["sbom.json:application/vnd.example.sbom"],
        subject=subject,
        do_chunked=True,
        chunk_size=30_000,
    )
    pulled = artifacts.pull(target=f"{shop.host}/acme/web:sbom", outdir="out")
    referrers = json.loads(shop.get(f"/v2/acme/web/referrers/{subject.digest}")[1])

    assert answer.headers["OCI-Subject"] == subject.digest
    assert [Path(path).read_bytes() for path in pulled] == [content]
    assert [entry["digest"] for entry in referrers["manifests"]] == [
        shop.digest_of("web/manifests/sbom")
    ]
    assert sorted(artifacts.get_tags(f"{shop.host}/acme/web")) == ["sbom", "subject"]
