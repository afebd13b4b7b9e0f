"""How an application gets a token from a person: the page that asks, and the answers (quay-compat 6.3)."""

from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post

from dockbell.domain import redirects
from dockbell.domain.accounts import Actor, Application, scopes_of
from dockbell.domain.consents import meanings_of
from dockbell.domain.errors import (
    DockbellError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import GrantorTo
from dockbell.services import applications, authorizations
from dockbell.services.authentication import TooManySignInsError
from dockbell.services.authorizations import ClientError, CodeError
from dockbell.services.tokens import LONGEST_LIFETIME
from dockbell.ui import pages, sign_in
from dockbell.web import sign_ins
from dockbell.web.basic import basic_of
from dockbell.web.calls import ApiCall, Call
from dockbell.web.sessions import CsrfError

_EXPIRES_IN = str(int(LONGEST_LIFETIME.total_seconds()))
_REQUIRED = ("client_id", "redirect_uri", "scope")
_TYPES = ("token", "code")


class MissingError(InvalidRequestError):
    """A parameter is missing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an application asks for."""

    client_id: str
    redirect_uri: str
    scope: str
    response_type: str
    state: str | None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Asked":
        """Raise MissingError, in Quay's words, for what it cannot do without."""
        for name in _REQUIRED:
            if not given.get(name):
                raise MissingError(f"Required param: {name}")
        return cls(
            client_id=given["client_id"],
            redirect_uri=given["redirect_uri"],
            scope=given["scope"],
            response_type=given.get("response_type") or "code",  # as Quay
            state=given.get("state"),
        )

    @property
    def fields(self) -> dict[str, str]:
        """The same as it came, for the forms of the page that asks."""
        state = {} if self.state is None else {"state": self.state}
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "response_type": self.response_type,
            **state,
        }

    @property
    def page(self) -> str:
        return redirects.with_query("/oauth/authorize", self.fields)

    def is_home(self, application: Application, call: ApiCall) -> bool:
        """Whether the answer may go where it is asked to go."""
        return redirects.is_allowed(
            self.redirect_uri, application.redirect_uri, call.faces.links.local_app
        )

    def problem(self, actor: Actor) -> str | None:
        if self.response_type not in _TYPES:
            return "unsupported_response_type"
        return None if authorizations.is_grantable(self.scope, actor) else "invalid_scope"

    def with_error(self, error: str) -> Response[bytes]:
        return self.answer({"error": error})

    def answer(self, values: Mapping[str, str], fragment: str = "") -> Response[bytes]:
        """Send the browser back to the application. Call it only when the address is one of the application's."""
        state = {} if self.state is None else {"state": self.state}
        location = redirects.with_query(self.redirect_uri, {**values, **state})
        return pages.redirect(f"{location}{fragment}")


def _wants_page(call: ApiCall) -> bool:
    """Whether a person looks at the answer, and no program."""
    is_html = "text/html" in call.request.headers.get("accept", "")
    return is_html and call.text("format") != "json"


def _refuse(call: ApiCall, status: int, error: str, words: str) -> Response[bytes]:
    # Quay: shape B. Pinned by compat/test_oauth.py.
    if _wants_page(call):
        return pages.refusal(status, "This cannot be authorized", words)
    return call.reply(status, {"error": error})


def _refusal_of(call: ApiCall, error: DockbellError, asked: Asked | None) -> Response[bytes]:
    """The answer to what went wrong before anything could be sent to the application."""
    match error:
        case MissingError() | CsrfError():
            status = 403 if isinstance(error, CsrfError) else 400
            return _refuse(call, status, error.detail, f"{error.detail}.".replace("..", "."))
        case TooManySignInsError():
            answer = _refuse(call, 429, "Too many login attempts", "Too many wrong passwords.")
            answer.headers["retry-after"] = str(int(error.wait.total_seconds()) + 1)
            return answer
        case UnauthenticatedError():
            if asked is not None and _wants_page(call):
                return sign_in.ask(call, asked.page, status=401)
            return call.reply(401, {"error": error.detail})
        case NotFoundError():
            return _refuse(call, 404, "Not Found", "There is no such application.")
        case ForbiddenError():
            words = "Only admins of its organization can let this application act for them."
            return _refuse(call, 403, error.detail, words)
        case _:
            raise error


async def _who(call: ApiCall) -> Actor:
    """Who asks: by a password in the header, or by their session. Bearer tokens count for nobody here."""
    scheme, _, value = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        actor = await sign_ins.of_password(call, *basic_of(value))
        return call.faces.powers.of(actor)
    async with call.read() as tx:
        return await call.caller(tx)


async def _grantor(tx: Any, actor: Actor, asked: Asked) -> tuple[GrantorTo, str]:
    """The right, and the name of the application's organization."""
    if actor.is_anonymous:
        raise UnauthenticatedError
    application, owner = await applications.load_public(tx, actor, asked.client_id)
    return await authorizations.grantor_to(tx, actor, application, owner), owner


async def _grant(tx: Any, grantor: GrantorTo, asked: Asked) -> Response[bytes]:
    """The answer that the application waits for."""
    if asked.response_type == "code":
        code = await authorizations.grant_code(tx, grantor, asked.scope, asked.redirect_uri)
        return asked.answer({"code": code.secret})
    issued = await authorizations.grant(tx, grantor, asked.scope)
    # Quay: this order. Pinned by compat/test_oauth.py.
    fragment = f"#access_token={issued.secret}&token_type=Bearer&expires_in={_EXPIRES_IN}"
    return asked.answer({"scope": issued.token.scope}, fragment)


@get("/oauth/authorize", include_in_schema=False)
async def show_consent(call: Call) -> Response[bytes]:
    """The page that asks a person to agree; who has agreed to as much before goes on at once."""
    asked = None
    try:
        asked = Asked.of(call.request.query_params)
        actor = await _who(call)
        async with call.begin() as tx:
            grantor, owner = await _grantor(tx, actor, asked)
            application = grantor.application
            if not asked.is_home(application, call):
                return _mismatch(call, application)
            problem = asked.problem(actor)
            if problem is not None:
                return asked.with_error(problem)
            if await authorizations.has_agreed(tx, grantor, asked.scope):
                return await _grant(tx, grantor, asked)
    except DockbellError as error:
        return _refusal_of(call, error, asked)
    if call.text("format") == "json":
        return _consent_json(call, asked, application, owner)
    return _consent_page(call, asked, grantor, owner)


def _mismatch(call: ApiCall, application: Application) -> Response[bytes]:
    if not redirects.is_sendable(application.redirect_uri):
        words = "The application has no address to which the answer could go."
        return _refuse(call, 400, "redirect_uri_mismatch", words)
    return pages.redirect(
        redirects.with_query(application.redirect_uri, {"error": "redirect_uri_mismatch"})
    )


def _consent_json(
    call: ApiCall, asked: Asked, application: Application, owner: str
) -> Response[bytes]:
    csrf, headers = pages.form_secret(call)
    meanings = meanings_of(scopes_of(asked.scope))
    return call.reply(
        200,
        {
            "scopes": [
                {
                    "scope": one.scope.value,
                    "title": one.title,
                    "description": one.about,
                    "dangerous": one.is_dangerous,
                }
                for one in meanings
            ],
            "has_dangerous_scopes": any(one.is_dangerous for one in meanings),
            "application": {
                "name": application.name,
                "description": application.description,
                "url": application.application_uri,
                "organization": {"name": owner},
            },
            **asked.fields,
            "csrf_token_val": csrf,
        },
        {**headers, "cache-control": "no-store"},
    )


def _consent_page(
    call: ApiCall, asked: Asked, grantor: GrantorTo, owner: str
) -> Response[bytes]:
    csrf, headers = pages.form_secret(call)
    place = redirects.place_of(asked.redirect_uri)
    return pages.page(
        "consent.html",
        {
            "application": grantor.application.name,
            "organization": owner,
            "username": grantor.actor.name,
            "description": grantor.application.description,
            "meanings": meanings_of(scopes_of(asked.scope)),
            "place": place,
            "csrf": csrf,
            "fields": asked.fields,
        },
        headers=headers,
        # Browsers hold every redirect that follows to this, and where the application sends people on to is its own.
        form_place=f"{place} https:",
    )


async def _answer(call: ApiCall, *, is_agreed: bool) -> Response[bytes]:
    asked = None
    try:
        call.check_csrf()
        asked = Asked.of(call.form())
        actor = await _who(call)
        async with call.begin() as tx:
            try:
                grantor, _ = await _grantor(tx, actor, asked)
            except NotFoundError:
                return _unknown_client(call, asked)
            if not asked.is_home(grantor.application, call):
                words = "The application may not have its answer at that address."
                return _refuse(call, 400, "invalid_request", words)
            if not is_agreed:
                return asked.with_error("access_denied")
            problem = asked.problem(actor)
            if problem is not None:
                return asked.with_error(problem)
            return await _grant(tx, grantor, asked)
    except DockbellError as error:
        return _refusal_of(call, error, asked)


def _unknown_client(call: ApiCall, asked: Asked) -> Response[bytes]:
    # Quay redirects to whatever address was asked for; we only to our own page, so that nobody can make this
    # server send people somewhere. Pinned by compat/test_oauth.py.
    if asked.redirect_uri == call.faces.links.local_app:
        return asked.with_error("unauthorized_client")
    return _refuse(call, 400, "unauthorized_client", "There is no such application.")


@post("/oauth/authorizeapp", status_code=200, include_in_schema=False)
async def authorize(call: Call) -> Response[bytes]:
    """Sends a token, or a code for one, to the application."""
    return await _answer(call, is_agreed=True)


@post("/oauth/denyapp", status_code=200, include_in_schema=False)
async def deny(call: Call) -> Response[bytes]:
    """Tells the application that it gets none."""
    return await _answer(call, is_agreed=False)


@get("/oauth/localapp", include_in_schema=False)
async def show_token(call: Call) -> Response[bytes]:
    """The page at which a person without an application takes their token."""
    return pages.page("token.html", {"refused": call.text("error")})


@post("/oauth/access_token", status_code=200, include_in_schema=False)
async def exchange(call: Call) -> Response[bytes]:
    """A token for a code: what the application's own server asks for (RFC 6749, 4.1.3)."""
    form = call.form()
    client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
    headers = {"cache-control": "no-store"}
    scheme, _, value = call.request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "basic":
            client_id, client_secret = basic_of(value)
        if form.get("grant_type") != "authorization_code":
            return call.reply(400, {"error": "unsupported_grant_type"}, headers)
        if not (client_id and client_secret and form.get("code")):
            return call.reply(400, {"error": "invalid_request"}, headers)
        async with call.begin() as tx:
            issued = await authorizations.exchange(
                tx,
                client_id=client_id,
                client_secret=client_secret,
                code=form["code"],
                redirect_uri=form.get("redirect_uri", ""),
            )
    except (ClientError, UnauthenticatedError):
        return call.reply(401, {"error": "invalid_client"}, headers)
    except CodeError:
        return call.reply(400, {"error": "invalid_grant"}, headers)
    return call.reply(
        200,
        {
            "access_token": issued.secret,
            "token_type": "Bearer",
            "expires_in": int(_EXPIRES_IN),
            "scope": issued.token.scope,
        },
        headers,
    )


HANDLERS = [show_consent, authorize, deny, show_token, exchange]
