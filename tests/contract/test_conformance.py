"""Every method in every situation, with real sockets on loopback: the same words for causes, the same waits (case 150).

A method may say of a situation that it cannot come about. Whatever does come about is one of the known codes with advice,
tells no secret, and leads to what the one retry table says of it, whichever method it was.
"""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from dockbell import methods
from dockbell.domain.advice import ADVICE
from dockbell.domain.deliveries import State
from dockbell.domain.letters import Letter
from dockbell.domain.methods import (
    Config,
    Headers,
    MailReply,
    Message,
    Method,
    Recipient,
    Reply,
)
from dockbell.domain.outcomes import Code, Delivered, Fault, Outcome
from dockbell.engine.retry import WAITS, decide
from dockbell.methods.email import Email
from dockbell.methods.flowdock import Flowdock
from dockbell.methods.hipchat import HipChat
from dockbell.net.http import Sender
from dockbell.net.mail import Mailer, Security
from dockbell.net.policy import EgressPolicy
from tests.contract.test_mail_outbound import mailer_of
from tests.contract.test_outbound import opened
from tests.factories import KINDS, NOON, message_of, sample_of
from tests.mail_server import MailServer
from tests.receiver import Receiver, certificate

METHODS = ("email", "flowdock", "hipchat", "quay_notification", "slack", "webhook")
SITUATIONS = ("2xx", "4xx", "429", "5xx", "silence", "blocked", "tls")
SECRET = "s3cret-t0ken"
LIMIT = 0.5  # seconds that a try may take here
STATUSES = {"2xx": 204, "4xx": 404, "429": 429, "5xx": 500}
# What a mail server says in the like situation. There 4xx is for now and 5xx for good (RFC 5321, 4.2.1).
MAIL_ANSWERS: Mapping[str, Mapping[str, str | list[str]]] = {
    "2xx": {},
    "4xx": {"rcpt": "550 no such mailbox"},
    "429": {"mail": "450 too many mails"},
    "5xx": {"body": "554 refused"},
    "silence": {"greeting": "stall"},
}
OVER_HTTP = {
    "2xx": ("Delivered", Code.OK, None, State.DELIVERED, None, True),
    "4xx": ("Failed", Code.HTTP_4XX, Fault.TARGET, State.WAITING, 5.0, True),
    "429": ("Failed", Code.HTTP_429, Fault.TARGET, State.WAITING, 120.0, True),
    "5xx": ("Failed", Code.HTTP_5XX, Fault.TARGET, State.WAITING, 5.0, True),
    "silence": ("Failed", Code.FIRST_BYTE_TIMEOUT, Fault.TARGET, State.WAITING, 5.0, True),
    "blocked": ("Failed", Code.BLOCKED_ADDRESS, Fault.TARGET, State.WAITING, 5.0, True),
    "tls": ("Failed", Code.TLS_VERIFY, Fault.TARGET, State.WAITING, 5.0, True),
}
BY_MAIL = {
    "2xx": ("Delivered", Code.OK, None, State.DELIVERED, None, True),
    "4xx": ("Rejected", Code.MAIL_RECIPIENT_REFUSED, Fault.TARGET, State.DEAD, None, True),
    "429": ("Failed", Code.MAIL_DEFERRED, Fault.TARGET, State.WAITING, 5.0, True),
    "5xx": ("Rejected", Code.MAIL_REFUSED, Fault.TARGET, State.DEAD, None, True),
    "silence": ("Failed", Code.FIRST_BYTE_TIMEOUT, Fault.OURS, State.WAITING, 5.0, False),
    "blocked": ("Failed", Code.BLOCKED_ADDRESS, Fault.OURS, State.WAITING, 5.0, False),
    "tls": ("Failed", Code.MAIL_NO_TLS, Fault.OURS, State.WAITING, 5.0, False),
}
# A bell rings in our own tables: there is nobody who could answer, be silent or be forbidden.
IN_APP = {"2xx": ("Delivered", Code.OK, None, State.DELIVERED, None, True)}
EXPECTED = {
    "email": BY_MAIL,
    "quay_notification": IN_APP,
    **dict.fromkeys(("flowdock", "hipchat", "slack", "webhook"), OVER_HTTP),
}
MESSAGE = message_of(sample_of(KINDS["repo_push"]))


@dataclass(slots=True)
class RealOutbound:
    """The real ways out of a process, but for the tables: consent is given, and everybody has an inbox."""

    sender: Sender
    mailer: Mailer
    inboxes: list[Recipient] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply:
        return await self.sender.post(url, body, headers)

    async def mail(self, letter: Letter) -> MailReply:
        return await self.mailer.send(letter)

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        return "https://dockbell.test/unsubscribe?id=aem_1&code=c0de"

    async def owner_addresses(self, message: Message) -> Sequence[str] | None:
        return None

    async def notice(self, message: Message, recipient: Recipient) -> int:
        self.inboxes.append(recipient)
        return 1


def made_for(name: str, receiver: Receiver) -> tuple[Method, Config]:
    """The method as the composition root makes it, with a config that leads to the receiver."""
    url = receiver.url(f"/{SECRET}")
    made: dict[str, tuple[Callable[[], Method], Config]] = {
        "email": (lambda: Email(has_server=True), {"email": "ops@example.com"}),
        "flowdock": (
            lambda: Flowdock(receiver.url().rstrip("/"), "bell@dockbell.test"),
            {"flow_api_token": SECRET},
        ),
        "hipchat": (
            lambda: HipChat(receiver.url().rstrip("/")),
            {"notification_token": SECRET, "room_id": "42"},
        ),
        "quay_notification": (
            lambda: methods.catalog()["quay_notification"],
            {"target": {"kind": "user", "name": "alice"}},
        ),
        "slack": (lambda: methods.catalog()["slack"], {"url": url}),
        "webhook": (lambda: methods.catalog()["webhook"], {"url": url}),
    }
    make, config = made[name]
    return make(), config


@contextlib.asynccontextmanager
async def world_of(
    situation: str, folder: Path
) -> AsyncIterator[tuple[Receiver, RealOutbound, MailServer]]:
    """Targets that are in this situation, and the ways out to them."""
    tls = certificate(folder).context if situation == "tls" else None
    mail_server = MailServer(answers=dict(MAIL_ANSWERS.get(situation, {})))
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(tls=tls))
        await stack.enter_async_context(mail_server)
        if situation == "silence":
            receiver.answer(drop="stall")
        else:
            headers = [("Retry-After", "120")] if situation == "429" else []
            receiver.answer(status=STATUSES.get(situation, 200), headers=headers)
        allow = "" if situation == "blocked" else "loopback"
        sender = await stack.enter_async_context(opened(allow, timeout=LIMIT))
        mailer = mailer_of(
            mail_server,
            security=Security.STARTTLS if situation == "tls" else Security.NONE,
            policy=EgressPolicy.of("") if situation == "blocked" else None,
            timeout=LIMIT,
        )
        yield receiver, RealOutbound(sender, mailer), mail_server


def fate_of(
    outcome: Outcome,
) -> tuple[str, Code, Fault | None, State, float | None, bool]:
    """What came of it: outcome, cause, whose fault, what follows, after how many seconds, and whether it is charged."""
    decision = decide(outcome, 0, NOON, 0.0)
    wait = None if decision.due_at is None else (decision.due_at - NOON).total_seconds()
    return (
        type(outcome).__name__,
        outcome.code,
        None if isinstance(outcome, Delivered) else outcome.fault,
        decision.state,
        wait,
        decision.is_charged,
    )


def test_every_method_is_in_the_suite() -> None:
    assert sorted(methods.catalog()) == sorted(METHODS) == sorted(EXPECTED)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", METHODS)
async def test_a_method_in_a_situation(name: str, situation: str, tmp_path: Path) -> None:
    expected = EXPECTED[name].get(situation)
    async with world_of(situation, tmp_path) as (receiver, out, mail_server):
        method, config = made_for(name, receiver)

        outcome = await method.send(MESSAGE, config, out)

        heard = len(receiver.requests), len(mail_server.mails), len(out.inboxes)
    if expected is None:  # it comes about for others only, and this one does not mind
        assert fate_of(outcome) == EXPECTED[name]["2xx"]
        assert heard == (0, 0, 1)
        return
    assert fate_of(outcome) == expected
    assert ADVICE[outcome.code] != ""
    assert SECRET not in outcome.detail
    assert "\n" not in outcome.detail
    if situation in {"blocked", "tls"}:
        assert heard[:2] == (0, 0)  # not a byte of the message left


@pytest.mark.parametrize("name", METHODS)
async def test_the_tries_of_a_method_follow_the_one_table(name: str, tmp_path: Path) -> None:
    """Whatever fails for now is tried again after the same waits, until it is given up."""
    situation = "429" if name == "email" else "5xx"
    if name == "quay_notification":
        situation = "2xx"
    async with world_of(situation, tmp_path) as (receiver, out, _):
        method, config = made_for(name, receiver)
        outcome = await method.send(MESSAGE, config, out)

    waits = []
    for tries in itertools.count():
        decision = decide(outcome, tries, NOON, 0.0)
        if decision.due_at is None:
            break
        waits.append(decision.due_at - NOON)

    assert waits == ([] if name == "quay_notification" else list(WAITS))
    assert sum(WAITS, timedelta()) > timedelta(hours=75)


def test_the_size_of_the_suite() -> None:
    cells = [(name, situation) for name in METHODS for situation in EXPECTED[name]]

    assert (len(METHODS) * len(SITUATIONS), len(cells)) == (42, 36)
