"""What a process says of itself to a container platform."""

import urllib.error
import urllib.request

from prometheus_client import CollectorRegistry, Gauge

from groundswell.probes import Probes, serve


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Seconds:
    now = 0.0


def test_a_process_is_live_while_its_loop_turns_and_ready_while_it_works() -> None:
    seconds = Seconds()
    probes = Probes(60, now_s=lambda: seconds.now)
    assert probes.answer("/live") == (True, "live")
    assert probes.answer("/ready") == (False, "starting")
    probes.is_ready()
    assert probes.answer("/ready") == (True, "ready")
    seconds.now = 61
    assert probes.answer("/live") == (False, "the loop has not turned for 61 s")
    assert probes.answer("/ready") == (False, "not live")
    probes.beat()
    probes.waits("the store is away")
    assert probes.answer("/live") == (True, "live")
    assert probes.answer("/ready") == (False, "the store is away")
    assert probes.answer("/metrics") is None


def test_probes_are_answered_beside_the_metrics() -> None:
    registry, probes = CollectorRegistry(), Probes()
    Gauge("groundswell_here", "Here.", registry=registry).set(1)
    server, thread = serve(registry, probes, host="127.0.0.1", port=0)
    try:
        port = server.server_port
        assert ask(port, "/live") == (200, "live\n")
        assert ask(port, "/ready") == (503, "starting\n")
        status, text = ask(port, "/metrics")
        assert status == 200
        assert "groundswell_here 1.0" in text
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
