"""What can go wrong for a reason the caller can mend; the docstring is the sentence a user sees."""

from typing import ClassVar


class DockbellError(Exception):
    """Something went wrong."""

    kind: ClassVar[str] = "error"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail if detail is not None else (type(self).__doc__ or "").strip()
        super().__init__(self.detail)

    @property
    def words(self) -> str:
        """What to tell whoever can do with more than Quay's words: `detail`, or what helps better."""
        return self.detail


class UnauthenticatedError(DockbellError):
    """Requires authentication"""  # noqa: D400, D415 -- Quay's literal text

    kind = "invalid_token"


class FreshLoginError(UnauthenticatedError):
    """Requires fresh login"""  # noqa: D400, D415 -- Quay's literal text

    kind = "fresh_login_required"


class ForbiddenError(DockbellError):
    """Unauthorized"""  # noqa: D400, D415 -- Quay's literal text

    kind = "insufficient_scope"


class NotFoundError(DockbellError):
    """Not Found"""  # noqa: D400, D415 -- Quay's literal text

    kind = "not_found"


class InvalidRequestError(DockbellError):
    """The request is not valid."""

    kind = "invalid_request"


class ConfigError(InvalidRequestError):
    """The configuration is not valid."""

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, more: str | None = None
    ) -> None:
        """`more` says what would help, where `detail` has to be Quay's words and does not."""
        super().__init__(detail)
        self.field = field
        self.more = more

    @property
    def words(self) -> str:
        return self.more or self.detail


class TemplateError(ConfigError):
    """The template is not valid."""


class DataError(DockbellError):
    """The request does not fit the data.

    Quay answers such errors as 400 `{"message": …}` (quay-compat 1.2, shape C).
    """

    kind = "data"


class ConflictError(DockbellError):
    """The request is at odds with the present state."""

    kind = "conflict"


class RefusedError(ConflictError):
    """A rule of the server refuses this."""

    kind = "refused"


class TooManyError(DockbellError):
    """There were too many such requests. Try again later."""

    kind = "too_many_requests"


class AnonymousError(UnauthenticatedError):
    """Anonymous access is not allowed"""  # noqa: D400, D415 -- Quay's literal text


class UnavailableError(DockbellError):
    """The server cannot answer now. Try again soon."""

    kind = "unavailable"


class UndoneError(UnavailableError):
    """Others changed the same at the same moment. Try again.

    Nothing of the work was kept, for a reason that passes: it can be done again at once.
    """

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or "Others changed the same at the same moment. Try again.")


class SetupError(DockbellError):
    """The server cannot start."""

    kind = "setup"


class TooOldError(SetupError):
    """The version is too old for the tables of the database."""
