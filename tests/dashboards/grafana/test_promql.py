"""Every PromQL expression of the dashboards on a real Prometheus that scrapes a process while it works."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from math import isnan
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from dashboards.grafana import promql
from dashboards.grafana.model import Promql
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.names import LIVE_RUN, RAW_PARTITIONS
from groundswell.probes import serve
from groundswell.store.query import alerts_of, balance_of, total
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from tests import builders as b
from tests.dashboards.grafana import grafana_text as g
from tests.prometheus_peer import JOB, Prometheus

VARIABLES: Final = {"job": JOB, "instance": ".+"}
WORKED: Final = "groundswell_canary_timestamp_seconds > 0"
"""True in the first scrape after all the work."""


def sent(expression: str) -> str:
    return g.expression(expression, rate_interval="1m", variables=VARIABLES)


def work(metrics: Metrics, folder: Path) -> None:
    """The whole pipeline over a small archive, and what the lookout would say of it."""
    with closing(Store(str(folder / "store.db"))) as store, b.fill(LocalLog(folder / "log"), b.an_archive(5, records=200)) as log:
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments(), metrics=metrics)
        while pipeline.step():
            pass
        with store.read() as connection:
            metrics.observe_balance(total(balance_of(connection, LIVE_RUN, log=log)).terms)
            assert alerts_of(connection, LIVE_RUN)
    metrics.observe_raw_times([int(time.time() * 1_000)] * RAW_PARTITIONS)  # only Kafka workers have partitions
    metrics.observe_canary(due_ms=int(time.time() * 1_000), latency_s=12)


@pytest.fixture
def worked(prometheus: Callable[[Sequence[str]], Prometheus], tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that has scraped a process before and after its work."""
    metrics = Metrics(CollectorRegistry())
    served, thread = serve(metrics.registry, None, host="127.0.0.1", port=0)
    try:
        found = prometheus([f"127.0.0.1:{served.server_port}"])
        found.wait("groundswell_documents_scored_total")
        work(metrics, tmp_path)
        found.wait(WORKED)
        yield found
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


def test_every_expression_returns_the_series_that_its_panel_promises(worked: Prometheus) -> None:
    missing = {}
    for place, _, query in g.queries(Promql):
        assert isinstance(query, Promql)
        series = len(worked.query(sent(query.expr)))
        if series < query.at_least:
            missing[place] = f"{series} of {query.at_least}: {query.expr}"
    assert missing == {}

    (scored,) = worked.query(sent(promql.SCORED))
    assert float(scored["value"][1]) > 0
    assert [float(one["value"][1]) for one in worked.query(sent(promql.BALANCE))] == [0.0]
    shares = {tuple(one["metric"].values()): float(one["value"][1]) for one in worked.query(sent(promql.SENTIMENTS))}
    assert len(shares) == 6
    for language in ("en", "zh"):
        of_language = [share for labels, share in shares.items() if language in labels]
        assert sum(of_language) == pytest.approx(1)
        assert not any(map(isnan, of_language))
    for labels in ("job", "instance"):
        asked = [v["query"]["query"] for d in g.DASHBOARDS for v in d.variables if v["name"] == labels]
        assert {f"label_values(groundswell_known_timestamp_seconds{where}, {labels})" for where in ("", '{job=~"$job"}')} >= set(asked)
        assert {one["metric"][labels] for one in worked.query("groundswell_known_timestamp_seconds")}

    assert worked.query(sent(promql.SCORED.replace("scored", "scorred"))) == [], "an unknown metric would be found"
    with pytest.raises(AssertionError, match="parse error"):
        worked.query(promql.SCORED)
