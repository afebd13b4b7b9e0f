"""Settings: which source wins, what is refused and in which words, what is never shown."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from dockbell.settings import MASK, RULES, Settings, SettingsError


def load(
    folder: Path,
    *,
    flags: dict[str, object] | None = None,
    file: Path | None = None,
    **environment: str,
) -> Settings:
    return Settings.load(environment=environment, folder=folder, flags=flags, file=file)


def problems_of(
    folder: Path,
    *,
    flags: dict[str, object] | None = None,
    file: Path | None = None,
    **environment: str,
) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(folder, flags=flags, file=file, **environment)
    return caught.value.problems


def test_every_setting_has_a_rule_and_a_default_that_its_rule_accepts() -> None:
    settings = Settings()

    names = [one.name for one in dataclasses.fields(Settings) if one.name != "origins"]
    assert names == list(RULES)
    assert [RULES[row.name].read(row.value) for row in settings.rows()] == [
        getattr(settings, name) for name in names
    ]


def test_the_default_waits_are_those_of_the_promise() -> None:
    waits = [wait.total_seconds() for wait in Settings().retry_waits]

    minute, hour = 60, 3600
    assert waits == [
        5, 30, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("in_file", "in_environment", "in_flags", "expected", "origin"),
    [
        (None, None, None, 8080, "default"),
        (1001, None, None, 1001, "{folder}/dockbell.toml"),
        (1001, "1002", None, 1002, "DOCKBELL_PORT"),
        (1001, "1002", "1003", 1003, "--port"),
        (None, "1002", None, 1002, "DOCKBELL_PORT"),
        (1001, None, "1003", 1003, "--port"),
    ],
)
def test_the_later_source_wins_and_is_named(
    tmp_path: Path,
    in_file: int | None,
    in_environment: str | None,
    in_flags: str | None,
    expected: int,
    origin: str,
) -> None:
    if in_file is not None:
        (tmp_path / "dockbell.toml").write_text(f"port = {in_file}\n")
    environment = {} if in_environment is None else {"DOCKBELL_PORT": in_environment}

    settings = load(tmp_path, flags={"port": in_flags, "host": None}, **environment)

    row = next(row for row in settings.rows() if row.name == "port")
    assert (settings.port, row.value) == (expected, expected)
    assert row.origin == origin.format(folder=tmp_path)


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    settings = load(tmp_path, DOCKBELL_PORT="", DOCKBELL_PUBLIC_URL="")

    assert settings == Settings()
    assert settings.origins == {}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("port", "0", 0),
        ("port", 65535, 65535),
        ("host", "[::1]", "::1"),
        ("data", "/srv/bell", Path("/srv/bell")),
        ("egress_allow", "private, 10.1.0.0/16,Hooks.Example.org.,::1,169.254.169.254",
         ("private", "10.1.0.0/16", "hooks.example.org", "::1/128", "169.254.169.254/32")),
        ("egress_allow", ["loopback"], ("loopback",)),
        ("egress_allow", "*.example.org, .test", ("*.example.org", ".test")),
        ("egress_allow", [], ()),
        ("user_initialize", "TRUE", True),
        ("user_initialize", "off", False),
        ("user_initialize", True, True),
        ("retry_waits", "1, 2.5,3", (timedelta(seconds=1), timedelta(seconds=2.5), timedelta(seconds=3))),
        ("retry_waits", [0], (timedelta(0),)),
        ("retry_waits", [], ()),
        ("retry_waits", 7, (timedelta(seconds=7),)),
        ("send_timeout", "2.5", timedelta(seconds=2.5)),
        ("smtp_host", "SMTP.Example.org.", "smtp.example.org"),
        ("smtp_host", "[fd00::25]", "fd00::25"),
        ("smtp_host", "", ""),
        ("smtp_tls", "TLS", "tls"),
        ("mail_from", " dockbell <bell@example.org>", "dockbell <bell@example.org>"),
        ("mail_from", "", ""),
        ("hipchat_url", "https://chat.example.org/hip/", "https://chat.example.org/hip"),
        ("max_api_body", "2MiB", 2 << 20),
        ("max_api_body", 2048, 2048),
        ("max_intake_body", "8MiB", 8 << 20),
        ("intake_queue", "1000", 1000),
        ("most_notifications", "1", 1),
        ("tests_per_minute", "0", 0),
        ("public_url", "https://Bell.Example.org/", "https://bell.example.org"),
        ("public_url", "http://[::1]:8080", "http://[::1]:8080"),
        ("database_url", "postgres://u@h/d", "postgresql://u@h/d"),
        ("log_level", "WARNING", "warning"),
        ("internal_answers", "Superusers", "superusers"),
        ("registry_state", "READONLY", "readonly"),
        ("default_quota", "1TiB", 1 << 40),
        ("default_quota", 0, 0),
        ("registry_title", " Red Hat Quay ", "Red Hat Quay"),
    ],
)  # fmt: skip
def test_a_value_is_read(tmp_path: Path, name: str, given: object, expected: object) -> None:
    # Without a sender no mail server is taken.
    settings = load(tmp_path, flags={"mail_from": "bell@example.org", name: given})

    assert getattr(settings, name) == expected


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("port", "80a"),
        ("port", "65536"),
        ("port", -1),
        ("port", True),
        ("port", 80.5),
        ("port", [80]),
        ("host", ""),
        ("host", "a b"),
        ("host", 127),
        ("data", ""),
        ("data", "a\x00b"),
        ("egress_allow", "10.0.0.1/8"),
        ("egress_allow", "10.0.0.300"),
        ("egress_allow", "two words"),
        ("egress_allow", "public"),
        ("egress_allow", "http://host"),
        ("egress_allow", [4]),
        ("egress_allow", 4),
        ("user_initialize", "perhaps"),
        ("user_initialize", 1),
        ("retry_waits", "1,two"),
        ("retry_waits", "-1"),
        ("retry_waits", "nan"),
        ("retry_waits", "inf"),
        ("retry_waits", [[1]]),
        ("send_timeout", "0"),
        ("send_timeout", "601"),
        ("send_timeout", "nan"),
        ("smtp_host", "smtp.example.org:25"),
        ("smtp_host", "two words"),
        ("smtp_host", "127.1"),
        ("smtp_port", 0),
        ("smtp_tls", "ssl"),
        ("mail_from", "bell"),
        ("mail_from", "a <bell@example.org>, b@example.org"),
        ("flowdock_url", "chat.example.org"),
        ("flowdock_url", "https://chat.example.org/?x=1"),
        ("flowdock_url", "ftp://chat.example.org"),
        ("max_api_body", "10"),
        ("intake_queue", "999"),
        ("most_notifications", "0"),
        ("tests_per_minute", "-1"),
        ("intake_queue", 1_000_001),
        ("max_api_body", "1 pound"),
        ("max_api_body", True),
        ("public_url", "bell.example.org"),
        ("public_url", "ftp://bell.example.org"),
        ("public_url", "https://bell.example.org/path"),
        ("public_url", "https://user@bell.example.org"),
        ("public_url", "https://bell.example.org:port"),
        ("public_url", "https://bell.example.org?x"),
        ("log_level", "loud"),
        ("internal_answers", "nobody"),
        ("registry_state", "closed"),
        ("default_quota", "-1"),
        ("registry_title", ""),
        ("registry_title", "x" * 61),
        ("registry_title", "a\nb"),
        ("default_quota", "100000TiB"),
        ("log_format", 1),
        ("concurrency", 0),
        ("host_concurrency", -1),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(
    tmp_path: Path, name: str, given: object
) -> None:
    problems = problems_of(tmp_path, flags={name: given})

    flag = "--" + name.replace("_", "-")
    expected = RULES[name].expected
    assert problems == (f"{name}: `{given}` from {flag} is not right. Expected {expected}.",)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "dockbell.toml").write_text('prot = 1\nlog_level = "loud"\n')

    problems = problems_of(tmp_path, DOCKBELL_PORT="x", DOCKBELL_DATE="here")

    assert problems == (
        "The environment variable DOCKBELL_DATE is not known. Did you mean `DOCKBELL_DATA`?",
        f"{tmp_path}/dockbell.toml holds the unknown setting `prot`. Did you mean `port`?",
        (
            f"log_level: `loud` from {tmp_path}/dockbell.toml is not right. "
            "Expected `debug`, `info`, `warning` or `error`."
        ),
        "port: `x` from DOCKBELL_PORT is not right. Expected a whole number from 0 to 65535.",
    )


def test_an_unknown_name_without_a_near_one_points_to_the_list(tmp_path: Path) -> None:
    (tmp_path / "dockbell.toml").write_text("quux = 1\n")

    problems = problems_of(tmp_path)

    assert problems == (
        (
            f"{tmp_path}/dockbell.toml holds the unknown setting `quux`. "
            "`dockbell config show` lists all names."
        ),
    )


def test_variables_that_are_not_meant_for_us_are_left_alone(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DOCKBELL_TEST_DATABASE_URL="postgresql://x/y",
        DOCKBELL_CI_JOB="1",
        # What Kubernetes gives every pod of a namespace that has a service called dockbell.
        DOCKBELL_PORT="tcp://10.0.0.7:8080",
        DOCKBELL_SERVICE_HOST="10.0.0.7",
        DOCKBELL_SERVICE_PORT="8080",
        DOCKBELL_SERVICE_PORT_HTTP="8080",
        DOCKBELL_PORT_8080_TCP="tcp://10.0.0.7:8080",
        DOCKBELL_PORT_8080_TCP_ADDR="10.0.0.7",
        PATH="/bin",
    )

    assert settings == Settings()


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-key\n")

    settings = load(tmp_path, DOCKBELL_SECRET_KEY_FILE=str(secret))

    assert settings.secret_key == "the-key"
    assert settings.origins == {"secret_key": "DOCKBELL_SECRET_KEY_FILE"}


def test_a_secret_twice_is_refused(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, DOCKBELL_SECRET_KEY="a", DOCKBELL_SECRET_KEY_FILE="b")

    assert problems == (
        "DOCKBELL_SECRET_KEY and DOCKBELL_SECRET_KEY_FILE are both set. Keep one of them.",
    )


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, DOCKBELL_SECRET_KEY_FILE=str(tmp_path / "none"))

    assert problems == (
        (
            f"DOCKBELL_SECRET_KEY_FILE names the file {tmp_path}/none, which cannot be read: "
            "No such file or directory."
        ),
    )


def test_a_file_variable_exists_for_secrets_only(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, DOCKBELL_PORT_FILE="/run/port")

    assert problems == (
        "The environment variable DOCKBELL_PORT_FILE is not known. Did you mean `DOCKBELL_PORT`?",
    )


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"DOCKBELL_SMTP_HOST": "smtp.example.org"},
            "smtp_host is set, but not mail_from: nobody would know whom our mail comes from.",
        ),
        (
            {"DOCKBELL_SMTP_PASSWORD": "hush-hush"},
            "smtp_password is set, but not smtp_username: there is no login without a name.",
        ),
    ],
)
def test_settings_of_mail_that_do_not_go_together_are_refused(
    tmp_path: Path, environment: dict[str, str], problem: str
) -> None:
    assert problems_of(tmp_path, **environment) == (problem,)


def test_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DOCKBELL_SECRET_KEY="hush-hush",
        DOCKBELL_SMTP_USERNAME="bell",
        DOCKBELL_SMTP_PASSWORD="hush-hush",
        DOCKBELL_EGRESS_PROXY="http://bell:hush-hush@proxy.test:3128",
        DOCKBELL_DATABASE_URL="postgresql://bell:hush-hush@db:5432/bell?sslmode=require",
    )

    shown = {row.name: row.value for row in settings.rows()}

    assert settings.secret_key == "hush-hush"
    assert (shown["secret_key"], shown["smtp_password"]) == (MASK, MASK)
    assert shown["egress_proxy"] == MASK
    assert shown["database_url"] == f"postgresql://bell:{MASK}@db:5432/bell?sslmode=require"
    assert "hush-hush" not in repr(settings)


def test_a_wrong_proxy_is_refused_without_its_password(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path, DOCKBELL_EGRESS_PROXY="https://bell:hush-hush@proxy.test:3128"
    )

    assert problems == (
        (
            "egress_proxy: the value (not shown) from DOCKBELL_EGRESS_PROXY is not right. "
            "Expected `http://host:port` or `http://user:password@host:port`."
        ),
    )


def test_a_wrong_address_of_the_database_is_told_without_its_password(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, DOCKBELL_DATABASE_URL="mysql://bell:hush-hush@db/bell")

    assert problems == (
        (
            f"database_url: `mysql://bell:{MASK}@db/bell` from DOCKBELL_DATABASE_URL is not right: "
            "it begins with neither `postgresql://` nor `sqlite:///`. "
            "Expected `postgresql://user@host/name` or `sqlite:///path`."
        ),
    )


def test_the_file_of_the_current_folder_comes_before_that_of_the_data_folder(
    tmp_path: Path,
) -> None:
    data = tmp_path / "dockbell-data"
    data.mkdir()
    (data / "dockbell.toml").write_text("port = 2\n")

    from_data = load(tmp_path)
    (tmp_path / "dockbell.toml").write_text("port = 1\n")
    from_folder = load(tmp_path)

    assert (from_data.port, from_folder.port) == (2, 1)


def test_a_named_file_is_the_only_one_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "dockbell.toml").write_text("port = 1\n")
    (tmp_path / "other.toml").write_text("concurrency = 3\n")

    by_flag = load(tmp_path, file=Path("other.toml"))
    by_variable = load(tmp_path, DOCKBELL_CONFIG=str(tmp_path / "other.toml"))

    assert (by_flag.port, by_flag.concurrency) == (8080, 3)
    assert (by_variable.port, by_variable.concurrency) == (8080, 3)


def test_a_path_in_a_file_starts_at_that_file(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "dockbell.toml").write_text('data = "bell"\n')

    settings = load(tmp_path, file=Path("etc/dockbell.toml"))

    assert settings.data == etc / "bell"


def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "dockbell.toml").write_text("port = \n")

    problems = problems_of(tmp_path)

    assert problems == (
        f"{tmp_path}/dockbell.toml is not valid TOML: Invalid value (at line 1, column 8).",
    )


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dockbell.toml").write_bytes(b"\xff")

    problems = problems_of(tmp_path)

    assert problems == (
        f"The settings file {tmp_path}/dockbell.toml cannot be read: it is not text in UTF-8.",
    )


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, file=Path("none.toml"))

    assert problems == (
        f"The settings file {tmp_path}/none.toml cannot be read: No such file or directory.",
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"host": "0.0.0.0", "port": 9000}, "http://localhost:9000"),  # noqa: S104 -- never bound
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"public_url": "https://bell.example.org"}, "https://bell.example.org"),
    ],
)
def test_links_have_an_address(tmp_path: Path, flags: dict[str, object], expected: str) -> None:
    assert load(tmp_path, flags=flags).public_address == expected


def test_the_database_is_in_the_data_folder_unless_it_is_said(tmp_path: Path) -> None:
    in_data = load(tmp_path, flags={"data": str(tmp_path)})
    elsewhere = load(tmp_path, DOCKBELL_DATABASE_URL="sqlite:////srv/bell.db")
    shared = load(tmp_path, DOCKBELL_DATABASE_URL="postgresql://db/bell")

    assert in_data.database_address == f"sqlite:///{tmp_path}/dockbell.db"
    assert in_data.sqlite_file == tmp_path / "dockbell.db"
    assert elsewhere.sqlite_file == Path("/srv/bell.db")
    assert (shared.database_address, shared.sqlite_file) == ("postgresql://db/bell", None)
