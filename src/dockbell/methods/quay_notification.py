"""The method `quay_notification`: a notice in people's in-app inboxes (quay-compat 4.2)."""

from collections.abc import Mapping

from dockbell.domain.errors import ConfigError
from dockbell.domain.http_outcomes import outcome_of_silence
from dockbell.domain.methods import (
    Config,
    Field,
    Lookup,
    Message,
    Method,
    Outbound,
    Recipient,
    UnreachableError,
)
from dockbell.domain.outcomes import Code, Delivered, Fault, Outcome, Rejected

_KINDS = ("org", "team", "user")


class QuayNotification:
    """Put a notice into the inboxes of a user, an organization's admins, or a team's members."""

    name = "quay_notification"
    title = "dockbell Notification"
    fields: tuple[Field, ...] = (
        Field(key="target", label="Recipient", example={"kind": "user", "name": "alice"}),
    )
    signs = False
    warning = None

    async def check(self, config: Config, lookup: Lookup) -> None:
        problem = await lookup.recipient_error(_recipient(config))
        if problem is not None:
            raise ConfigError(problem, field="target")

    def target(self, config: Config) -> str:
        try:
            recipient = _recipient(config)
        except ConfigError:
            return "Nobody"
        return f"{recipient.kind} {recipient.name}"

    def host(self, config: Config) -> str | None:
        del config
        return None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        try:
            recipient = _recipient(config)
        except ConfigError as error:
            return Rejected(Code.CONFIG_INVALID, error.detail, fault=Fault.CONFIG)
        try:
            reached = await out.notice(message, recipient)
        except UnreachableError as error:
            return outcome_of_silence(error)
        if reached == 0:
            # Quay: a recipient who was deleted counts as success. Pinned by contract/test_methods.py.
            return Delivered(
                code=Code.NO_RECIPIENT,
                detail=f"Nobody got it: there is no {recipient.kind} {recipient.name} any more, or nobody in it.",
            )
        people = "1 inbox" if reached == 1 else f"{reached} inboxes"
        return Delivered(detail=f"It is in {people}.")


def _recipient(config: Config) -> Recipient:
    """The target as a recipient, or ConfigError. Other keys of it, such as an avatar, do not matter."""
    target = config.get("target")
    if not target:
        raise ConfigError("Missing target", field="target")
    if not isinstance(target, Mapping):
        raise ConfigError("The target must be an object with kind and name", field="target")
    kind, name = target.get("kind"), target.get("name")
    if not kind:
        raise ConfigError("Missing target", field="target")
    if kind not in _KINDS:
        raise ConfigError(
            f"Unknown target kind {str(kind)[:64]}. Must be one of: {', '.join(_KINDS)}",
            field="target",
        )
    if not name or not isinstance(name, str):
        raise ConfigError("Missing target name", field="target")
    return Recipient(kind=str(kind), name=name)


METHOD: Method = QuayNotification()
