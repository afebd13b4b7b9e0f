"""A person with a browser against a served dockbell: signing in, letting an application act, and a server that is killed in between."""

import json
import re
import signal
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.e2e.programs import LIMIT, free_port, running

PASSWORD = "correct-horse-1"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Shows redirects in place of following them."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(slots=True)
class Browser:
    """Keeps cookies as the standard says, sends forms, and follows no redirect."""

    address: str
    jar: CookieJar = field(default_factory=CookieJar)

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, place to go to, and text of a page."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.jar),
            _Stay(),
        )
        data = None if form is None else urlencode(form).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, {"Accept": "text/html"})  # noqa: S310 -- our own server
        answer: HTTPResponse | urllib.error.HTTPError
        try:
            answer = opener.open(request, timeout=LIMIT)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return (
                answer.status or 0,
                answer.headers.get("location", ""),
                answer.read().decode(),
            )

    @property
    def cookies(self) -> list[Cookie]:
        return list(self.jar)


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the first form."""
    form = page.partition("<form")[2].partition("</form>")[0]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: value.replace("&amp;", "&") for name, value in fields}


def test_a_session_and_what_it_agreed_to_outlive_a_kill(tmp_path: Path) -> None:
    port = free_port()
    words = ("serve", "--port", str(port), "--user-initialize")
    with running(tmp_path, *words) as server:
        server.wait_for("is ready at")
        server.address = f"http://127.0.0.1:{port}"
        first = {"username": "alice", "password": PASSWORD, "access_token": True}
        _, made = server.call("POST", "/api/v1/user/initialize", first)
        bearer = {"Authorization": f"Bearer {made['access_token']}"}
        server.call("POST", "/api/v1/organization/", {"name": "acme"}, **bearer)
        new = {"name": "ci", "redirect_uri": "https://ci.example.com/back"}
        _, app = server.call("POST", "/api/v1/organization/acme/applications", new, **bearer)
        asked = urlencode(
            {
                "client_id": app["client_id"],
                "redirect_uri": "https://ci.example.com/back",
                "scope": "user:read",
                "response_type": "token",
            }
        )

        browser = Browser(server.address)
        status, _, page = browser.open(f"/oauth/authorize?{asked}")
        signed = browser.open(
            "/signin", {**hidden(page), "username": "alice", "password": PASSWORD}
        )
        _, _, question = browser.open(signed[1])
        server.end(signal.SIGKILL)

    with running(tmp_path, *words) as again:
        again.wait_for("is ready at")
        agreed = browser.open("/oauth/authorizeapp", hidden(question))
        token = parse_qs(urlsplit(agreed[1]).fragment)["access_token"][0]
        again.address = server.address
        _, me = again.call("GET", "/api/v1/user/", Authorization=f"Bearer {token}")
        _, _, start = browser.open("/")
        out = browser.open("/signout", hidden(start))
        after = browser.open(f"/oauth/authorize?{asked}")
        log = again.said

    assert (status, signed[0], signed[1]) == (401, 303, f"/oauth/authorize?{asked}")
    assert "Authorize ci?" in question
    assert (agreed[0], agreed[1].partition("#")[0]) == (
        302,
        "https://ci.example.com/back?scope=user%3Aread",
    )
    assert me["username"] == "alice"
    assert '<a href="/user/alice">alice</a>' in start
    assert (out[0], out[1], after[0]) == (303, "/", 401)
    assert [(one.name, one.secure) for one in browser.cookies] == [("_csrf_token", False)]
    assert [one for one in browser.cookies if not one.has_nonstandard_attr("HttpOnly")] == []
    assert [
        word for word in (PASSWORD, token, json.dumps(browser.cookies[0].value)) if word in log
    ] == []
