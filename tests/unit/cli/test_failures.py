"""Exit codes and the words that go with them."""

import pytest

from dockbell.cli import failures
from dockbell.domain.errors import (
    DataError,
    DockbellError,
    ForbiddenError,
    NotFoundError,
    SetupError,
    UnauthenticatedError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SetupError("It is so."), 1),
        (DataError("It is so."), 1),
        (NotFoundError("It is so."), 3),
        (UnauthenticatedError("It is so."), 4),
        (ForbiddenError("It is so."), 4),
        (UnavailableError("It is so."), 5),
    ],
)
def test_an_error_is_one_line_and_its_code(
    error: DockbellError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, failures.explained():
        raise error

    assert caught.value.code == code
    assert capsys.readouterr() == ("", "dockbell: It is so.\n")


def test_ctrl_c_has_the_code_of_the_signal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, failures.explained():
        raise KeyboardInterrupt

    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), failures.explained():
        _ = 1 / 0
