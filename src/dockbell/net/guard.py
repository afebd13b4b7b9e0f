"""The guard at the last moment: an address is judged once more where its socket is made."""

import socket

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import UnreachableError
from dockbell.net.addresses import Address
from dockbell.net.connections import OpenSocket, family_of
from dockbell.net.policy import EgressPolicy
from dockbell.net.urls import Target


@dataclass(frozen=True, slots=True)
class Guard:
    """What everything over HTTP passes, whoever sends it."""

    policy: EgressPolicy
    open_socket: OpenSocket

    def judge(self, target: Target, address: Address) -> None:
        """Raise UnreachableError if this address may not be reached for this target."""
        refusal = self.policy.refusal(target.host, target.port, address)
        if refusal is not None:
            raise UnreachableError(refusal.code, refusal.detail)

    def make(self, target: Target, address: Address) -> socket.socket:
        """The socket for this very address, if the guard lets it pass."""
        self.judge(target, address)
        made = self.open_socket(
            family_of(address),
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            (str(address), target.port),
        )
        if made is None:
            raise OSError("no socket was made")
        return made
