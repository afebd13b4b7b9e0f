"""People who sign in with a password, in browsers that keep cookies."""

from dockbell.services import passwords
from dockbell.store import users
from tests.accounts import PASSWORD
from tests.asgi import Answer, Client
from tests.world import World

_once: list[str] = []  # hashing takes a while, and the password is the same in every test


async def with_password(world: World, name: str, password: str = PASSWORD) -> None:
    """Let this person of the world sign in."""
    if password != PASSWORD:
        kept = await passwords.hash_of(password)
    else:
        if not _once:
            _once.append(await passwords.hash_of(PASSWORD))
        kept = _once[0]
    async with world.store.begin() as tx:
        await users.set_password(tx, f"ns_{name}", kept)


async def csrf_token(client: Client) -> str:
    token: str = (await client.get("/csrf_token")).json()["csrf_token"]
    return token


async def sign_in(client: Client, username: str, password: str = PASSWORD) -> Answer:
    """Sign in as Quay's clients do: a token for the form first, then name and password."""
    token = await csrf_token(client)
    return await client.post(
        "/api/v1/signin",
        {"username": username, "password": password},
        headers={"x-csrf-token": token},
    )


async def signed_in(world: World, name: str) -> tuple[Client, dict[str, str]]:
    """A browser of that person, and the header that goes with its changes."""
    await with_password(world, name)
    client = world.anonymous.as_browser()
    answer = await sign_in(client, name)
    assert answer.status == 200, answer.body
    return client, {"x-csrf-token": answer.headers["x-next-csrf-token"]}
