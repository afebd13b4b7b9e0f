"""What Quay's web interface asks first: how the server is set, and what it can do (clients.md 1.3)."""

from collections.abc import Mapping

from litestar import Response, get

from dockbell.web.calls import ApiCall, Call

# What is the same on every server. Quay's web interface shows a part of itself for each that is true.
_FEATURES: Mapping[str, bool] = {
    "AGGREGATED_LOG_COUNT_RETRIEVAL": True,
    "APP_SPECIFIC_TOKENS": True,
    "BILLING": False,
    "CHANGE_TAG_EXPIRATION": False,
    "DIRECT_LOGIN": True,
    "EXTENDED_REPOSITORY_NAMES": True,
    "GENERAL_OCI_SUPPORT": True,
    "HELM_OCI_SUPPORT": True,
    "IMMUTABLE_TAGS": True,
    "INVITE_ONLY_USER_CREATION": False,
    "LOG_EXPORT": False,
    "PARTIAL_USER_AUTOCOMPLETE": True,
    "PROXY_CACHE": False,
    "EDIT_QUOTA": True,
    "QUOTA_MANAGEMENT": True,
    "QUOTA_NOTIFICATIONS": True,
    "RECAPTCHA": False,
    "SUPER_USERS": True,
    "TEAM_SYNCING": False,
    "UI_V2": True,
    "USERNAME_CONFIRMATION": False,
    "USER_LOG_ACCESS": True,
    "USER_METADATA": False,
    "USER_RENAME": False,
}
# The event that each feature of Quay produces: it is there as soon as the event is.
_BY_EVENT: Mapping[str, str] = {
    "BUILD_SUPPORT": "build_queued",
    "IMAGE_EXPIRY_TRIGGER": "repo_image_expiry",
    "REPO_MIRROR": "repo_mirror_sync_started",
    "SECURITY_NOTIFICATIONS": "vulnerability_found",
    "SECURITY_SCANNER": "vulnerability_found",
}


def features_of(call: ApiCall) -> dict[str, bool]:
    """Quay's names of what can be switched on, without their `FEATURE_`."""
    faces = call.faces
    return dict(
        sorted(
            {
                **_FEATURES,
                **{name: event in faces.kinds for name, event in _BY_EVENT.items()},
                "ANONYMOUS_ACCESS": faces.allows_anonymous,
                "MAILING": faces.emails.is_open,
                "REQUIRE_TEAM_INVITE": faces.requires_team_invite,
                "SUPERUSERS_FULL_ACCESS": faces.powers.have_full_access,
                "USER_CREATION": faces.allows_sign_up,
                "USER_INITIALIZE": faces.is_initialize_open,
            }.items()
        )
    )


@get("/config", include_in_schema=False)
async def get_configuration(call: Call) -> Response[bytes]:
    """200 with names and features as Quay's web interface reads them; no secret is among them."""
    links = call.faces.links
    state = "readonly" if call.faces.is_readonly else "normal"
    return call.reply(
        200,
        {
            "config": {
                "AUTHENTICATION_TYPE": "Database",
                "AVATAR_KIND": "local",
                "BRANDING": {"logo": None, "footer_img": None, "footer_url": None},
                "CONTACT_INFO": [],
                "DEFAULT_TAG_EXPIRATION": "2w",
                "DOCUMENTATION_ROOT": links.public_url,
                "LOCAL_OAUTH_HANDLER": "/oauth/localapp",
                "PREFERRED_URL_SCHEME": links.scheme,
                "REGISTRY_STATE": state,
                "REGISTRY_TITLE": links.title,
                "REGISTRY_TITLE_SHORT": links.title,
                "SEARCH_MAX_RESULT_PAGE_COUNT": 10,
                "SEARCH_RESULTS_PER_PAGE": 10,
                "SERVER_HOSTNAME": links.host,
                "TAG_EXPIRATION_OPTIONS": ["2w"],
            },
            "features": features_of(call),
            "oauth": {},
            "external_login": [],
            "registry_state": state,
            "account_recovery_mode": False,
        },
    )


@get("/superuser/registrystatus")
async def get_registry_status(call: Call) -> Response[bytes]:
    """200 `{"status": "ready"}`: whether the server has been set up, which it has once it answers."""
    return call.reply(200, {"status": "ready"})


HANDLERS = [get_registry_status]
PUBLIC_HANDLERS = [get_configuration]
