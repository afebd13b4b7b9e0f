"""Whatever is asked for: an OAuth answer stays with its application, and signing in stays on this server."""

from urllib.parse import urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.redirects import is_allowed, is_own_page, with_query

OWN = "https://dockbell.test"
LOCAL = f"{OWN}/oauth/localapp"
REGISTERED = st.sampled_from(
    [
        "https://ci.example.com",
        "https://ci.example.com/",
        "https://ci.example.com:8443/back",
        "http://127.0.0.1:3000/cb?x=1",
    ]
)
# What breaks parsers: separators, what stands for them, what vanishes, and what looks like something else.
HOSTILE = st.text(
    st.sampled_from("/\\.:@?#&%=;,-_~ \t\n\r\0aevil\u2044\u3002\uff0f\u00ad"), max_size=24
)


def _as_a_browser(address: str) -> str:
    """As the URL standard for browsers has it: backslashes are slashes, tabs and line ends vanish."""
    return address.strip().replace("\\", "/").translate({9: None, 10: None, 13: None})


@given(registered=REGISTERED, rest=HOSTILE)
def test_what_is_allowed_is_on_the_applications_host(registered: str, rest: str) -> None:
    given_uri = registered + rest

    if is_allowed(given_uri, registered, LOCAL):
        location = with_query(given_uri, {"state": rest})
        parts, home = urlsplit(_as_a_browser(location)), urlsplit(registered)
        assert (parts.scheme, parts.hostname, parts.port) == (
            home.scheme,
            home.hostname,
            home.port,
        )
        assert parts.username is None
        assert parts.fragment == ""
        assert location.isascii()
        assert location.isprintable()


@given(given_uri=st.one_of(HOSTILE, st.text(max_size=40)), registered=REGISTERED)
def test_what_does_not_begin_with_the_registered_address_is_refused(
    given_uri: str, registered: str
) -> None:
    assert is_allowed(given_uri, registered, LOCAL) is False
    assert is_allowed(given_uri, "", LOCAL) is False


@given(text=st.one_of(HOSTILE, HOSTILE.map(lambda text: f"/{text}"), st.text(max_size=40)))
def test_a_page_of_ours_is_read_as_one_by_every_browser(text: str) -> None:
    if is_own_page(text):
        assert text.isascii()
        reached = urlsplit(urljoin(f"{OWN}/signin", _as_a_browser(text)))
        assert (reached.scheme, reached.netloc) == ("https", "dockbell.test")


def test_the_other_way_round_some_are_taken() -> None:
    assert is_allowed("https://ci.example.com/back", "https://ci.example.com", LOCAL) is True
    assert is_own_page("/oauth/authorize?client_id=x") is True
