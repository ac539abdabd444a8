"""TLS for outgoing connections: the system's trust store, made once and only when needed."""

from __future__ import annotations

import functools
import ssl

from trunkline.errors import ConfigurationError


@functools.lru_cache(maxsize=8)
def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return the context that verifies servers.

    Trust is the operating system's (and what SSL_CERT_FILE names); `ca_file` replaces it by the
    authorities of one PEM file. Raises ConfigurationError where that has none.
    """
    if ca_file is not None:
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"ca_file={ca_file!r} is not a PEM file of certificates: {error}."
            ) from error
    else:
        import truststore  # costs start-up time that a plain-HTTP program need not pay

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
