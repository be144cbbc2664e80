"""Every PromQL expression of the dashboards on a real Prometheus that scrapes a process while it works."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry

from dashboards.grafana import promql
from dashboards.grafana.model import Promql
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.names import LIVE_RUN, RAW_PARTITIONS
from groundswell.probes import serve
from groundswell.records import Delivery
from groundswell.store.query import alerts_of, balance_of, total
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from tests import builders as b
from tests.dashboards.grafana import grafana_text as g
from tests.prometheus_peer import Prometheus, until

VARIABLES: Final = {"run": "live", "job": "groundswell", "instance": ".+"}
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
    metrics.observe_deliveries([Delivery(target="mail", ok=True)])
    metrics.observe_poll("new", fetched=3, new=1)
    metrics.observe_canary(due_ms=int(time.time() * 1_000), latency_s=12)


@pytest.fixture
def worked(prometheus: Callable[..., AbstractContextManager[Prometheus]], tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that has scraped a process before and after its work."""
    metrics = Metrics(CollectorRegistry())
    served, thread = serve(metrics.registry, None, host="127.0.0.1", port=0)
    targets = [{"targets": [f"127.0.0.1:{served.server_port}"]}]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [{"job_name": VARIABLES["job"], "static_configs": targets}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML too
    try:
        with prometheus(tmp_path / "prometheus.yml") as found:
            until(lambda: found.query("groundswell_documents_scored_total"), says="a scrape before the work")
            work(metrics, tmp_path)
            until(lambda: found.query(WORKED), says="a scrape after the work")
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

    ((_, scored),) = worked.query(sent(promql.SCORED))
    assert scored > 0
    assert [value for _, value in worked.query(sent(promql.BALANCE))] == [0.0]
    shares = worked.query(sent(promql.SENTIMENTS))
    for language in ("en", "zh"):
        assert sum(share for labels, share in shares if labels["language"] == language) == pytest.approx(1)
    for name in ("job", "instance"):
        asked = {v["query"]["query"] for d in g.DASHBOARDS for v in d.variables if v["name"] == name}
        assert all(re.fullmatch(rf"label_values\(groundswell_known_timestamp_seconds.*, {name}\)", query) for query in asked)
        assert all(name in labels for labels, _ in worked.query("groundswell_known_timestamp_seconds"))

    assert worked.query(sent(promql.SCORED.replace("scored", "scorred"))) == [], "an unknown metric would be found"
    with pytest.raises(HTTPError, match="400"):  # and so would what is no PromQL: Grafana's own variables
        worked.query(promql.SCORED)
