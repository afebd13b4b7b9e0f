"""The page that the link in the mail of a new account leads to. Opening it changes nothing; its button does."""

from litestar import Response, get, post

from dockbell.domain.accounts import User
from dockbell.ui import pages
from dockbell.web.calls import Call


def _invalid() -> Response[bytes]:
    return pages.refusal(
        400,
        "Account not verified",
        "This link is not good, or no longer: it works for three days, and only for the address it went to.",
    )


def _shown(found: User) -> Response[bytes]:
    return pages.page(
        "verified.html",
        {
            "name": found.namespace.name,
            "email": found.namespace.email,
            "is_verified": found.email_verified,
        },
    )


@get("/confirm", include_in_schema=False)
async def show_account(call: Call) -> Response[bytes]:
    """The page that asks whether the reader made the account."""
    async with call.read() as tx:
        found = await call.faces.sign_ups.of_code(tx, call.text("code"))
    return _invalid() if found is None else _shown(found)


@post("/confirm", status_code=200, include_in_schema=False)
async def verify_account(call: Call) -> Response[bytes]:
    """The account is good from now on."""
    async with call.begin() as tx:
        if await call.faces.sign_ups.confirm(tx, call.text("code")) is None:
            return _invalid()
        found = await call.faces.sign_ups.of_code(tx, call.text("code"))
    return _invalid() if found is None else _shown(found)


HANDLERS = [show_account, verify_account]
