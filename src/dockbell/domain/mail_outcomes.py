"""Judges what a mail server answered: which outcome it is, and one plain sentence of advice."""

from dockbell.domain.methods import MailPhase, MailReply
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected

_SESSION = {MailPhase.GREETING, MailPhase.STARTTLS, MailPhase.LOGIN}
_PERMANENT = 500


def outcome_of(reply: MailReply) -> Outcome:
    """What the answer means: 4xx may be tried again, 5xx about this mail is final.

    A server that turns us away before it heard of any mail says nothing about this one: that is for the operator to mend,
    and the mail waits.
    """
    said = f"The mail server answered {reply.status}{_at(reply.phase)}."
    if reply.is_accepted:
        return Delivered(exchange=reply.exchange, detail="The mail server took it.")
    if reply.phase is MailPhase.LOGIN:
        return Failed(
            Code.MAIL_LOGIN_FAILED,
            f"{said} Check smtp_username and smtp_password.",
            reply.exchange,
            fault=Fault.OURS,
        )
    if reply.phase in _SESSION:
        return Failed(
            Code.MAIL_UNAVAILABLE,
            f"{said} It takes no mail from this server now.",
            reply.exchange,
            fault=Fault.OURS,
        )
    if reply.status < _PERMANENT:
        return Failed(Code.MAIL_DEFERRED, f"{said} It asks to come back later.", reply.exchange)
    if reply.phase is MailPhase.RECIPIENT:
        return Rejected(
            Code.MAIL_RECIPIENT_REFUSED,
            f"{said} It does not take mail for this address: check that the mailbox exists.",
            reply.exchange,
        )
    fault = Fault.OURS if reply.phase is MailPhase.SENDER else Fault.TARGET
    return Rejected(
        Code.MAIL_REFUSED,
        f"{said} It refuses this mail for good.",
        reply.exchange,
        fault=fault,
    )


def _at(phase: MailPhase) -> str:
    return f" to {phase.value}"
