"""The metrics endpoint."""

import socket
import urllib.request

from prometheus_client import Counter, generate_latest

from fleet.metrics import new_registry, serve


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_programs_own_metrics_are_served_until_it_stops() -> None:
    registry = new_registry("ingest")
    Counter("vigie_ingest_tests", "Tests.", registry=registry).inc(3)
    port = free_port()
    stop = serve(registry, port=port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert "vigie_ingest_tests_total 3.0" in text
    assert 'vigie_program_info{program="ingest"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_port_zero_serves_nothing() -> None:
    serve(new_registry("web"), port=0)()


def test_programs_do_not_share_metrics() -> None:
    one, other = new_registry("ingest"), new_registry("watch")
    Counter("vigie_ingest_tests", "Tests.", registry=one)
    assert b"vigie_ingest_tests" not in generate_latest(other)
