"""What the API can do, as Swagger 2.0, for Quay's tools that ask before they call (quay-compat 6.6)."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from dockbell.domain.consents import MEANINGS
from dockbell.domain.links import Links
from dockbell.web.calls import Call

# Quay: the names of its operations, which generated clients make functions of, and the scope that each
# asks for. Pinned by compat/test_discovery.py.
_OPERATIONS = """
GET /organization/{organization}/applications getOrganizationApplications org:admin
POST /organization/{organization}/applications createOrganizationApplication org:admin
GET /organization/{organization}/applications/{client_id} getOrganizationApplication org:admin
PUT /organization/{organization}/applications/{client_id} updateOrganizationApplication org:admin
DELETE /organization/{organization}/applications/{client_id} deleteOrganizationApplication org:admin
POST /organization/{organization}/applications/{client_id}/resetclientsecret resetOrganizationApplicationClientSecret org:admin
GET /organization/{organization}/applications/{client_id}/tokens listOrganizationApplicationTokens org:admin
POST /organization/{organization}/applications/{client_id}/tokens createOrganizationApplicationToken org:admin
DELETE /organization/{organization}/applications/{client_id}/tokens/{uuid} deleteOrganizationApplicationToken org:admin
GET /app/{client_id} getApplicationInformation
GET /repository/{repository}/authorizedemail/{email} checkRepoEmailAuthorized repo:admin
POST /repository/{repository}/authorizedemail/{email} sendAuthorizeRepoEmail repo:admin
GET /repository/{repository}/build getRepoBuilds repo:read
GET /repository/{repository}/build/{uuid} getRepoBuild repo:read
GET /repository/{repository}/build/{uuid}/status getRepoBuildStatus repo:read
GET /repository/{repository}/build/{uuid}/logs getRepoBuildLogs repo:write
GET /error/{error_type} getErrorDescription
GET /messages getGlobalMessages
POST /messages createGlobalMessage super:user
DELETE /message/{uuid} deleteGlobalMessage super:user
GET /superuser/registrystatus scRegistryStatus
GET /discovery discovery
GET /organization/{organization}/notifications listOrganizationNotifications org:admin
POST /organization/{organization}/notifications createOrganizationNotification org:admin
GET /organization/{organization}/notifications/{uuid} getOrganizationNotification org:admin
POST /organization/{organization}/notifications/{uuid} resetOrganizationNotificationFailures org:admin
DELETE /organization/{organization}/notifications/{uuid} deleteOrganizationNotification org:admin
POST /organization/{organization}/notifications/{uuid}/test testOrganizationNotification org:admin
GET /user/namespacenotifications listUserNamespaceNotifications user:admin
POST /user/namespacenotifications createUserNamespaceNotification user:admin
GET /user/namespacenotifications/{uuid} getUserNamespaceNotification user:admin
POST /user/namespacenotifications/{uuid} resetUserNamespaceNotificationFailures user:admin
DELETE /user/namespacenotifications/{uuid} deleteUserNamespaceNotification user:admin
POST /user/namespacenotifications/{uuid}/test testUserNamespaceNotification user:admin
GET /user/notifications listUserNotifications user:admin
GET /user/notifications/{uuid} getUserNotification user:admin
PUT /user/notifications/{uuid} updateUserNotification user:admin
GET /repository/{repository}/notification listRepoNotifications repo:admin
POST /repository/{repository}/notification createRepoNotification repo:admin
GET /repository/{repository}/notification/{uuid} getRepoNotification repo:admin
POST /repository/{repository}/notification/{uuid} resetRepositoryNotificationFailures repo:admin
POST /repository/{repository}/notification/{uuid}/test testRepoNotification repo:admin
DELETE /repository/{repository}/notification/{uuid} deleteRepoNotification repo:admin
POST /repository/{repository}/notification/{uuid}/reset resetNotification repo:admin
GET /repository/{repository}/logs listRepoLogs repo:admin
GET /organization/{organization}/logs listOrgLogs org:admin
GET /user/logs listUserLogs user:admin
GET /repository/{repository}/aggregatelogs getAggregateRepoLogs repo:admin
GET /organization/{organization}/aggregatelogs getAggregateOrgLogs org:admin
GET /user/aggregatelogs getAggregateUserLogs user:admin
GET /superuser/logs listAllLogs super:user
GET /superuser/aggregatelogs listAllAggregateLogs super:user
GET /organization/{organization}/prototypes getOrganizationPrototypePermissions org:admin
POST /organization/{organization}/prototypes createOrganizationPrototypePermission org:admin
PUT /organization/{organization}/prototypes/{uuid} updateOrganizationPrototypePermission org:admin
DELETE /organization/{organization}/prototypes/{uuid} deleteOrganizationPrototypePermission org:admin
GET /organization/{organization}/members getOrganizationMembers org:admin
GET /organization/{organization}/members/{member} getOrganizationMember org:admin
DELETE /organization/{organization}/members/{member} removeOrganizationMember org:admin
POST /organization createOrganization user:admin
GET /organization/{organization} getOrganization
PUT /organization/{organization} changeOrganizationDetails org:admin
DELETE /organization/{organization} deleteAdminedOrganization org:admin
GET /repository/{repository}/permissions/user listRepoUserPermissions repo:admin
GET /repository/{repository}/permissions/user/{name} getUserPermissions repo:admin
GET /repository/{repository}/permissions/user/{name}/transitive getUserTransitivePermission repo:admin
PUT /repository/{repository}/permissions/user/{name} changeUserPermissions repo:admin
DELETE /repository/{repository}/permissions/user/{name} deleteUserPermissions repo:admin
GET /repository/{repository}/permissions/team listRepoTeamPermissions repo:admin
GET /repository/{repository}/permissions/team/{name} getTeamPermissions repo:admin
PUT /repository/{repository}/permissions/team/{name} changeTeamPermissions repo:admin
DELETE /repository/{repository}/permissions/team/{name} deleteTeamPermissions repo:admin
GET /organization/{namespace}/quota listOrganizationQuota org:admin
POST /organization/{namespace}/quota createOrganizationQuota super:user
GET /organization/{namespace}/quota/{quota_id} getOrganizationQuota org:admin
PUT /organization/{namespace}/quota/{quota_id} changeOrganizationQuota super:user
DELETE /organization/{namespace}/quota/{quota_id} deleteOrganizationQuota super:user
GET /organization/{namespace}/quota/{quota_id}/limit listOrganizationQuotaLimit org:admin
POST /organization/{namespace}/quota/{quota_id}/limit createOrganizationQuotaLimit super:user
GET /organization/{namespace}/quota/{quota_id}/limit/{limit_id} getOrganizationQuotaLimit org:admin
PUT /organization/{namespace}/quota/{quota_id}/limit/{limit_id} changeOrganizationQuotaLimit super:user
DELETE /organization/{namespace}/quota/{quota_id}/limit/{limit_id} deleteOrganizationQuotaLimit super:user
GET /user/quota listUserQuota user:admin
GET /user/quota/{quota_id} getUserQuota user:admin
GET /user/quota/{quota_id}/limit listUserQuotaLimit user:admin
GET /user/quota/{quota_id}/limit/{limit_id} getUserQuotaLimit user:admin
GET /superuser/organization/{namespace}/quota listOrganizationQuotaSuperUser super:user
POST /superuser/organization/{namespace}/quota createOrganizationQuotaSuperUser super:user
PUT /superuser/organization/{namespace}/quota/{quota_id} changeOrganizationQuotaSuperUser super:user
DELETE /superuser/organization/{namespace}/quota/{quota_id} deleteOrganizationQuotaSuperUser super:user
GET /superuser/users/{namespace}/quota listUserQuotaSuperUser super:user
POST /superuser/users/{namespace}/quota createUserQuotaSuperUser super:user
PUT /superuser/users/{namespace}/quota/{quota_id} changeUserQuotaSuperUser super:user
DELETE /superuser/users/{namespace}/quota/{quota_id} deleteUserQuotaSuperUser super:user
GET /repository/{repository}/manifest/{digest}/security getRepoManifestSecurity repo:read
GET /repository listRepos repo:read
POST /repository createRepo repo:create
GET /repository/{repository} getRepo repo:read
GET /repository/{repository}/immutabilitypolicy listRepositoryImmutabilityPolicies repo:admin
POST /repository/{repository}/immutabilitypolicy createRepositoryImmutabilityPolicy repo:admin
GET /repository/{repository}/immutabilitypolicy/{uuid} getRepositoryImmutabilityPolicy repo:admin
PUT /repository/{repository}/immutabilitypolicy/{uuid} updateRepositoryImmutabilityPolicy repo:admin
DELETE /repository/{repository}/immutabilitypolicy/{uuid} deleteRepositoryImmutabilityPolicy repo:admin
GET /organization/{organization}/immutabilitypolicy listOrgImmutabilityPolicies org:admin
POST /organization/{organization}/immutabilitypolicy createOrgImmutabilityPolicy org:admin
GET /organization/{organization}/immutabilitypolicy/{uuid} getOrgImmutabilityPolicy org:admin
PUT /organization/{organization}/immutabilitypolicy/{uuid} updateOrgImmutabilityPolicy org:admin
DELETE /organization/{organization}/immutabilitypolicy/{uuid} deleteOrgImmutabilityPolicy org:admin
GET /repository/{repository}/tag listRepoTags repo:read
PUT /repository/{repository}/tag/{tag} changeTag repo:write
DELETE /repository/{repository}/tag/{tag} deleteFullTag repo:write
POST /repository/{repository}/tag/{tag}/restore restoreTag repo:write
GET /repository/{repository}/manifest/{digest} getRepoManifest repo:read
GET /repository/{repository}/manifest/{digest}/labels listManifestLabels repo:read
POST /repository/{repository}/manifest/{digest}/labels addManifestLabel repo:write
GET /repository/{repository}/manifest/{digest}/labels/{label} getManifestLabel repo:read
DELETE /repository/{repository}/manifest/{digest}/labels/{label} deleteManifestLabel repo:write
PUT /repository/{repository} updateRepo repo:write
POST /repository/{repository}/changevisibility changeRepoVisibility repo:admin
PUT /repository/{repository}/changestate changeRepoState repo:admin
GET /repository/{repository}/mirror getRepoMirrorConfig repo:admin
POST /repository/{repository}/mirror createRepoMirrorConfig repo:admin
PUT /repository/{repository}/mirror changeRepoMirrorConfig repo:admin
POST /repository/{repository}/mirror/sync-now syncNow repo:admin
POST /repository/{repository}/mirror/sync-cancel syncCancel repo:admin
DELETE /repository/{repository} deleteRepository repo:admin
GET /organization/{organization}/robots getOrgRobots org:admin
GET /user/robots getUserRobots user:admin
GET /organization/{organization}/robots/{short_name} getOrgRobot org:admin
GET /user/robots/{short_name} getUserRobot user:admin
PUT /organization/{organization}/robots/{short_name} createOrgRobot org:admin
PUT /user/robots/{short_name} createUserRobot user:admin
DELETE /organization/{organization}/robots/{short_name} deleteOrgRobot org:admin
DELETE /user/robots/{short_name} deleteUserRobot user:admin
POST /organization/{organization}/robots/{short_name}/regenerate regenerateOrgRobotToken org:admin
POST /user/robots/{short_name}/regenerate regenerateUserRobotToken user:admin
GET /organization/{organization}/robots/{short_name}/permissions getOrgRobotPermissions org:admin
GET /user/robots/{short_name}/permissions getUserRobotPermissions user:admin
GET /user/authorizations listUserAuthorizations user:admin
GET /user/authorizations/{uuid} getUserAuthorization user:admin
DELETE /user/authorizations/{uuid} deleteUserAuthorization user:admin
POST /signin signinUser
POST /signin/verify verifyUser
PUT /user changeUserDetails user:admin
POST /signout logout
GET /user/apptoken listAppTokens user:admin
POST /user/apptoken createAppToken user:admin
GET /superuser/apptokens listAllAppTokens super:user
GET /user/apptoken/{uuid} getAppToken user:admin
DELETE /user/apptoken/{uuid} revokeAppToken user:admin
GET /superuser/users listAllUsers super:user
POST /superuser/users createInstallUser super:user
GET /superuser/users/{name} getInstallUser super:user
PUT /superuser/users/{name} changeInstallUser super:user
DELETE /superuser/users/{name} deleteInstallUser super:user
GET /superuser/organizations listAllOrganizations super:user
DELETE /superuser/organizations/{name} deleteOrganization super:user
POST /superuser/takeownership/{namespace} takeOwnership super:user
GET /superuser/registrysize getRegistrySize super:user
POST /superuser/registrysize queueRegistrySizeCalculation super:user
PUT /organization/{organization}/team/{team} updateOrganizationTeam org:admin
DELETE /organization/{organization}/team/{team} deleteOrganizationTeam org:admin
GET /organization/{organization}/team/{team}/members getOrganizationTeamMembers org:admin
PUT /organization/{organization}/team/{team}/members/{member} updateOrganizationTeamMember org:admin
DELETE /organization/{organization}/team/{team}/members/{member} deleteOrganizationTeamMember org:admin
GET /organization/{organization}/team/{team}/permissions getOrganizationTeamPermissions org:admin
PUT /teaminvite/{code} acceptOrganizationTeamInvite user:admin
DELETE /teaminvite/{code} declineOrganizationTeamInvite user:admin
GET /user getLoggedInUser user:read
POST /user createNewUser
GET /users/{name} getUserInformation
GET /find/repositories conductRepoSearch repo:read
GET /find/all conductSearch repo:read
GET /entities/{prefix} getMatchingEntities
"""
_PROBLEM_KEYS = ("detail", "error_message", "error_type", "title", "type")
_REFUSALS = {
    "400": "The request is not right.",
    "401": "There is no good token.",
    "403": "The right or the scope does not reach.",
    "404": "There is no such thing.",
}


def _routes(handlers: Sequence[HTTPRouteHandler]) -> Iterator[tuple[str, str, str]]:
    """Verb, path and what it answers, of everything there is."""
    for handler in handlers:
        about = (inspect.getdoc(handler.fn) or "").partition("\n")[0]
        for verb in sorted(handler.http_methods):
            for path in sorted(handler.paths):
                yield verb, re.sub(r":\w+\}", "}", path), about


def _operation(
    path: str, about: str, name: str | None, scopes: Sequence[str]
) -> dict[str, object]:
    status = about[:3] if about[:3].isdecimal() else "200"
    refused = {
        code: {"description": why, "schema": {"$ref": "#/definitions/ApiError"}}
        for code, why in _REFUSALS.items()
    }
    operation: dict[str, object] = {
        "description": about,
        "tags": [path.split("/")[1]],
        "parameters": [
            {"name": parameter, "in": "path", "required": True, "type": "string"}
            for parameter in re.findall(r"\{(\w+)\}", path)
        ],
        "responses": {status: {"description": about}, **refused},
    }
    if name is not None:
        operation["operationId"] = name
    if scopes:
        operation["security"] = [{"oauth2_implicit": list(scopes)}]
    return operation


@lru_cache(maxsize=4)
def describe(handlers: tuple[HTTPRouteHandler, ...], links: Links) -> Mapping[str, object]:
    """The Swagger document of these handlers. A handler that Quay does not have is there without an operation's name."""
    known = {
        (verb, path): (name, scopes)
        for verb, path, name, *scopes in map(str.split, _OPERATIONS.strip().splitlines())
    }
    paths: dict[str, dict[str, object]] = {}
    for verb, path, about in _routes(handlers):
        name, scopes = known.get((verb, path), (None, []))
        operations = paths.setdefault(f"/api/v1{path}", {})
        operations[verb.lower()] = _operation(path, about, name, scopes)
    strings: dict[str, object] = {key: {"type": "string"} for key in _PROBLEM_KEYS}
    return {
        "swagger": "2.0",
        "host": links.host,
        "basePath": "/",
        "schemes": [links.scheme],
        "info": {
            "version": "v1",
            "title": "dockbell",
            "description": "Notifications of container repositories, as Red Hat Quay's API has them.",
        },
        "securityDefinitions": {
            "oauth2_implicit": {
                "type": "oauth2",
                "flow": "implicit",
                "authorizationUrl": f"{links.public_url}/oauth/authorize",
                "scopes": {scope.value: one.about for scope, one in MEANINGS.items()},
            }
        },
        "paths": dict(sorted(paths.items())),
        "definitions": {
            "ApiError": {
                "type": "object",
                "properties": {**strings, "status": {"type": "integer"}},
                "required": ["status", "type", "title"],
            }
        },
        "tags": [{"name": tag} for tag in sorted({path.split("/")[3] for path in paths})],
    }


def handler_of(others: Sequence[HTTPRouteHandler]) -> HTTPRouteHandler:
    """The handler that describes these handlers and itself."""

    @get("/discovery")
    async def discover(call: Call) -> Response[bytes]:
        """200 with all of this as a Swagger 2.0 document."""
        return call.reply(200, describe((*others, discover), call.faces.links))

    return discover
