"""The page at which people sign in, and the files that all pages use."""

import math

from litestar import Response, get, post
from litestar.params import FromPath

from dockbell.domain.redirects import is_own_page
from dockbell.services.authentication import SignInError, TooManySignInsError
from dockbell.ui import pages
from dockbell.web import sessions, sign_ins
from dockbell.web.calls import ApiCall, Call
from dockbell.web.sessions import CsrfError

_WORDS = {
    "Invalid Username or Password": "The user name or the password is not right.",
    "Please verify your e-mail address": "Your e-mail address is not verified yet: open the link in the mail first.",
}


def ask(
    call: ApiCall, following: str, *, status: int = 200, problem: str = "", username: str = ""
) -> Response[bytes]:
    """The form to sign in with; who succeeds goes on to the page `following` of this server."""
    csrf, headers = pages.form_secret(call)
    # Who has agreed before goes on to the application at once, and browsers hold that redirect to this page's policy.
    is_asked = following.startswith("/oauth/authorize?")
    return pages.page(
        "sign_in.html",
        {"csrf": csrf, "next": following, "problem": problem, "username": username},
        status=status,
        headers=headers,
        form_place="https: http:" if is_asked else "",
    )


def _page_of(text: str) -> str:
    return text if is_own_page(text) else "/"


@get("/signin", include_in_schema=False)
async def show_sign_in(call: Call) -> Response[bytes]:
    """The form; who is signed in already goes on at once."""
    following = _page_of(call.text("next", "/"))
    async with call.read() as tx:
        actor = await call.caller(tx)
    if not actor.is_anonymous:
        return pages.redirect(following, status=303)
    return ask(call, following)


@post("/signin", status_code=200, include_in_schema=False)
async def sign_in(call: Call) -> Response[bytes]:
    """Begins a session and goes on, or shows the form again with the reason."""
    form = call.form()
    following = _page_of(form.get("next", "/"))
    username = form.get("username", "")
    try:
        call.check_csrf()
        session = await sign_ins.sign_in(call, username, form.get("password", ""))
    except CsrfError:
        words = "The form was too old, or this browser keeps no cookies. Please try again."
        return ask(call, following, status=403, problem=words, username=username)
    except TooManySignInsError as error:
        seconds = max(1, math.ceil(error.wait.total_seconds()))
        words = f"Too many wrong passwords. Try again in {seconds} seconds."
        answer = ask(call, following, status=429, problem=words, username=username)
        answer.headers["retry-after"] = str(seconds)
        return answer
    except SignInError as error:
        words = _WORDS.get(error.detail, error.detail)
        return ask(call, following, status=403, problem=words, username=username)
    return pages.redirect(
        following, status=303, headers=sessions.keep(call.faces.links, session)
    )


@post("/signout", status_code=200, include_in_schema=False)
async def sign_out(call: Call) -> Response[bytes]:
    """Ends the session and shows the start page."""
    try:
        await sign_ins.sign_out(call)
    except CsrfError:
        return pages.refusal(403, "Not signed out", "The form was too old. Please try again.")
    return pages.redirect("/", status=303, headers=sessions.forget(call.faces.links))


@get("/static/{name:str}", include_in_schema=False)
async def get_file(name: FromPath[str]) -> Response[bytes]:
    """A style sheet or script of our pages."""
    kind, content = pages.STATIC.get(name, ("text/plain", b""))
    return Response(
        content=content or b"There is no such file.\n",
        status_code=200 if content else 404,
        media_type=kind,
        headers={"cache-control": "max-age=300", "x-content-type-options": "nosniff"},
    )


HANDLERS = [show_sign_in, sign_in, sign_out, get_file]
