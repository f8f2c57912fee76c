"""Each program's Prometheus metrics: one registry per program, served on 127.0.0.1 when a port is set.

Modules declare their own metrics on the registry they are given, named `vigie_<program>_…` with the unit at the end.
"""

from collections.abc import Callable
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


def new_registry(program: str) -> CollectorRegistry:
    """A registry with the process's own figures (memory, CPU, open files) and the program's name."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Gauge("vigie_program_info", "Which of Vigie's programs this is.", ["program"], registry=registry).labels(program).set(1)
    return registry


def serve(registry: CollectorRegistry, *, port: int) -> Callable[[], None]:
    """Serve the registry at http://127.0.0.1:port/metrics; returns what stops it. Port 0 serves nothing."""
    if port == 0:
        return lambda: None
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    return lambda: _stop(server, thread)


def _stop(server: WSGIServer, thread: Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
