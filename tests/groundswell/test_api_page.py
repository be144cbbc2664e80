"""The worked example of docs/api.md, as it stands there."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_runs_and_comes_to_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, instruments = Store(str(tmp_path / "desk.db")), b.instruments()
    with b.fill(LocalLog(tmp_path / "log"), b.an_archive(1, records=420)) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=instruments)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        while pipeline.step():
            pass
        pipeline.finish()
    store.close()
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(example, "docs/api.md", "exec"), names)

    assert names["busiest"].iloc[0] > 10
    assert list(names["days"]["start"]) == list(pd.date_range("2026-09-21", periods=8, tz="UTC"))
    assert names["moods"]["negative"] > 0.5
    assert len(names["alerts"]) == names["incidents"]["alerts"].sum() > 0
    assert len(names["sources"]) == 5
