"""Small parsers of what strangers send: each gives a sound value or its own error, never anything else."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dockbell import events
from dockbell.api.intake.wire import Reader
from dockbell.domain import names
from dockbell.domain.digests import Digest, DigestError
from dockbell.domain.errors import ConfigError, InvalidRequestError, UnauthenticatedError
from dockbell.domain.events import Subject
from dockbell.domain.http_outcomes import LONGEST_WAIT, wait_of
from dockbell.domain.links import Links
from dockbell.domain.reports import Report, ReportError
from dockbell.registry import ranges, routes
from dockbell.settings import RULES, Settings, SettingsError
from dockbell.web import bodies, pages, paths
from dockbell.web.basic import basic_of
from dockbell.web.calls import bearer_token

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
KINDS = events.catalog()

# Retry-After


@given(text=st.text(max_size=40) | st.from_regex(r"\A[0-9]{1,12}\Z"))
@example("Wed, 00 Feb 2026 00:00:00 GMT")
@example("\u0661\u0662")
def test_any_retry_after_asks_for_a_wait_that_is_believed_or_for_none(text: str) -> None:
    wait = wait_of(text, NOON)

    assert wait is None or timedelta() < wait <= LONGEST_WAIT


@given(moment=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- hypothesis adds the zone
def test_a_date_that_python_writes_is_read_as_that_date(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    wait = moment - NOON

    read = wait_of(format_datetime(moment, usegmt=True), NOON)

    assert read == (wait if timedelta() < wait <= LONGEST_WAIT else None)


# Ranges


@given(
    header=st.text(max_size=30) | st.from_regex(r"\Abytes=[0-9]{0,21}-[0-9]{0,21}\Z"),
    size=st.integers(0, 2**63),
)
def test_a_range_lies_inside_of_the_content(header: str, size: int) -> None:
    try:
        found = ranges.of_download(header, size)
    except ranges.UnsatisfiableError:
        return

    assert found is None or (found[1] > 0 and found[0] >= 0 and sum(found) <= size)


@given(content=st.binary(max_size=20), first=st.integers(0, 25), last=st.integers(0, 25))
def test_a_range_gives_the_bytes_that_the_standard_says(
    content: bytes, first: int, last: int
) -> None:
    expected = {
        f"bytes={first}-{last}": content[first : last + 1] if first <= last else b"",
        f"bytes={first}-": content[first:],
        f"bytes=-{last}": content[-last:] if last else b"",
    }

    found = {}
    for header in expected:
        try:
            part = ranges.of_download(header, len(content))
        except ranges.UnsatisfiableError:
            part = (0, 0)
        assert part is not None
        found[header] = content[part[0] : sum(part)]

    assert found == expected


@given(header=st.text(max_size=30) | st.from_regex(r"\A(bytes )?[0-9]{1,21}-[0-9]{1,21}\Z"))
def test_a_chunk_has_a_beginning_and_a_length(header: str) -> None:
    try:
        start, length = ranges.of_chunk(header)
    except ranges.UnsatisfiableError:
        return

    assert start >= 0
    assert length > 0
    assert f"{start}-{start + length - 1}" in re.sub(r"0*([0-9]+)", r"\1", header)


# Names, tags, digests, addresses

_NAMES = st.text(alphabet="abz09AZ._-/:\\\n\0é٣ ", max_size=24) | st.text(max_size=12)
_RULES = {
    # The standard's own expressions (OCI distribution 1.1, "Pull"), without its capital letters for paths.
    "tag": (names.is_tag, r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"),
    "repository": (names.is_repository, r"[a-z0-9][.a-z0-9_-]*(/[a-z0-9][.a-z0-9_-]*)*"),
    "namespace": (names.is_namespace, r"[a-z0-9]+([._-][a-z0-9]+)*"),
}


@pytest.mark.parametrize("rule", _RULES)
@given(name=_NAMES)
def test_a_name_that_passes_is_plain_ascii_and_leads_nowhere(rule: str, name: str) -> None:
    check, pattern = _RULES[rule]

    is_good = check(name)

    assert not is_good or re.fullmatch(pattern, name, re.ASCII) is not None
    assert not is_good or {".", "..", ""} & set(name.split("/")) == set()


@given(
    text=st.text(max_size=140) | st.from_regex(r"\A(sha256|sha512|md5):[0-9a-fA-F]{60,130}\Z")
)
@example("sha256:" + "٣" * 64)
@example("sha256:" + "a" * 64 + "\n")
def test_a_digest_is_refused_or_comes_back_as_it_was(text: str) -> None:
    try:
        digest = Digest.of(text)
    except DigestError:
        return

    assert str(digest) == text
    assert re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", text, re.ASCII)


@given(path=st.text(max_size=30) | st.lists(
    st.sampled_from(["/", "v2", "acme", "web", "blobs", "uploads", "manifests", "tags", "list", "..", "\0", "\n", "%2e", ""]),
    max_size=9).map("/".join))  # fmt: skip
def test_any_path_below_v2_is_a_route_or_none(path: str) -> None:
    route = routes.find(f"/v2/{path}")

    assert route is None or "/" not in route.reference
    assert (
        route is None or not route.is_name_valid or names.is_namespace(route.path.split("/")[0])
    )


@given(
    path=st.lists(st.text(alphabet="a:.-", min_size=1, max_size=6), max_size=4).map("/".join)
)
def test_a_repository_in_an_address_comes_back_and_a_colon_is_never_a_slash(path: str) -> None:
    segment = paths.to_segment(path)

    found = paths.of_segment(segment)
    assert "/" not in segment
    assert (found == path) or (":" in path and ":" in found)  # no name holds a colon


# Cursors

_CURSORS = st.text(max_size=40) | st.binary(max_size=30).map(
    lambda raw: base64.urlsafe_b64encode(raw).decode()
)


@given(cursor=_CURSORS)
def test_a_cursor_is_refused_or_names_a_place(cursor: str) -> None:
    try:
        place = pages.of_cursor(cursor)
    except ConfigError as error:
        assert error.field == "cursor"  # noqa: PT017 -- both ends are allowed
        return

    assert place.isascii()
    assert not place or place.replace("_", "").isalnum()


@given(
    cursor=_CURSORS | st.integers(0, 10**12).map(lambda number: str(pages.to_cursor(number)))
)
def test_a_cursor_of_a_number_fits_its_column(cursor: str) -> None:
    try:
        number = pages.number_of_cursor(cursor)
    except ConfigError:
        return

    assert number is None or 0 <= number < 2**31


@given(number=st.integers(0, 2**31 - 1))
def test_a_cursor_that_we_gave_out_comes_back(number: int) -> None:
    assert pages.number_of_cursor(str(pages.to_cursor(number))) == number


# Authorization


@given(header=st.none() | st.text(max_size=40))
def test_a_bearer_token_is_one_word(header: str | None) -> None:
    token = bearer_token(header)

    assert token is None or (token != "" and not re.search(r"\s", token))


@given(value=st.text(max_size=40) | st.binary(max_size=30).map(
    lambda raw: base64.b64encode(raw).decode()))  # fmt: skip
def test_basic_credentials_are_refused_or_two_texts(value: str) -> None:
    try:
        username, password = basic_of(value)
    except UnauthenticatedError:
        return

    assert ":" not in username
    assert f"{username}:{password}".encode() == base64.b64decode(value.strip())


# Bodies

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just("a\0"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
_RAW = st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()) | st.sampled_from(
    [b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"[" * 5000, b"9" * 5000, b"1e999", b"-0", b'"\\ud800"', b'"\xed\xa0\x80"', b'"\\u0000"'],
)  # fmt: skip


@given(raw=_RAW, content_type=st.just("application/json") | st.text(max_size=20))
def test_any_body_is_refused_or_holds_what_can_be_stored(raw: bytes, content_type: str) -> None:
    try:
        value = bodies.parse(raw, content_type)
    except (bodies.WrongContentTypeError, bodies.MalformedBodyError, InvalidRequestError):
        return

    text = json.dumps(value, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    assert value is not None


_FIELDS = st.sampled_from(
    [
        "event",
        "repository",
        "namespace",
        "id",
        "occurred_at",
        "actor",
        "data",
        "facts",
        "events",
        "x",
    ]
)
_VALUES = _JSON | st.sampled_from([
    "repo_push", "acme/web", "acme", "acme/web\0", "2026-03-14T12:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", {"updated_tags": ["v1"]}, {"updated_tags": []}, {"updated_tags": [1]},
    {"name": "a", "kind": "robot"}, {"homepage": "http://[::1"}, 10**400, {"a": 10**400}, {"sample": True},
])  # fmt: skip
_EVENT = st.dictionaries(_FIELDS, _VALUES, max_size=6).map(
    lambda told: {"event": "repo_push", "repository": "acme/web", "data": {"updated_tags": ["v"]}} | told
)  # fmt: skip
READER = Reader(KINDS, Links("https://dockbell.test"), lambda: NOON)


@given(told=_RAW | (_EVENT | st.lists(_EVENT, max_size=3).map(lambda all_: {"events": all_})).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_report_is_taken_or_refused_with_its_field(told: bytes) -> None:
    try:
        read = READER.read(told)
    except ReportError as error:
        read = [error]

    for one in [read] if isinstance(read, Report) else read:
        if isinstance(one, ReportError):
            assert one.detail != ""
        else:
            assert json.loads(one.details).keys() >= {"updated_tags"}
            assert names.is_namespace(one.namespace)


# Filters

_SUBJECT = Subject("acme", "web")
_CONFIGS = st.dictionaries(
    st.sampled_from(["level", "ref-regex", "days", "vulnerability", "a"]),
    _JSON | st.sampled_from(["high", "High", "0", 10**30, -1, "(a+)+$", "[", "٣", True, 1.5, "36500", "36501"]),
    max_size=3,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(config=_CONFIGS)
def test_any_filter_is_refused_with_its_field_or_can_be_asked(
    kind: str, config: dict[str, Any]
) -> None:
    one = KINDS[kind]
    try:
        one.check(config)
    except ConfigError as error:
        assert error.field in config  # noqa: PT017 -- both ends are allowed
        return

    assert json.dumps(one.sample(_SUBJECT, config))


# Settings

# Every refusal says one of these: what a value has to be, what is in its way, or what goes together.
_SAID = ("Expected", "cannot be read: File name too long", "is set, but not")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spoken=st.dictionaries(
        st.sampled_from(list(RULES)),
        st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
        | st.sampled_from([
            "5, 30, 1e308", "nan", "inf", "-1", "1e400", "5,,", "1_0", "٣", "9" * 5000, "0x10", "10.0.0.0/33", "*.", "private,x y",
            "http://[::1", "http://a:b/", "https://x:99999", "sqlite://", "postgresql://", "postgresql://[", "1Z", "4M", "~nobody/x",
        ]),
        max_size=4,
    )
)  # fmt: skip
@example(spoken={"data": "9" * 5000})
def test_any_environment_gives_settings_or_says_what_would_be_right(
    tmp_path: Path, spoken: dict[str, str]
) -> None:
    environment = {f"DOCKBELL_{name.upper()}": text for name, text in spoken.items()}
    try:
        loaded = Settings.load(environment=environment, folder=tmp_path)
    except SettingsError as error:
        said = " ".join(error.problems)
        assert any(word in said for word in _SAID)
        return

    assert all(wait >= timedelta() for wait in loaded.retry_waits)
    assert json.dumps([row.value for row in loaded.rows()])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=40)
    | st.builds(
        "{} = {}".format,
        st.sampled_from(list(RULES)),
        st.sampled_from([
            "1", "-1", "1e400", "nan", "inf", "true", '""', "[]", "[[]]", "[nan]", "[1, true]", "{}", "{a=1}", "1979-05-27",
            "07:32:00", '"\\u0000"', "9223372036854775808", "[inf]", '["private", 1]',
        ]),
    )
)  # fmt: skip
def test_any_settings_file_gives_settings_or_says_what_is_wrong(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "dockbell.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        loaded = Settings.load(environment={}, folder=tmp_path)
    except SettingsError as error:
        assert all(problem != "" for problem in error.problems)  # noqa: PT017 -- both ends are allowed
        return

    assert json.dumps([row.value for row in loaded.rows()])
