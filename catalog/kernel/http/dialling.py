"""Connections: to the very address that was checked, and for no longer than the deadline."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import unquote

import httpcore2
import httpx2
from django.conf import settings

from catalog.kernel.errors import InvalidInput
from catalog.kernel.http.addresses import Resolver, addresses_to_dial, check_proxied, is_proxied

TOO_LONG = "the whole answer took too long"

_ends_at: ContextVar[float | None] = ContextVar("http_ends_at", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound everything inside: a server that sends a byte a second passes every other timeout."""
    token = _ends_at.set(monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


@contextmanager
def _bounded(timeout: float | None) -> Iterator[float | None]:
    """Give what is left of `timeout` under the deadline, and say which of the two ran out."""
    ends_at = _ends_at.get()
    if ends_at is None:
        yield timeout
        return
    left = ends_at - monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout(TOO_LONG)
    try:
        yield left if timeout is None else min(timeout, left)
    except httpcore2.TimeoutException as error:
        if monotonic() >= ends_at:
            raise httpcore2.ReadTimeout(TOO_LONG) from error
        raise


class _TimedStream(httpcore2.NetworkStream):
    """A stream that heeds the deadline of whoever uses it at the moment."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _bounded(timeout) as left:
            return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _bounded(timeout) as left:
            self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        with _bounded(timeout) as left:
            return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TimedBackend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        with _bounded(timeout) as left:
            return _TimedStream(
                super().connect_tcp(host, port, left, local_address, socket_options)
            )


class _GuardedBackend(_TimedBackend):
    """Resolves once and dials what it checked, so that nothing can change in between. Host header
    and TLS name stay those of the URL."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            addresses = addresses_to_dial(host, port, self._resolver)
        except OSError as error:
            raise httpcore2.ConnectError(f"the name does not resolve: {error}") from error
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *args: object, **kwargs: object) -> httpcore2.NetworkStream:
        raise httpcore2.ConnectError("Unix sockets are not called")


class Dialler:
    """The connections of one client, kept open between its calls."""

    def __init__(
        self,
        *,
        verify: bool | str,
        cert: tuple[str, str] | None,
        resolver: Resolver,
    ) -> None:
        context = tls_context(verify, cert, settings.IDP_HTTP_CA_FILE)
        self._direct = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=10,
            max_keepalive_connections=5,
            keepalive_expiry=15,
            network_backend=_GuardedBackend(resolver),
        )
        self._proxied = _proxy_pool(settings.IDP_HTTP_PROXY, context)

    def pool_for(self, host: str) -> httpcore2.ConnectionPool:
        """Where calls to `host` go through. Raises AddressRefused for what a proxy is not asked."""
        if self._proxied is None or not is_proxied(host):
            return self._direct
        check_proxied(host)
        return self._proxied

    def close(self) -> None:
        self._direct.close()
        if self._proxied is not None:
            self._proxied.close()


def _proxy_pool(proxy: str, context: ssl.SSLContext) -> httpcore2.ConnectionPool | None:
    if not proxy:
        return None
    url = httpx2.URL(proxy)
    return httpcore2.HTTPProxy(
        proxy_url=str(url.copy_with(userinfo=b"")),
        proxy_auth=(unquote(url.username), unquote(url.password)) if url.userinfo else None,
        ssl_context=context,
        proxy_ssl_context=context if url.scheme == "https" else None,
        max_connections=10,
        max_keepalive_connections=5,
        keepalive_expiry=15,
        network_backend=_TimedBackend(),  # the operator named the proxy: it may stand anywhere
    )


@lru_cache(maxsize=64)  # reading the system's certificates takes milliseconds
def tls_context(
    verify: bool | str, cert: tuple[str, str] | None, extra_ca_file: str
) -> ssl.SSLContext:
    """What TLS trusts and shows.

    verify: True for the system's authorities and those of `extra_ca_file`, a PEM text for its own
    authorities alone, False for no check at all. cert: a client's certificate and key, as PEM.
    Raises InvalidInput for PEM that cannot be read.
    """
    try:
        if verify is True:
            context = httpcore2.default_ssl_context(_trust_env=False)
            if extra_ca_file:
                context.load_verify_locations(cafile=extra_ca_file)
        elif verify is False:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context(cadata=verify)
    except (ssl.SSLError, OSError, ValueError) as error:
        source = "IDP_HTTP_CA_FILE" if verify is True else "The certificate authority"
        raise InvalidInput(f"{source} cannot be read as PEM: {error}") from error
    if cert:
        _show(context, *cert)
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client certificate. OpenSSL reads it from a file only: one that nobody else may read
    and that is gone at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.touch(mode=0o600)
        path.write_text(f"{certificate.strip()}\n{key.strip()}\n")
        try:
            # The empty password: an encrypted key must fail and not ask at a terminal.
            context.load_cert_chain(path, password="")
        except (ssl.SSLError, OSError) as error:
            raise InvalidInput(
                f"The client certificate and its key cannot be used: {error}",
                hint="Expected both as PEM, the key without a passphrase.",
            ) from None
