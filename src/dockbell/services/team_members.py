"""Who sits in a team, and who is invited to."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, Holder, Team, TeamRole
from dockbell.domain.errors import DataError, InvalidRequestError, NotFoundError
from dockbell.domain.memberships import Invite, Member
from dockbell.domain.methods import Recipient
from dockbell.domain.permissions import AdminOfNamespace, Self
from dockbell.services import audit_entries, organizations
from dockbell.services.passwords import random_secret
from dockbell.store import notices, robots, teams, users
from dockbell.store.transactions import Tx

_CODE_LENGTH = 32
_INVITE_NOTICE = "org_team_invite"
_NO_SUCH_CODE = "Invalid confirmation code."  # Quay's literal text


async def list_of(tx: Tx, actor: Actor, team: Team, *, with_invited: bool) -> Sequence[Member]:
    """The members of a team that the caller was shown by `services.teams.view`."""
    del actor
    return await teams.list_members(tx, team.id, with_invited=with_invited)


async def put(
    tx: Tx, admin: AdminOfNamespace, team: Team, name: str, *, requires_invite: bool
) -> Member:
    """Let a user or robot sit in the team. Who does not belong to the organization yet is invited, if so set.

    A robot is never asked, and must be the organization's own.
    """
    holder = await users.find_holder(tx, name)
    if holder is None:
        raise InvalidRequestError("Unknown user")
    if holder.is_robot:
        if await robots.namespace_of(tx, name) != admin.namespace.name:
            raise DataError(
                "Cannot add the specified robot to this team, "
                "as it is not a member of the organization"
            )
    elif requires_invite:
        requires_invite = not await teams.list_of_member(tx, admin.namespace.id, holder.id)
    present = await teams.find_membership(tx, team.id, holder.id)
    if present is not None and not present.is_invited:
        raise DataError(f"User {name} is already a member of team {team.name}")
    if holder.is_robot or not requires_invite:
        if present is not None:
            await teams.remove_member(tx, team.id, holder.id)
        await teams.add_member(tx, team.id, holder)
        await _note(tx, admin, "org_add_team_member", team.name, member=name)
        return Member(holder, is_invited=False)
    if present is None:
        await _invite(tx, admin, team, holder)
    return Member(holder, is_invited=True)


async def remove(tx: Tx, admin: AdminOfNamespace, team: Team, name: str) -> None:
    """Take a user or robot out of the team, or take an invitation back."""
    await organizations.hold(tx, admin)
    holder = await users.find_holder(tx, name)
    if holder is None:
        raise NotFoundError
    present = await teams.find_membership(tx, team.id, holder.id)
    if present is None:
        # Clients tell by this text that there is nothing left to do. Pinned by compat/test_teams.py.
        raise DataError(f"User {name} does not belong to team {team.name}")
    if holder.id == admin.actor.id and team.role is TeamRole.ADMIN:
        own = await teams.list_of_member(tx, admin.namespace.id, holder.id)
        if sum(other.role is TeamRole.ADMIN for other in own) <= 1:
            raise DataError("User cannot remove themselves from their only admin team.")
    await teams.remove_member(tx, team.id, holder.id)
    kind = "org_delete_team_member_invite" if present.is_invited else "org_remove_team_member"
    await _note(tx, admin, kind, team.name, member=name)


async def accept(tx: Tx, me: Self, code: str) -> Invite:
    """Say yes to an invitation, and so to every other one from the same organization."""
    found = await _load_invite(tx, me, code)
    organization = (found.organization_id, found.organization)
    for invite in await teams.list_invites(tx, organization, me.namespace.id):
        await teams.accept_invite(tx, invite.code)
        await _answer(tx, me, "org_team_member_invite_accepted", invite)
    return found


async def decline(tx: Tx, me: Self, code: str) -> None:
    """Say no to an invitation."""
    found = await _load_invite(tx, me, code)
    await teams.remove_member(tx, found.team_id, me.namespace.id)
    await _answer(tx, me, "org_team_member_invite_declined", found)


async def _load_invite(tx: Tx, me: Self, code: str) -> Invite:
    found = await teams.find_invite(tx, code) if code.isascii() else None
    if found is None:
        raise DataError(_NO_SUCH_CODE)
    if found.user_id != me.namespace.id:
        raise DataError(
            f'This invite is intended for user "{found.user}". '
            "Please login to that account and try again."
        )
    return found


async def _invite(tx: Tx, admin: AdminOfNamespace, team: Team, holder: Holder) -> None:
    code = random_secret(_CODE_LENGTH)
    await teams.add_member(tx, team.id, holder, invite_code=code)
    # The code stands where a delivery's id would: no other notice has it.
    await notices.put(
        tx,
        kind=_INVITE_NOTICE,
        metadata={
            "code": code,
            "inviter": admin.actor.name,
            "org": admin.namespace.name,
            "team": team.name,
        },
        delivery_id=code,
        recipient=Recipient(kind="user", name=holder.name),
        namespace=admin.namespace.name,
    )
    await _note(
        tx,
        admin,
        "org_invite_team_member",
        team.name,
        user=holder.name,
        member=holder.name,
    )


async def _answer(tx: Tx, me: Self, kind: str, invite: Invite) -> None:
    await notices.dismiss_of_delivery(tx, invite.code)
    await audit_entries.write(
        tx,
        me.actor,
        kind,
        namespace_id=invite.organization_id,
        repository_id=None,
        metadata={"member": invite.user, "team": invite.team},
    )


async def _note(tx: Tx, admin: AdminOfNamespace, kind: str, team: str, **more: object) -> None:
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={"team": team, **more},
    )
