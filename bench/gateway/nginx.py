"""nginx's two roles here: the upstream with a fixed answer, and the proxy that is the limit."""

from __future__ import annotations

import http.client
import os
import resource
from pathlib import Path

import payloads
from processes import LOAD_CORE, Processes, free_port

_FRAME = """
{user}
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr error;
daemon off;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_buffer_size 2m;
  client_max_body_size 16m;
  {inside}
}}
"""
_FIXED = """
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /status {{ stub_status; }}
    location / {{ return 200 '{body}'; }}
  }}
"""
_PROXY = """
  upstream model {{
    server 127.0.0.1:{upstream};
    keepalive 10000; keepalive_requests 1000000000; keepalive_timeout 3600s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
      proxy_read_timeout 3600s;
    }}
  }}
"""


def _command(folder: Path, inside: str) -> list[str]:
    """Write a configuration and return the command that serves it."""
    folder.mkdir(parents=True, exist_ok=True)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    user = "user root;" if os.geteuid() == 0 else ""  # its workers write to a folder of this user's
    path = folder / "nginx.conf"
    # with fewer than a sixteenth of them free, it closes connections that have yet to ask
    counts = {"files": files, "connections": 2 * files}
    path.write_text(_FRAME.format(folder=folder, inside=inside, user=user, **counts))
    return ["nginx", "-p", str(folder), "-c", str(path)]


def proxy(folder: Path, port: int, upstream: int, *, stream: bool) -> list[str]:
    """Return the command of a proxy; for streams it passes each piece on as it comes."""
    buffering = "off" if stream else "on"
    return _command(folder, _PROXY.format(port=port, upstream=upstream, buffering=buffering))


def start_upstream(processes: Processes) -> int:
    """Start the server that gives every request the same answer; return its port."""
    port = free_port()
    body = payloads.answer().decode()
    folder = processes.folder / f"upstream-{port}"
    process = processes.start(
        "upstream", _command(folder, _FIXED.format(port=port, body=body)), core=LOAD_CORE
    )
    processes.wait_ready(process, port, "/status")
    return port


def served(port: int) -> int:
    """Return how many requests the upstream has served until now, this question included."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        words = connection.getresponse().read().split()
    finally:
        connection.close()
    # Active connections: 1 / server accepts handled requests / 9 9 21 / ...
    return int(words[9])


def served_since(port: int, before: int) -> int:
    """Return how many it has served since `served` said `before`."""
    return served(port) - before - 1
