"""An authority of the tests' own, and certificates by it."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trustme


@pytest.fixture(scope="session")
def _issuer() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def authority(_issuer: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the authority's certificate is."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    _issuer.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_context(_issuer: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Make the TLS side of a server with these names."""

    def make(*names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        _issuer.issue_cert(*names).configure_cert(context)
        return context

    return make
