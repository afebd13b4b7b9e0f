"""The pages that links in our mails lead to: agreeing to a repository's mail, and ending it.

Opening a page changes nothing, because programs open links too; its button does.
"""

import html

from litestar import Response, get, post

from dockbell.domain import letters
from dockbell.domain.authorized_emails import AuthorizedEmail
from dockbell.web.calls import Call

# Links and codes are secrets, and no page of ours needs a script.
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
}
# Quay: these words for a code that is not good, on a page with status 200. Pinned by compat/test_authorized_emails.py.
_INVALID = "Invalid confirmation code."


def _page(status: int, title: str, body: str) -> Response[bytes]:
    text = letters.page(title, f"<h1>{html.escape(title)}</h1>\n{body}")
    return Response(
        content=text.encode(),
        status_code=status,
        media_type="text/html",
        headers=_HEADERS,
    )


def _names(found: AuthorizedEmail) -> tuple[str, str]:
    return html.escape(found.email), html.escape(found.path)


def _button(text: str) -> str:
    """A form that is sent to the address of its own page."""
    return f'<form method="post"><button type="submit">{text}</button></form>'


def _without_code() -> Response[bytes]:
    return _page(
        400,
        "Incomplete link",
        "<p>This link is not complete: copy all of it from the mail.</p>",
    )


def _invalid_code() -> Response[bytes]:
    return _page(
        200,
        "E-mail address not confirmed",
        f"<p>{_INVALID} It may have expired, or a newer mail holds a newer one.</p>",
    )


def _authorized(found: AuthorizedEmail) -> Response[bytes]:
    email, path = _names(found)
    return _page(
        200,
        "E-mail address authorized",
        f"<p>{email} has been authorized to receive notifications for the repository "
        f'<a href="/repository/{path}">{path}</a>.</p>',
    )


@get("/authrepoemail", include_in_schema=False)
async def show_confirmation(call: Call) -> Response[bytes]:
    """The page that asks whether an address may get a repository's mail."""
    code = call.text("code")
    if not code:
        return _without_code()
    async with call.read() as tx:
        found = await call.faces.emails.of_code(tx, code)
    if found is None:
        return _invalid_code()
    if found.is_confirmed:
        return _authorized(found)
    email, path = _names(found)
    return _page(
        200,
        "Confirm your e-mail address",
        f"<p>Shall {email} receive notifications for the repository {path}?</p>\n"
        + _button("Yes, send them"),
    )


@post("/authrepoemail", status_code=200, include_in_schema=False)
async def confirm_email(call: Call) -> Response[bytes]:
    """The address gets the repository's mail from now on."""
    code = call.text("code")
    if not code:
        return _without_code()
    async with call.begin() as tx:
        found = await call.faces.emails.confirm(tx, code)
    return _invalid_code() if found is None else _authorized(found)


def _unknown_link() -> Response[bytes]:
    return _page(404, "Unknown link", "<p>This link ends nothing: it is not one of ours.</p>")


@get("/unsubscribe", include_in_schema=False)
async def show_unsubscribe(call: Call) -> Response[bytes]:
    """The page that asks whether an address's mails shall end."""
    async with call.read() as tx:
        found = await call.faces.emails.of_link(tx, call.text("id"), call.text("code"))
    if found is None:
        return _unknown_link()
    email, path = _names(found)
    if not found.is_confirmed:
        return _page(
            200,
            "Mails ended",
            f"<p>{email} receives no notifications for the repository {path}.</p>",
        )
    return _page(
        200,
        "End these mails",
        f"<p>Shall {email} receive no more notifications for the repository {path}?</p>\n"
        + _button("Yes, end them"),
    )


@post("/unsubscribe", status_code=200, include_in_schema=False)
async def unsubscribe(call: Call) -> Response[bytes]:
    """The address gets no more of the repository's mail. Mail programs call this by themselves (RFC 8058)."""
    async with call.begin() as tx:
        found = await call.faces.emails.withdraw(tx, call.text("id"), call.text("code"))
    if found is None:
        return _unknown_link()
    email, path = _names(found)
    return _page(
        200,
        "Mails ended",
        f"<p>{email} receives no more notifications for the repository {path}. "
        "They begin again only if somebody asks you and you agree.</p>",
    )


HANDLERS = [show_confirmation, confirm_email, show_unsubscribe, unsubscribe]
