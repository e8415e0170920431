"""Where a mirror lies: an object store or a directory, with errors a person can act on.

Conditional writes and multipart uploads are the library's (obstore, the Rust object_store). What it does not settle is
what to type when something fails, and whether a conditional write whose answer was lost came about.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import obstore
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, LocalStore, S3Store

from lake.errors import BadInputError, ConfigurationError
from lake.settings import MirrorSettings
from lake.store_errors import BrokenOffError, explain, is_absent_bucket

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig, S3Config
    from obstore.store import ObjectStore as AnyStore

Result = TypeVar("Result")
SCHEMES = ("s3", "abfss")
_PART_BYTES = 8 * 1024 * 1024
# Parts of one file on their way at once: with the files copied at once this bounds what is held in memory.
_PARTS_AT_ONCE = 4
# The longest the library goes on retrying one request, for each second a request may take.
_RETRIED_FOR = 4
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


class ObjectStore:
    """Objects under one URL.

    Args:
        url: s3://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix, or a directory.
        settings: Endpoint, region, limits. Credentials come from the platform's environment.
    """

    url: str
    settings: MirrorSettings

    def __init__(self, url: str, settings: MirrorSettings) -> None:
        self.url = url if "://" in url else str(Path(url).resolve())
        self.settings = settings
        with self.explained(""):
            self._store = _connect(self.url, settings)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of each object under a prefix, by its name below it.

        Raises:
            LakehouseError: See lake.store_errors.
        """
        found = self._tried(prefix, lambda: [o for page in obstore.list(self._store, prefix) for o in page])
        return {str(o["path"]).removeprefix(f"{prefix}/"): int(o["size"]) for o in found}

    def read(self, path: str) -> bytes | None:
        """An object's bytes; None when there is none.

        Raises:
            LakehouseError: See lake.store_errors.
        """

        def get() -> bytes | None:
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError as error:
                if is_absent_bucket(str(error)):
                    raise
                return None

        return self._tried(path, get)

    def digest(self, path: str) -> str:
        """SHA-256 of an object, read in pieces.

        Raises:
            LakehouseError: See lake.store_errors; also when there is none.
        """

        def get() -> str:
            total = hashlib.sha256()
            for piece in obstore.get(self._store, path).stream():
                total.update(piece)
            return total.hexdigest()

        return self._tried(path, get)

    def put(self, path: str, source: Path | bytes) -> None:
        """Write an object, whole or not at all, over whatever has its name.

        Raises:
            FileNotFoundError: The source is gone.
            LakehouseError: See lake.store_errors.
        """
        if isinstance(source, bytes):
            self._tried(path, lambda: obstore.put(self._store, path, source))
            return

        with source.open("rb") as file:

            def put() -> None:
                file.seek(0)
                obstore.put(self._store, path, file, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

            self._tried(path, put)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless somebody else's has its name.

        Returns:
            Whether the object now holds these bytes, whoever wrote them.

        Raises:
            LakehouseError: See lake.store_errors.
        """
        # A conditional write that broke off may have come about: the next one then finds our own bytes.
        try:
            self._tried(path, lambda: obstore.put(self._store, path, content, mode="create", use_multipart=False))
        except AlreadyExistsError:
            return self.read(path) == content
        return True

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects; one that is gone already is no error.

        Raises:
            LakehouseError: See lake.store_errors.
        """
        for path in paths:
            with self.explained(path):
                try:
                    obstore.delete(self._store, path)
                except FileNotFoundError as error:
                    if is_absent_bucket(str(error)):
                        raise

    def delta(self, path: str) -> DeltaTable | None:
        """The Delta table at a path, at its newest version; None when there is none.

        Raises:
            LakehouseError: See lake.store_errors.
        """

        limits = {"timeout": f"{self.settings.timeout_s:g}s", "max_retries": str(self.settings.retries)}

        def open_it() -> DeltaTable | None:
            try:
                return DeltaTable(f"{self.url.rstrip('/')}/{path}", storage_options=self.reader_options() | limits)
            except TableNotFoundError:
                return None

        return self._tried(path, open_it)

    def reader_options(self) -> dict[str, str]:
        """The endpoint and region under the names that delta-rs and Polars know as storage options."""
        given = self.settings
        scheme = urlsplit(self.url).scheme
        endpoint = {"s3": "AWS_ENDPOINT_URL", "abfss": "AZURE_STORAGE_ENDPOINT"}.get(scheme)
        options = {}
        if given.allow_http:
            options["AWS_ALLOW_HTTP" if scheme == "s3" else "ALLOW_HTTP"] = "true"
        if endpoint and given.endpoint:
            options[endpoint] = given.endpoint
        if scheme == "s3" and given.region:
            options["AWS_REGION"] = given.region
        return options

    def _tried(self, path: str, request: Callable[[], Result]) -> Result:
        """Try again what the library does not: answers that break off, conditional writes without an answer."""
        for attempt in range(self.settings.retries):
            try:
                with self.explained(path):
                    return request()
            except BrokenOffError:
                time.sleep(min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
        with self.explained(path):
            return request()

    @contextmanager
    def explained(self, path: str) -> Iterator[None]:
        """Sort what the libraries raise into errors of ours that name the object."""
        where = f"{self.url.rstrip('/')}/{path}".rstrip("/")
        try:
            yield
        except (AlreadyExistsError, TableNotFoundError):
            raise
        except (BaseError, DeltaError, OSError, ValueError) as error:
            raise explain(str(error), where, self.settings) from error


def _connect(url: str, given: MirrorSettings) -> AnyStore:
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not scheme:
        return LocalStore(url, mkdir=True)
    if scheme not in SCHEMES:
        raise BadInputError(
            f"a mirror cannot lie at {scheme}://",
            where=url,
            mend="use s3://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix or a directory",
        )
    if given.endpoint and given.endpoint.startswith("http://") and not given.allow_http:
        raise ConfigurationError(
            "plain http would show every row to the network",
            where=f"mirror.endpoint {given.endpoint}",
            mend="use https, or set mirror.allow_http (LAKEHOUSE_MIRROR__ALLOW_HTTP=true)",
        )
    timeout = timedelta(seconds=given.timeout_s)
    client: ClientConfig = {"allow_http": given.allow_http, "timeout": timeout, "connect_timeout": timeout}
    retry: RetryConfig = {"max_retries": given.retries, "retry_timeout": timeout * _RETRIED_FOR}
    if scheme == "abfss":
        azure: AzureConfig = {"endpoint": given.endpoint} if given.endpoint else {}
        return AzureStore.from_url(url, config=azure, client_options=client, retry_config=retry)
    s3: S3Config = {"endpoint": given.endpoint} if given.endpoint else {}
    if given.region:
        s3["region"] = given.region
    return S3Store.from_url(url, config=s3, client_options=client, retry_config=retry)
