"""The way out to an object store that the operator named: S3 and what speaks like it, Google Cloud Storage, Azure."""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from dockbell.domain.errors import SetupError, UnavailableError
from dockbell.domain.late_dataclasses import dataclass

_CHUNK = 8 << 20  # of an upload in parts
_AT_ONCE = 4  # parts under way
_NO_PROXY = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the store is, and as whom we come. Nothing is taken from the environment or from the machine's cloud."""

    url: str  # s3://bucket/prefix, gs://bucket/prefix or az://container/prefix
    endpoint: str = ""  # of a store that is not the public one
    region: str = ""
    access_key: str = ""  # for az the account's name; not for gs
    secret_key: str = ""  # for gs the service account's key as JSON


def open_store(address: Address, timeout: float) -> "ObjectStore":
    """The store, not asked yet. Raise SetupError for settings that do not go together."""
    from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415 -- loaded where it is used only

    parts = urlsplit(address.url)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if not address.secret_key or (parts.scheme != "gs" and not address.access_key):
        raise SetupError(
            "blob_store needs blob_store_access_key and blob_store_secret_key (for gs:// the second only)."
        )
    options: Any = {
        "allow_http": address.endpoint.startswith("http://"),
        "connect_timeout": f"{timeout}s",
        "timeout": "600s",
        # A proxy that is never used, so that none of the environment is either.
        "proxy_url": _NO_PROXY,
        "proxy_excludes": "*,0.0.0.0/0,::/0",
    }
    more: dict[str, Any] = {
        "prefix": prefix or None,
        "client_options": options,
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=timeout)},
    }
    if address.endpoint and parts.scheme != "gs":
        more["endpoint"] = address.endpoint
    try:
        match parts.scheme:
            case "s3":
                store: Any = S3Store(
                    bucket,
                    access_key_id=address.access_key,
                    secret_access_key=address.secret_key,
                    region=address.region or "us-east-1",
                    **more,
                )
            case "gs":
                key = _google_key(address)
                store = GCSStore(bucket, service_account_key=key, **more)
            case _:
                store = AzureStore(
                    bucket,
                    account_name=address.access_key,
                    account_key=address.secret_key,
                    **more,
                )
    except Exception as error:
        raise SetupError(f"blob_store cannot be used: {_first_line(error)}") from error
    return ObjectStore(store)


def _google_key(address: Address) -> str:
    """The service account's key, which is also where an endpoint is named."""
    if not address.endpoint:
        return address.secret_key
    key = json.loads(address.secret_key)
    if not isinstance(key, dict):
        raise TypeError("blob_store_secret_key is no JSON object")
    return json.dumps({**key, "gcs_base_url": address.endpoint})


class ObjectStore:
    """Objects by key. What goes wrong on the way is an UnavailableError, which tells who asks to come back."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def size(self, key: str) -> int | None:
        """Bytes of the object; None if there is none."""
        import obstore  # noqa: PLC0415 -- loaded where it is used only

        try:
            found: Mapping[str, Any] = await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise _unavailable(error) from error
        return int(found["size"])

    async def read(self, key: str, start: int, length: int) -> bytes:
        import obstore  # noqa: PLC0415 -- loaded where it is used only

        try:
            found = await obstore.get_range_async(self._store, key, start=start, length=length)
        except Exception as error:
            raise _unavailable(error) from error
        return bytes(found)

    async def put(self, key: str, descriptor: int) -> None:
        """Store what the file holds, in parts if it is large: visible as a whole, or not at all."""
        import obstore  # noqa: PLC0415 -- loaded where it is used only

        try:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                file.seek(0)
                await obstore.put_async(
                    self._store,
                    key,
                    file,
                    chunk_size=_CHUNK,
                    max_concurrency=_AT_ONCE,
                )
        except Exception as error:
            raise _unavailable(error) from error

    async def delete(self, key: str) -> None:
        import obstore  # noqa: PLC0415 -- loaded where it is used only

        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise _unavailable(error) from error

    async def list(self, prefix: str) -> AsyncIterator[Sequence[tuple[str, datetime]]]:
        """Keys and times of all objects below the prefix, some at a time."""
        import obstore  # noqa: PLC0415 -- loaded where it is used only

        try:
            async for entries in obstore.list(self._store, prefix, chunk_size=500):
                yield [(entry["path"], entry["last_modified"]) for entry in entries]
        except Exception as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"The object store does not answer as it should: {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
