"""What several answers show alike."""

import pytest

from dockbell.api.v1.views import color_of


@pytest.mark.parametrize(
    ("digest", "color"),
    [
        # The one that the guide prints.
        ("b28d563a6dc76b4431fc7b0524bbff6b810387dac86d9303874871839859c7cc", "#17becf"),
        ("00" * 32, "#969696"),
        ("1f" * 32, "#a55194"),
        ("20" * 32, "#969696"),
        ("ff" * 32, "#a55194"),
    ],
)
def test_an_avatars_color_is_quays_for_its_hash(digest: str, color: str) -> None:
    assert color_of(digest) == color
