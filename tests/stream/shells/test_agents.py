import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundswell.probes import Probes
from stream.shells.agents import Agent
from stream.shells.topics import TopicIds
from stream.shells.worker import StallWatch, WorkerSettings


class Endless(Agent):
    """Takes one batch, and is never done with it."""

    stage, take_max = "intake", 1
    begun = asyncio.Event()

    async def handle(self, events: list[Any]) -> None:
        self.of_now(events)
        self.begun.set()
        await asyncio.Event().wait()

    def forget(self) -> None:
        pass


class OneBatch:
    """A stream with one event, of the group's third generation."""

    async def noack_take(self, _: int, *, within: float) -> AsyncIterator[list[Any]]:
        assert within > 0
        yield [SimpleNamespace(message=SimpleNamespace(generation_id=3, partition=0, offset=0))]


async def test_an_agent_that_was_stopped_begins_no_work_whatever_timer_asks_for_it(tmp_path: Path) -> None:
    app = SimpleNamespace(consumer_generation_id=3)
    agent = Endless(app, WorkerSettings("127.0.0.1:9", "", "r", tmp_path), TopicIds("a", "b"), StallWatch(), Probes(), None)
    work = asyncio.create_task(agent.run(OneBatch()))
    await agent.begun.wait()
    assert agent.is_current(agent.generation)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not agent.is_current(agent.generation)
