"""Applications that ask people for a token, and the people who answer, in tests of pages and of OAuth."""

from collections.abc import Mapping
from urllib.parse import urlencode

from tests.asgi import Answer, Client
from tests.world import World

LOCAL = "https://dockbell.test/oauth/localapp"
HOME = "https://ci.example.com/back"
HTML = {"accept": "text/html"}
_FORM = "application/x-www-form-urlencoded"


async def application(world: World, redirect_uri: str = HOME) -> dict[str, str]:
    boss = await world.client("boss", "org:admin")
    made = await boss.post(
        "/api/v1/organization/acme/applications",
        {"name": "<ci> & co", "redirect_uri": redirect_uri, "description": '"<b>fast</b>"'},
    )
    found: dict[str, str] = made.json()
    return found


def asked(client_id: str, **changed: str) -> dict[str, str]:
    return {
        "client_id": client_id,
        "redirect_uri": HOME,
        "scope": "repo:read repo:admin",
        "response_type": "token",
        **changed,
    }


async def authorize(
    client: Client, values: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Answer:
    return await client.get(f"/oauth/authorize?{urlencode(values)}", headers=headers or {})


async def post_form(
    client: Client,
    path: str,
    values: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
) -> Answer:
    return await client.post(
        path,
        body=urlencode(values).encode(),
        headers={"content-type": _FORM, **(headers or {})},
    )
