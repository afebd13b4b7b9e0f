"""Links to our own pages and names, as they stand in payloads, tokens and errors."""

from urllib.parse import urlsplit

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.product import NAME


@dataclass(frozen=True, slots=True)
class Links:
    """Builds every link from the one public address of this server.

    `public_url` is scheme and host with no path and no slash at the end (quay-compat, placeholders).
    """

    public_url: str
    title: str = NAME  # what people call this server: Quay's `REGISTRY_TITLE`

    @property
    def scheme(self) -> str:
        return urlsplit(self.public_url).scheme

    @property
    def host(self) -> str:
        """Host with the port, if one is given: Quay's `SERVER_HOSTNAME`."""
        return urlsplit(self.public_url).netloc

    @property
    def hostname(self) -> str:
        """The host without a port."""
        return urlsplit(self.public_url).hostname or ""

    def repository(self, path: str) -> str:
        return f"{self.public_url}/repository/{path}"

    def tag(self, path: str, tag: str) -> str:
        return f"{self.public_url}/repository/{path}?tag={tag}&tab=tags"

    def docker_url(self, path: str) -> str:
        return f"{self.host}/{path}"

    def organization(self, name: str) -> str:
        return f"{self.public_url}/organization/{name}"

    def user(self, name: str) -> str:
        return f"{self.public_url}/user/{name}"

    def error(self, kind: str) -> str:
        return f"{self.public_url}/api/v1/error/{kind}"

    def public_keys(self, notification_id: str) -> str:
        return f"{self.public_url}/.well-known/dockbell-keys/{notification_id}"

    def authorize_email(self, code: str) -> str:
        # Quay: this address. Pinned by compat/test_authorized_emails.py.
        return f"{self.public_url}/authrepoemail?code={code}"

    def verify_account(self, code: str) -> str:
        # Quay: this address. Pinned by compat/test_sign_up.py.
        return f"{self.public_url}/confirm?code={code}"

    def unsubscribe(self, consent_id: str, code: str) -> str:
        return f"{self.public_url}/unsubscribe?id={consent_id}&code={code}"

    @property
    def local_app(self) -> str:
        """The page at which people without an application take their OAuth token."""
        return f"{self.public_url}/oauth/localapp"

    @property
    def token_realm(self) -> str:
        return f"{self.public_url}/v2/auth"
