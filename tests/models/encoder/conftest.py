"""A checkpoint to train from. torch is imported where a test asks for it: without torch these tests are skipped, not broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config.json, tokenizer.json and model.safetensors; never changed."""
    from tests.tiny_encoder import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("encoders") / "tiny-zh")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread, so that sums are taken in one order; what a run sets for the whole process is set back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)
