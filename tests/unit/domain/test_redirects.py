"""Where an OAuth answer may go."""

import pytest

from dockbell.domain.redirects import is_allowed, is_own_page, place_of, with_query

LOCAL = "https://dockbell.test/oauth/localapp"

ALLOWED = [
    (LOCAL, ""),
    (LOCAL, "https://ci.example.com"),
    ("https://ci.example.com", "https://ci.example.com"),
    ("https://ci.example.com/back", "https://ci.example.com"),
    ("https://ci.example.com/back?x=1", "https://ci.example.com/back"),
    ("http://127.0.0.1:8080/cb", "http://127.0.0.1:8080/"),
]
REFUSED = [
    ("https://ci.example.com", ""),
    ("https://ci.example.com.evil.example", "https://ci.example.com"),
    ("https://ci.example.com@evil.example", "https://ci.example.com"),
    ("https://ci.example.com:444/", "https://ci.example.com"),
    ("https://ci.example.com/a/../b", "https://ci.example.com/a"),
    ("https://ci.example.com/a%2e%2e", "https://ci.example.com/a"),
    ("https://ci.example.com/a#frag", "https://ci.example.com/a"),
    ("https://ci.example.com/a\\b", "https://ci.example.com/a"),
    ("https://ci.example.com/a\nb", "https://ci.example.com/a"),
    ("https://ci.example.com/\u00e9", "https://ci.example.com/"),
    ("https://\u00e9.example.com/", "https://\u00e9.example.com/"),
    ("http://ci.example.com/", "https://ci.example.com/"),
    ("https://other.example.com/", "https://ci.example.com/"),
    ("javascript:alert(1)", "javascript:alert(1)"),
    ("data:text/html,x", "data:"),
    ("//ci.example.com/", "//ci.example.com/"),
    (f"{LOCAL}/x", ""),
    (f"{LOCAL}?x", "https://ci.example.com"),
]


@pytest.mark.parametrize(("given", "registered"), ALLOWED)
def test_an_address_of_the_application_is_allowed(given: str, registered: str) -> None:
    assert is_allowed(given, registered, LOCAL) is True


@pytest.mark.parametrize(("given", "registered"), REFUSED)
def test_any_other_address_is_refused(given: str, registered: str) -> None:
    assert is_allowed(given, registered, LOCAL) is False


def test_values_come_behind_those_that_are_there() -> None:
    assert (
        with_query("https://a.example/", {"x": "1 2", "y": "&"})
        == "https://a.example/?x=1+2&y=%26"
    )
    assert with_query("https://a.example/?z=0#f", {"x": "1"}) == "https://a.example/?z=0&x=1"
    assert with_query("https://a.example/", {}) == "https://a.example/"


def test_the_place_is_scheme_and_host() -> None:
    assert place_of("https://a.example:8443/x?y") == "https://a.example:8443"
    assert place_of("http://[::1]:3000/") == "http://[::1]:3000"
    assert place_of("nonsense; script-src *") == ""
    assert place_of("https://a.example;script-src/") == ""
    assert place_of("https://me@a.example/") == ""


@pytest.mark.parametrize("text", ["/", "/oauth/authorize?a=b&c=%20", "/repository/acme/web"])
def test_own_pages(text: str) -> None:
    assert is_own_page(text) is True


@pytest.mark.parametrize(
    "text", ["", "x", "//a", "/\\a", "/\ta", "/ a", "https://a", "/a\n", "/\u00e9"]
)
def test_what_a_browser_could_read_as_another_site(text: str) -> None:
    assert is_own_page(text) is False
