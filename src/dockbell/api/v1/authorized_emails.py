"""Whether an e-mail address may get a repository's mail, with Quay's addresses and statuses (quay-compat 2.4)."""

from litestar import Response, get, post
from litestar.params import FromPath

from dockbell.domain.authorized_emails import AuthorizedEmail
from dockbell.domain.errors import DataError, NotFoundError
from dockbell.services import repositories
from dockbell.web.calls import ApiCall, Call

_ONE = "/repository/{repository:str}/authorizedemail/{email:str}"
# Quay: the framework's own words, and as many of them. Pinned by compat/test_authorized_emails.py.
_UNKNOWN = {
    "message": "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
}


def _shown(found: AuthorizedEmail) -> dict[str, object]:
    return {
        "email": found.email,
        "repository": found.repository,
        "namespace": found.namespace,
        "confirmed": found.is_confirmed,
    }


def _check_open(call: ApiCall) -> None:
    # Quay: without mail these addresses do not exist. Pinned by compat/test_authorized_emails.py.
    if not call.faces.emails.is_open:
        raise NotFoundError


@get(_ONE)
async def get_authorized_email(
    call: Call, repository: FromPath[str], email: FromPath[str]
) -> Response[bytes]:
    """200 with the address and whether its owner has agreed; 404 if they were never asked."""
    _check_open(call)
    async with call.read() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        found = await call.faces.emails.find(tx, admin, email)
    return call.reply(404, _UNKNOWN) if found is None else call.reply(200, _shown(found))


@post(_ONE)
async def send_authorized_email(
    call: Call, repository: FromPath[str], email: FromPath[str]
) -> Response[bytes]:
    """200 with the same; a mail with a link asks the owner, unless they have agreed already. Any body is ignored."""
    _check_open(call)
    path = call.path(repository)
    async with call.begin() as tx:
        actor = await call.actor(tx)
        try:
            admin = await repositories.admin_of(tx, actor, path)
        except NotFoundError as error:
            # Quay: this is 400 here. Pinned by compat/test_authorized_emails.py.
            raise DataError(f"Invalid repository {path}") from error
        found, letter = await call.faces.emails.ask(tx, admin, email)
    if letter is not None:
        await call.faces.emails.send(letter)
    return call.reply(200, _shown(found))


HANDLERS = [get_authorized_email, send_authorized_email]
