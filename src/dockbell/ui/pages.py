"""Whole pages: templates that escape by themselves, and the headers that keep a page to itself."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Response

from dockbell.domain.sessions import csrf_token_of
from dockbell.observability.versions import version
from dockbell.services.sessions import fresh_secret
from dockbell.web import sessions
from dockbell.web.calls import ApiCall

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
STATIC: Mapping[str, tuple[str, bytes]] = {
    file.name: (kind, file.read_bytes())
    for ending, kind in ((".css", "text/css"), (".js", "text/javascript"))
    for file in sorted((_HERE / "static").glob(f"*{ending}"))
}


@cache
def _templates() -> "Environment":
    # Many servers show no page for days, and the start of each would wait for what makes them.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 -- see above

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(form_places: str) -> str:
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self'{form_places}"
    )


def headers_of(*, form_place: str = "") -> dict[str, str]:
    """What every page of ours says: no frame, no foreign asset, nothing kept.

    `form_place` says what else a form of the page may lead to, by redirects, in the words of the policy.
    """
    return {
        "cache-control": "no-store",
        "content-security-policy": _policy(f" {form_place}" if form_place else ""),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


def page(
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    form_place: str = "",
) -> Response[bytes]:
    """The rendered template. It must name no value that is not given."""
    text = _templates().get_template(template).render(version=version(), **values)
    return Response(
        content=text.encode(),
        status_code=status,
        media_type="text/html",
        headers={**headers_of(form_place=form_place), **(headers or {})},
    )


def refusal(status: int, title: str, words: str) -> Response[bytes]:
    """A page that says why there is no other one."""
    return page("refusal.html", {"title": title, "words": words}, status=status)


def redirect(
    location: str, *, status: int = 302, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    return Response(
        content=b"",
        status_code=status,
        media_type="text/html",
        headers={
            "location": location,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            **(headers or {}),
        },
    )


def form_secret(call: ApiCall) -> tuple[str, dict[str, str]]:
    """The CSRF token for a form of the page, and the header that sets its cookie if there is none yet."""
    secret = call.session_secret
    if secret is not None:
        return csrf_token_of(secret), {}
    secret = fresh_secret()
    return csrf_token_of(secret), {"set-cookie": sessions.cookie_of(call.faces.links, secret)}
