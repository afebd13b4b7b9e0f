"""The file with the secret key."""

import base64
from pathlib import Path

import pytest

from dockbell.domain.errors import SetupError
from dockbell.store import key_files


def test_what_is_made_is_read_again_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"

    made = key_files.make(path)

    assert key_files.read(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]


def test_who_comes_second_takes_the_key_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    first = key_files.make(path)

    second = key_files.make(path)

    assert second == first


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert key_files.read(tmp_path / "secret.key") == ()


def test_a_key_may_be_written_in_either_alphabet(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(base64.b64encode(b"\xfb\xff" * 16))

    assert key_files.read(path) == (b"\xfb\xff" * 16,)


def test_where_no_key_can_be_written_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "secret.key"

    with pytest.raises(SetupError) as caught:
        key_files.make(path)

    assert caught.value.detail == (
        f"The secret key cannot be written to {path}: No such file or directory. "
        "Make room or give this user the right to write there, "
        "or set DOCKBELL_SECRET_KEY to a key from `dockbell keys new`."
    )


def test_several_keys_keep_their_order_and_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    (old,) = key_files.make(path)

    key_files.replace(path, [b"n" * 32, old])

    assert key_files.read(path) == (b"n" * 32, old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]


def test_where_a_key_cannot_be_replaced_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "secret.key"

    with pytest.raises(SetupError) as caught:
        key_files.replace(path, [b"n" * 32])

    assert caught.value.detail == (
        f"The secret key file {path} cannot be replaced: No such file or directory. It is as it was."
    )
