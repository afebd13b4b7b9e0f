"""Paths below `/v2`, whose repository names hold slashes and the very words that divide them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.registry.routes import Resource, Route, find

PART = st.sampled_from(
    ["a", "web", "blobs", "uploads", "manifests", "tags", "list", "referrers"]
)
NAME = st.lists(PART, min_size=2, max_size=5).map("/".join)
REFERENCE = st.sampled_from(["v1", "latest", "sha256:" + "0" * 64, "upl_x", "tags", "list"])


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route(Resource.BASE)),
        ("/v2/", Route(Resource.BASE)),
        ("/v2/auth", Route(Resource.TOKEN)),
        ("/v2/_catalog", Route(Resource.CATALOG)),
        ("/v2/acme/web/blobs/uploads", Route(Resource.UPLOADS, "acme/web")),
        ("/v2/acme/web/blobs/uploads/", Route(Resource.UPLOADS, "acme/web")),
        ("/v2/acme/web/blobs/uploads/upl_1", Route(Resource.UPLOAD, "acme/web", "upl_1")),
        ("/v2/acme/web/blobs/sha256:0", Route(Resource.BLOB, "acme/web", "sha256:0")),
        ("/v2/acme/web/manifests/v1", Route(Resource.MANIFEST, "acme/web", "v1")),
        ("/v2/acme/team/app/tags/list", Route(Resource.TAGS, "acme/team/app")),
        ("/v2/acme/web/referrers/x", Route(Resource.REFERRERS, "acme/web", "x")),
        ("/v2/auth/web/tags/list", Route(Resource.TAGS, "auth/web")),
        ("/v2/a/manifests/b/manifests/c", Route(Resource.MANIFEST, "a/manifests/b", "c")),
        (
            "/v2/acme/web/manifests/line\nbreak",
            Route(Resource.MANIFEST, "acme/web", "line\nbreak"),
        ),
        ("/v2/acme/web", None),
        ("/v2/manifests/v1", None),
        ("/v2/acme/web/manifests/", None),
        ("/v2/acme/web/manifests/a/b", None),
        ("/v2/acme/web/tags", None),
        ("/v1/acme/web/tags/list", None),
        ("", None),
    ],
)
def test_a_path_names_one_resource(path: str, route: Route | None) -> None:
    assert find(path) == route


@given(NAME, REFERENCE)
def test_every_name_and_reference_comes_back(name: str, reference: str) -> None:
    assert find(f"/v2/{name}/manifests/{reference}") == Route(
        Resource.MANIFEST, name, reference
    )
    assert find(f"/v2/{name}/referrers/{reference}") == Route(
        Resource.REFERRERS, name, reference
    )
    assert find(f"/v2/{name}/blobs/uploads/{reference}") == Route(
        Resource.UPLOAD, name, reference
    )
    assert find(f"/v2/{name}/tags/list") == Route(Resource.TAGS, name)


@given(st.text())
def test_no_path_makes_it_fail(text: str) -> None:
    route = find(f"/v2/{text}")

    assert route is None or isinstance(route.is_name_valid, bool)


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("acme/web", True),
        ("acme/team/app", True),
        ("ac/w", True),
        ("acme/" + "w" * 255, True),
        ("acme/a.b_c-d", True),
        ("acme", False),
        ("a/web", False),
        ("Acme/web", False),
        ("acme/Web", False),
        ("acme/web/", False),
        ("acme//web", False),
        ("acme/../web", False),
        ("acme/" + "w" * 256, False),
        ("acme/web\n", False),
        ("acmé/web", False),
    ],
)
def test_a_name_is_valid_as_in_quay(name: str, is_valid: bool) -> None:  # noqa: FBT001 -- a case
    assert Route(Resource.TAGS, name).is_name_valid is is_valid
