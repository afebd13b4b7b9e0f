"""All tables. The newest migration makes exactly these (tests/migration holds it to that)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC: how every time is stored."""
    return (moment - _EPOCH) // _MICROSECOND


def of_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _moment_of(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


_decode = msgspec.json.Decoder().decode


def _document_of(text: str | None) -> Any:
    return None if text is None else _decode(text)


class Moment(TypeDecorator[datetime]):
    """A time with zone, stored as whole microseconds since 1970 in UTC.

    One integer compares the same way on both databases and costs nothing in the hot statements.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        del dialect
        return None if value is None else to_micros(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        """The conversion itself: every row of a list passes here, so there is no layer around it."""
        del dialect, coltype
        return _moment_of


class Document(TypeDecorator[Any]):
    """A JSON document, stored as text so that key order and numbers come back as they were sent."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        del dialect
        return (
            None
            if value is None
            else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        """The conversion itself: every row of a list passes here, so there is no layer around it."""
        del dialect, coltype
        return _document_of


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _owned(
    column: str,
    target: str,
    *,
    nullable: bool = False,
    index: bool = True,
    primary_key: bool = False,
) -> Column[str]:
    """A foreign key whose row goes when its owner goes."""
    return Column(
        column,
        String,
        ForeignKey(target, ondelete="CASCADE"),
        nullable=nullable,
        index=index and not primary_key,
        primary_key=primary_key,
    )


# The oldest revision of this schema whose programs work with the tables as they are: one row.
schema_floors = Table(
    "schema_floors",
    metadata,
    Column("revision", String, primary_key=True),
)

# Accounts

namespaces = Table(
    "namespaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("email", String),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("kind IN ('user', 'organization')", name="kind"),
)

users = Table(
    "users",
    metadata,
    _owned("namespace_id", "namespaces.id", primary_key=True),
    Column("password_hash", String),
    Column("is_superuser", Boolean, nullable=False, default=False),
    Column("is_enabled", Boolean, nullable=False, default=True),
    Column("email_verified", Boolean, nullable=False, default=True),
    Column("failed_sign_ins", Integer, nullable=False, default=0),
    Column("failed_sign_in_at", Moment),
)

robots = Table(
    "robots",
    metadata,
    Column("id", String, primary_key=True),
    _owned("namespace_id", "namespaces.id"),
    Column("name", String, nullable=False, unique=True),  # the full name, namespace+short
    Column("description", String, nullable=False, default=""),
    Column("token_hash", String, nullable=False),
    Column("token_sealed", LargeBinary, nullable=False),  # shown again to admins, as Quay does
    Column("metadata", Document, nullable=False, default=dict),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
)

teams = Table(
    "teams",
    metadata,
    Column("id", String, primary_key=True),
    _owned("namespace_id", "namespaces.id", index=False),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("description", String, nullable=False, default=""),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("namespace_id", "name"),
    CheckConstraint("role IN ('member', 'creator', 'admin')", name="role"),
)

team_members = Table(
    "team_members",
    metadata,
    _owned("team_id", "teams.id", primary_key=True),
    Column("user_id", String, ForeignKey("namespaces.id", ondelete="CASCADE"), index=True),
    Column("robot_id", String, ForeignKey("robots.id", ondelete="CASCADE"), index=True),
    Column("member_id", String, primary_key=True),  # user_id or robot_id, whichever is set
    Column("is_invited", Boolean, nullable=False, default=False),  # asked, has not said yes
    Column("invite_code", String, unique=True),
    Column("created_at", Moment, nullable=False),
)

applications = Table(
    "applications",
    metadata,
    Column("id", String, primary_key=True),
    _owned("namespace_id", "namespaces.id"),
    Column("name", String, nullable=False),
    Column("client_id", String, nullable=False, unique=True),
    Column("client_secret_sealed", LargeBinary, nullable=False),
    Column("redirect_uri", String, nullable=False, default=""),
    Column("application_uri", String, nullable=False, default=""),
    Column("description", String, nullable=False, default=""),
    Column("avatar_email", String),
    Column("created_at", Moment, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    _owned("application_id", "applications.id", nullable=True),
    _owned("user_id", "namespaces.id"),
    Column("name", String, nullable=False, default=""),
    Column("lookup", String, nullable=False, unique=True),  # the first 20 characters
    Column("token_hash", String, nullable=False),  # SHA-256 of the whole token
    Column("scope", String, nullable=False),
    Column("created_by", String),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    _owned("user_id", "namespaces.id"),
    Column("secret_hash", String, nullable=False, unique=True),  # SHA-256 of the cookie
    Column("credential", String, nullable=False),  # fingerprint of the password that began it
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

app_tokens = Table(
    "app_tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    _owned("user_id", "namespaces.id"),
    Column("title", String, nullable=False),
    Column("lookup", String, nullable=False, unique=True),  # the first 20 characters
    Column("token_hash", String, nullable=False),  # SHA-256 of the whole token
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
)

authorization_codes = Table(
    "authorization_codes",
    metadata,
    Column("id", String, primary_key=True),
    _owned("application_id", "applications.id"),
    _owned("user_id", "namespaces.id"),
    Column("code_hash", String, nullable=False, unique=True),
    Column("redirect_uri", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# Repositories and the registry

repositories = Table(
    "repositories",
    metadata,
    Column("id", String, primary_key=True),
    _owned("namespace_id", "namespaces.id", index=False),
    Column("name", String, nullable=False),
    Column("visibility", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("created_at", Moment, nullable=False),
    Column("state", String, nullable=False, server_default="NORMAL"),
    UniqueConstraint("namespace_id", "name"),
    CheckConstraint("visibility IN ('public', 'private')", name="visibility"),
)

permissions = Table(
    "permissions",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column(
        "holder_id", String, primary_key=True
    ),  # user_id, robot_id or team_id, whichever is set
    Column("user_id", String, ForeignKey("namespaces.id", ondelete="CASCADE"), index=True),
    Column("robot_id", String, ForeignKey("robots.id", ondelete="CASCADE"), index=True),
    Column("team_id", String, ForeignKey("teams.id", ondelete="CASCADE"), index=True),
    Column("role", String, nullable=False),
    CheckConstraint("role IN ('read', 'write', 'admin')", name="role"),
)

default_roles = Table(
    "default_roles",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False),
    _owned("namespace_id", "namespaces.id"),
    # Of whose repositories: one of these two or, for everybody's, none.
    _owned("creator_user_id", "namespaces.id", nullable=True),
    _owned("creator_robot_id", "robots.id", nullable=True),
    # Who gets the role: one of these three.
    _owned("user_id", "namespaces.id", nullable=True),
    _owned("robot_id", "robots.id", nullable=True),
    _owned("team_id", "teams.id", nullable=True),
    Column("role", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("role IN ('read', 'write', 'admin')", name="role"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("unheld_since", Moment),  # no repository was seen to hold it, since then
)

repository_blobs = Table(
    "repository_blobs",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("digest", String, ForeignKey("blobs.digest"), primary_key=True, index=True),
    Column("created_at", Moment, nullable=False),  # or when a push last asked for it
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String, primary_key=True),
    _owned("repository_id", "repositories.id"),
    Column("size", BigInteger, nullable=False, default=0),  # bytes received so far
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

manifests = Table(
    "manifests",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("digest", String, primary_key=True),
    Column("media_type", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subject_digest", String),
    Column("artifact_type", String),
    Column("annotations", Document),
    Column("created_at", Moment, nullable=False),
    Index("ix_manifests_repository_id_subject_digest", "repository_id", "subject_digest"),
)

manifest_references = Table(
    "manifest_references",
    metadata,
    Column("repository_id", String, primary_key=True),
    Column("manifest_digest", String, primary_key=True),
    Column("digest", String, primary_key=True, index=True),  # a blob, or a manifest of an index
    Column("is_manifest", Boolean, nullable=False),
)

tags = Table(
    "tags",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("name", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Index("ix_tags_repository_id_digest", "repository_id", "digest"),
    Index("ix_tags_expires_at", "expires_at"),
)

# What each tag has pointed to, and until when. The newest row of a tag that is there is its own.
tag_versions = Table(
    "tag_versions",
    metadata,
    Column("id", String, primary_key=True),
    _owned("repository_id", "repositories.id", index=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("is_reversion", Boolean, nullable=False, default=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),  # ahead of now where the tag will expire
    Index("ix_tag_versions_repository_id_started_at", "repository_id", "started_at"),
    Index("ix_tag_versions_repository_id_digest", "repository_id", "digest"),
)

manifest_labels = Table(
    "manifest_labels",
    metadata,
    Column("id", String, primary_key=True),
    _owned("repository_id", "repositories.id", index=False),
    Column("digest", String, nullable=False),
    Column("uuid", String, nullable=False),
    Column("key", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("source", String, nullable=False),
    Column("media_type", String, nullable=False),
    Index("ix_manifest_labels_repository_id_digest", "repository_id", "digest"),
    CheckConstraint("source IN ('manifest', 'api')", name="source"),
)

immutability_rules = Table(
    "immutability_rules",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False),
    _owned("repository_id", "repositories.id"),
    Column("pattern", String, nullable=False),
    Column(
        "matches", Boolean, nullable=False
    ),  # the rule is about tags that match, or about the others
    Column("created_at", Moment, nullable=False),
)

# The same for the tags of all repositories of an organization.
namespace_immutability_rules = Table(
    "namespace_immutability_rules",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False),
    _owned("namespace_id", "namespaces.id"),
    Column("pattern", String, nullable=False),
    Column("matches", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# Which notification was told that which tag expires, so that it is told once.
expiry_marks = Table(
    "expiry_marks",
    metadata,
    _owned("notification_id", "notifications.id", primary_key=True),
    _owned("repository_id", "repositories.id", index=False, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("marked_at", Moment, nullable=False),
    Index("ix_expiry_marks_repository_id_tag", "repository_id", "tag"),
)

mirrors = Table(
    "mirrors",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("reference", String, nullable=False),
    Column("username_sealed", LargeBinary),
    Column("password_sealed", LargeBinary),
    Column("registry_config", Document, nullable=False),
    Column("proxy_sealed", LargeBinary),  # of that configuration, since it may hold a password
    Column("architectures", Document),  # None: all
    Column("robot_id", String, ForeignKey("robots.id", ondelete="SET NULL"), index=True),
    Column("globs", Document, nullable=False),
    Column("interval_seconds", Integer, nullable=False),
    Column("start_at", Moment),
    Column("timeout_seconds", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("due_at", Moment, index=True),
    Column("lease", String),
    Column("leased_until", Moment),
    Column("takeovers", Integer, nullable=False),  # processes that left the sync lying
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("purpose", String, nullable=False),  # "registry_token", "canary"
    Column("public", LargeBinary, nullable=False),
    Column("private_sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# Notifications and their deliveries

notifications = Table(
    "notifications",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    # Of a whole namespace without a repository; of the whole server without either.
    _owned("namespace_id", "namespaces.id", nullable=True),
    _owned("repository_id", "repositories.id", nullable=True, index=False),
    Column(
        "kind", String, nullable=False
    ),  # a name, not a foreign key: a new kind needs no migration
    Column("further_kinds", String, nullable=False, server_default=""),  # spaces between
    Column("filter", Document),
    Column("method", String, nullable=False),
    Column("title", String),
    Column("config_sealed", LargeBinary, nullable=False),
    Column("event_config", Document, nullable=False),
    Column("payload_form", String, nullable=False, server_default="quay"),
    Column("signatures", String, nullable=False, server_default="v1"),  # spaces between
    Column("rate_limit", Float),  # deliveries in a second; None is no limit
    # One at a time, in the order of their events. The width of its lane says the same to the queue.
    Column("in_order", Boolean, nullable=False, server_default=false()),
    Column("failure_streak", Integer, nullable=False, default=0),
    Column("paused_at", Moment),
    Column("pause_reason", String),
    Column("failing_since", Moment),  # the first try that failed since the last that did not
    Column("told_failing_at", Moment),  # when its owners were told of it
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_notifications_repository_id_kind", "repository_id", "kind"),
    Index("ix_notifications_kind_id", "kind", "id"),
)

authorized_emails = Table(
    "authorized_emails",
    metadata,
    Column("id", String, primary_key=True),
    _owned("repository_id", "repositories.id", index=False),
    Column("email", String, nullable=False),
    Column("code_hash", String, unique=True),  # of the code that was mailed last
    Column("code_expires_at", Moment),
    Column("confirmed_at", Moment),  # it gets mail only while this is set
    Column("unsubscribe_sealed", LargeBinary, nullable=False),  # what ends its mails
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("repository_id", "email"),
)

# Those of the last day, so that nobody can have strangers flooded. No foreign keys: a repository that was deleted
# and made again gives no new chances.
confirmation_mails = Table(
    "confirmation_mails",
    metadata,
    Column("id", String, primary_key=True),
    Column("email", String, nullable=False),  # in lower case
    Column("namespace_id", String, nullable=False),
    Column("asker", String, nullable=False),
    Column("sent_at", Moment, nullable=False, index=True),
    Index("ix_confirmation_mails_email_sent_at", "email", "sent_at"),
)

# Where and for which kinds a notification is, besides the kind in its own row for its own repository: an
# earlier version writes only that, and most notifications have no more. So a search for an event asks both.
notification_kinds = Table(
    "notification_kinds",
    metadata,
    Column("place_id", String, primary_key=True),  # of a repository, a namespace, or the server
    Column("kind", String, primary_key=True),
    _owned("notification_id", "notifications.id", primary_key=True),
    Index("ix_notification_kinds_notification_id", "notification_id"),
    Index("ix_notification_kinds_kind_notification_id", "kind", "notification_id"),
)

signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("id", String, primary_key=True),
    _owned("notification_id", "notifications.id"),
    Column("kind", String, nullable=False, server_default="hmac"),
    Column("public", LargeBinary),  # Ed25519's other half
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
)

notification_tls = Table(
    "notification_tls",
    metadata,
    Column(
        "notification_id",
        String,
        ForeignKey("notifications.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("ca", Text),  # PEM, as the next one
    Column("client_certificate", Text),
    Column("client_key_sealed", LargeBinary),
)

events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("repository", String),  # without the namespace
    Column("is_user", Boolean, nullable=False, default=False),
    Column("namespace_id", String),  # no foreign key: the event outlives what it is about
    Column("repository_id", String),
    Column("body", LargeBinary, nullable=False),
    Column("facts", Document, nullable=False),
    Column("performer_name", String),
    Column("performer_kind", String),
    Column("producer_key", String, unique=True),
    Column("occurred_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Index("ix_events_repository_id_id", "repository_id", "id"),
    Index("ix_events_namespace_id_id", "namespace_id", "id"),
)

lanes = Table(
    "lanes",
    metadata,
    Column(
        "id", String, primary_key=True
    ),  # the notification's id; its retries, redeliveries and tests have lanes of their own
    Column("notification_id", String, nullable=False, index=True),
    Column("inflight", Integer, nullable=False, default=0),
    Column("max_inflight", Integer, nullable=False),
    Column(
        "next_due_at", Moment
    ),  # of its waiting deliveries, the earliest; None if there are none
    Column("served_at", Moment, nullable=False),
    Column("is_paused", Boolean, nullable=False, default=False),
    Column(
        "held_until", Moment
    ),  # nothing of it is leased before: its host is down or busy, or asked for time
    Column("held_by", String),  # that host; store/throttles.py says who asked for time
)
# The migrations make these indexes partial on PostgreSQL too. Said here, it would load that dialect with its drivers,
# six megabytes that SQLite has no use for.
Index(
    "ix_lanes_held",
    lanes.c.held_by,
    sqlite_where=text("held_by IS NOT NULL"),
)
# Idle and paused lanes stay out of the index, so that a hundred thousand of them cost a lease nothing.
Index(
    "ix_lanes_ready",
    lanes.c.served_at,
    lanes.c.next_due_at,
    sqlite_where=text("next_due_at IS NOT NULL AND NOT is_paused"),
)

# Only hosts whose breaker is open, so that a lease reads next to nothing.
breakers = Table(
    "breakers",
    metadata,
    Column("host", String, primary_key=True),  # name:port
    Column("opened_at", Moment, nullable=False),
    Column("open_until", Moment, nullable=False),
    Column("failed_trials", Integer, nullable=False),
    Column("trial_until", Moment),  # somebody makes the one try that is allowed meanwhile
    Column("code", String, nullable=False),  # why it opened
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("event_id", String, nullable=False),
    Column("notification_id", String, nullable=False),
    # Whose it is, so that a list is one index: the id of its notification's repository or namespace, or
    # "instance". Its name is from when there were only repositories.
    Column("repository_id", String, key="place_id"),
    Column("lane_id", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("state", String, nullable=False),
    Column("tries", Integer, nullable=False, default=0),  # those that count
    Column("attempts", Integer, nullable=False, default=0),  # rows in attempts
    # So many of them before the last redelivery, which begins a series of its own.
    Column("attempts_before", Integer, nullable=False, default=0, server_default="0"),
    Column("interruptions", Integer, nullable=False, default=0),  # leases that ran out in a row
    Column("due_at", Moment, nullable=False),
    Column("leased_by", String),
    Column("lease", String),
    Column("leased_until", Moment),
    Column("code", String),  # of the last attempt
    Column("created_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("request_key", String),  # of the last redelivery, so that a double click sends once
    CheckConstraint(
        "state IN ('waiting', 'sending', 'delivered', 'dead', 'cancelled', 'expired')",
        name="state",
    ),
)
Index("ix_deliveries_event_id", deliveries.c.event_id)
# Ids are in order of time, so the lists need no other column to be in order.
Index("ix_deliveries_notification_id_id", deliveries.c.notification_id, deliveries.c.id)
Index("ix_deliveries_repository_id_id", deliveries.c.place_id, deliveries.c.id)
# One delivery for each event and notification: this makes a repeated fan-out harmless.
Index(
    "uq_deliveries_fan_out",
    deliveries.c.event_id,
    deliveries.c.notification_id,
    unique=True,
    sqlite_where=text("\"trigger\" = 'event'"),
)
Index(
    "ix_deliveries_waiting",
    deliveries.c.lane_id,
    deliveries.c.due_at,
    deliveries.c.id,
    sqlite_where=text("state = 'waiting'"),
)
Index(
    "ix_deliveries_leased",
    deliveries.c.leased_until,
    sqlite_where=text("state = 'sending'"),
)

# What an event with very many deliveries still lacks: a row for each part, gone once its deliveries are there.
fan_outs = Table(
    "fan_outs",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("wanted", Document, nullable=False),  # place and id of each notification
    Column("size", Integer, nullable=False),
    Column("recorded_at", Moment, nullable=False),  # as its event
)

redelivery_jobs = Table(
    "redelivery_jobs",
    metadata,
    Column("id", String, primary_key=True),
    # A place's id, as that of deliveries. No foreign key: the record stays.
    Column("repository_id", String, key="place_id", nullable=False),
    Column("filter", Document, nullable=False),
    Column("state", String, nullable=False),
    Column("total", Integer, nullable=False),  # counted when it was made
    Column("sent", Integer, nullable=False, default=0),
    Column("skipped", Integer, nullable=False, default=0),
    Column("before", String, nullable=False),  # the deliveries with a lower id are still to do
    Column("made_by", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("finished_at", Moment),
    CheckConstraint("state IN ('running', 'paused', 'done', 'cancelled')", name="state"),
    Index("ix_redelivery_jobs_repository_id_id", "place_id", "id"),
)
Index(
    "ix_redelivery_jobs_running",
    redelivery_jobs.c.updated_at,
    sqlite_where=text("state = 'running'"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    Column("outcome", String, nullable=False),  # delivered, rejected, failed, late
    Column("code", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("fault", String),
    Column("status", Integer),
    Column("address", String),
    Column("started_at", Moment, nullable=False),
    Column("duration_micros", BigInteger, nullable=False),
    Column("phases", Document),
    Column("request_headers", Document),
    Column("response_headers", Document),
    Column("response_body", LargeBinary),
    Column("worker", String),
)

notices = Table(
    "notices",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    _owned(
        "namespace_id", "namespaces.id", index=False
    ),  # the user, or the organization whose admins see it
    Column("kind", String, nullable=False),
    Column("metadata", Document, nullable=False),
    Column("is_dismissed", Boolean, nullable=False, default=False),
    Column("delivery_id", String),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("delivery_id", "namespace_id"),  # a repeated try makes no second notice
    Index("ix_notices_namespace_id_created_at", "namespace_id", "created_at"),
)

# Mails to owners of notifications. Those that were sent stay for a while, so that an address is not flooded.
owner_mails = Table(
    "owner_mails",
    metadata,
    Column("id", String, primary_key=True),
    Column("email", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("about", Document, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("sent_at", Moment),
    Column("created_at", Moment, nullable=False),
)

announcements = Table(
    "announcements",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    Column("severity", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("namespace_id", String),  # no foreign key: the entry outlives what it is about
    Column("repository_id", String),
    Column("actor_kind", String, nullable=False),
    Column("actor_name", String, nullable=False),
    Column("metadata", Document, nullable=False),
    Column("ip", String),
    Column("created_at", Moment, nullable=False),
    # Ids are in order of time, so the lists need no other column to be in order.
    Index("ix_audit_entries_namespace_id_id", "namespace_id", "id"),
    Index("ix_audit_entries_repository_id_id", "repository_id", "id"),
)

# Builds, as build systems report them

builds = Table(
    "builds",
    metadata,
    Column("id", String, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),  # Quay's build id
    _owned("repository_id", "repositories.id", index=False),
    Column("key", String),  # the build system's own id of the build
    Column("state", String, nullable=False),
    Column("details", Document, nullable=False),
    Column("source", String, nullable=False),  # what told of it first
    Column("queued_at", Moment),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("repository_id", "key"),
    CheckConstraint(
        "state IN ('queued', 'started', 'success', 'failure', 'cancelled')", name="state"
    ),
    Index("ix_builds_repository_id_id", "repository_id", "id"),
)

# Quotas

namespace_storage = Table(
    "namespace_storage",
    metadata,
    _owned("namespace_id", "namespaces.id", primary_key=True),
    Column("used_bytes", BigInteger, nullable=False),  # of its blobs, each once
    Column("counted_at", Moment, nullable=False),
)

quotas = Table(
    "quotas",
    metadata,
    Column("id", Integer, primary_key=True),  # a number, as Quay's clients know it
    Column(
        "namespace_id",
        String,
        ForeignKey("namespaces.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("limit_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

quota_limits = Table(
    "quota_limits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("quota_id", Integer, ForeignKey("quotas.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("crossed_at", Moment),  # when it was told of, until the usage falls below it
    UniqueConstraint("quota_id", "kind", "percent"),
    CheckConstraint("kind IN ('Warning', 'Reject')", name="kind"),
)

# Reports of vulnerability scanners

scans = Table(
    "scans",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("digest", String, primary_key=True),
    Column("scanner", String, primary_key=True),
    Column("findings", LargeBinary, nullable=False),  # JSON, compressed
    Column("reported_at", Moment, nullable=False),
)

# What the last scan of a tag had, so that only news is told.
scanned_tags = Table(
    "scanned_tags",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True),
    Column("tag", String, primary_key=True),  # or a digest without one
    Column("platform", String, primary_key=True),
    Column("scanner", String, primary_key=True),
    Column("known", LargeBinary, nullable=False),  # ids as JSON, compressed
    Column("updated_at", Moment, nullable=False),
)

# Peers that tell us in their own words

feeds = Table(
    "feeds",
    metadata,
    Column("id", String, primary_key=True),
    _owned("repository_id", "repositories.id"),
    Column("source", String, nullable=False),
    Column("pipelines", Document, nullable=False),  # globs of names; none is all
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("received_at", Moment),  # when it last told something that was its own
    # The secret that was replaced, and until when it is taken too.
    Column("previous_secret_sealed", LargeBinary),
    Column("previous_ends_at", Moment),
)

clair_callbacks = Table(
    "clair_callbacks",
    metadata,
    Column("id", String, primary_key=True),  # Clair's own id of its news
    Column("tries", Integer, nullable=False, default=0),
    Column("due_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
)
clair_indexings = Table(
    "clair_indexings",
    metadata,
    _owned("repository_id", "repositories.id", primary_key=True, index=False),
    Column("digest", String, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("due_at", Moment, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
)
# Which repositories hold an image that Clair tells of.
Index("ix_manifests_digest", manifests.c.digest)
