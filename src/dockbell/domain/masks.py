"""Configs without their secrets: what may be shown to whoever looks over a shoulder."""

from collections.abc import Mapping

from dockbell.domain.methods import Method

MASK = "********"


def masked(method: Method | None, config: Mapping[str, object]) -> dict[str, object]:
    """The config with a mask for each secret, and for each key that the method does not declare.

    Who has no method to ask, because it is not installed, shows nothing.
    """
    plain = (
        set() if method is None else {field.key for field in method.fields if not field.secret}
    )
    return {key: value if key in plain or not value else MASK for key, value in config.items()}


def unmasked(config: Mapping[str, object], stored: Mapping[str, object]) -> dict[str, object]:
    """The config as it is to be kept: a mask that comes back stands for what is stored."""
    return {
        key: stored[key] if value == MASK and key in stored else value
        for key, value in config.items()
    }
