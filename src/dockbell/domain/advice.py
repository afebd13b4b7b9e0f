"""One plain sentence for each cause of a failed try: what its reader can do about it."""

from collections.abc import Mapping

from dockbell.domain.outcomes import Code

ADVICE: Mapping[Code, str] = {
    Code.OK: "There is nothing to do.",
    Code.DNS_NXDOMAIN: "The host has no address: check its spelling, or its entry in the DNS.",
    Code.DNS_TIMEOUT: "The name servers did not answer in time: look whether this server reaches them.",
    Code.DNS_FAILED: "The host's name could not be looked up: check its spelling and its zone.",
    Code.BLOCKED_ADDRESS: "An operator can allow this address with the setting `egress_allow`.",
    Code.BLOCKED_PORT: "Use another port for the target, or ask an operator to allow this one.",
    Code.CONNECT_REFUSED: "Nothing listens there: check that the target runs, and the port.",
    Code.CONNECT_TIMEOUT: "The target did not take the connection: look at firewalls between it and this server.",
    Code.CONNECT_RESET: "The target broke the connection off: look into its log and that of any proxy before it.",
    Code.CONNECT_FAILED: "The target cannot be reached from this server: look at the route and at firewalls.",
    Code.TLS_VERIFY: "Renew or complete the target's certificate, or name your own authority in the notification's `tls`; an operator can for all, with `ca_file`.",
    Code.TLS_HANDSHAKE: "The target must offer TLS 1.2 or newer on this port: check that it speaks https there.",
    Code.TLS_CLIENT_CERTIFICATE: "The target asks who we are: give the notification a client certificate that it accepts, in `tls`.",
    Code.PROXY_ERROR: "The proxy that this server goes through failed: ask an operator to look at it and at `egress_proxy`.",
    Code.WRITE_TIMEOUT: "The target read the request too slowly: look at its load.",
    Code.FIRST_BYTE_TIMEOUT: "The target took too long to answer: let it answer first and do its work afterwards.",
    Code.TOTAL_TIMEOUT: "The target took too long: let it answer first and do its work afterwards.",
    Code.BODY_TOO_LARGE: "The target's answer is too large: let it answer with a short body or none.",
    Code.PROTOCOL_ERROR: "What came back is no HTTP: check the port, and whether it wants https.",
    Code.REDIRECT_NOT_FOLLOWED: "Put the final address into the notification.",
    Code.HTTP_4XX: "The target refuses the request: check the address and what body it expects.",
    Code.HTTP_410: "The target is gone for good: delete the notification or give it a new address.",
    Code.HTTP_429: "The target gets more than it wants: dockbell waits for as long as it asks.",
    Code.HTTP_5XX: "Something is wrong on the target's side: look into its own log.",
    Code.HTTP_OTHER: "That is no final answer: check what listens there.",
    Code.TEMPLATE_ERROR: "Mend the notification's template; a preview shows what it makes.",
    Code.CONFIG_INVALID: "Mend the notification's config.",
    Code.METHOD_UNKNOWN: "Have an operator install the method again, or choose another one.",
    Code.EVENT_UNKNOWN: "The event or its kind is no longer there, so it cannot be sent again.",
    Code.INTERNAL_ERROR: "This is a fault of this server: its log says more under the delivery's id.",
    Code.OUT_OF_SOCKETS: "This server may open too few files: have an operator raise the limit (ulimit -n) or lower `concurrency`.",
    Code.INTERRUPTED: "This server stopped in the middle of the try; it is made again by itself.",
    Code.SERVICE_DISCONTINUED: "The service is gone: choose another method, or have an operator name a replacement for it.",
    Code.NO_RECIPIENT: "Nobody is left who could get it: choose another recipient.",
    Code.MAIL_NOT_SET: "Have an operator set `smtp_host` and `mail_from`; what waits is sent then.",
    Code.MAIL_UNCONFIRMED: "Send a confirmation mail to the address, and have its owner follow the link.",
    Code.MAIL_NO_TLS: "Have an operator look at the mail server's TLS, or set `smtp_tls` to what it offers.",
    Code.MAIL_LOGIN_FAILED: "Have an operator check `smtp_username` and `smtp_password`.",
    Code.MAIL_UNAVAILABLE: "The mail server turns this server away: have an operator ask whoever runs it.",
    Code.MAIL_DEFERRED: "The mail server asks to come back later; it is tried again by itself.",
    Code.MAIL_RECIPIENT_REFUSED: "Check the address: the mail server does not know it, or takes no mail for it.",
    Code.MAIL_REFUSED: "The mail server refuses the mail: its answer says why, such as a sender that it does not allow.",
}


def advice_of(code: str) -> str | None:
    """The sentence for a code as it is stored; None for one that this version does not know."""
    try:
        return ADVICE.get(Code(code))
    except ValueError:
        return None
