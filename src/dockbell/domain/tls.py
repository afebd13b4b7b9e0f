"""How one notification's target is trusted, and how we show it who we are."""

from dataclasses import field

from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts; empty ones ask for nothing. A certificate and its key come together.

    With `ca`, the target's certificate has to be signed by one of these authorities, and by no other.
    """

    ca: str = ""
    client_certificate: str = ""  # with those between it and its authority, if there are any
    client_key: str = field(default="", repr=False)
