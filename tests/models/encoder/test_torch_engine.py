"""The network in torch answers as the graph does, in float32 closely and in bf16 nearly; which texts share a run hardly matters."""

import random

import numpy as np
import pytest

from groundswell.errors import BundleError
from models.encoder.engine import OnnxEngine
from models.encoder.tokens import Tokenizer
from tests import tiny_graph as tiny

pytest.importorskip("torch", reason="torch is not installed: pip install 'groundswell[torch]'")

from models.encoder import readers, torch_engine
from models.encoder.torch_engine import TorchEngine

TEXTS = tiny.some_texts(60)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(tiny.tokenizer_json(), max_tokens=tiny.MAX_TOKENS)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_in_float32_it_answers_as_the_graph_does(precision: str, tokenizer: Tokenizer) -> None:
    model = tiny.model(precision)
    ours, theirs = TorchEngine(model, tokenizer, device="cpu", precision="fp32").run(TEXTS), OnnxEngine(model, tokenizer).run(TEXTS)
    assert (ours.starts == theirs.starts).all()
    assert (ours.offsets == theirs.offsets).all()
    middle = 1e-5 if precision == "fp32" else 0.02  # int8 rounds its inputs, which nothing does here
    assert np.median(np.abs(ours.text - theirs.text)) < middle
    assert np.median(np.abs(ours.tokens - theirs.tokens)) < middle
    if precision == "fp32":
        assert np.abs(ours.tokens - theirs.tokens).max() < 1e-4


def test_in_bf16_it_nearly_does(tokenizer: Tokenizer) -> None:
    engine = TorchEngine(tiny.model("fp32"), tokenizer, device="cpu")
    ours, theirs = engine.run(TEXTS), OnnxEngine(tiny.model("fp32"), tokenizer).run(TEXTS)
    assert engine.engine_id == "torch-bf16"
    assert np.abs(ours.text - theirs.text).max() < 0.05
    assert ours.text.dtype == np.float32


def test_which_texts_share_a_run_moves_no_answer_by_more_than_rounding(tokenizer: Tokenizer) -> None:
    engine = TorchEngine(tiny.model("fp32"), tokenizer, device="cpu", precision="fp32")
    together = engine.run(TEXTS)
    order = list(range(len(TEXTS)))
    random.Random(0).shuffle(order)
    again = engine.run([TEXTS[i] for i in order])
    alone = np.concatenate([engine.run([text]).text for text in TEXTS])
    assert np.abs(together.text[order] - again.text).max() < 1e-5
    assert np.abs(together.text - alone).max() < 1e-5


def test_texts_that_other_processes_read_are_answered_in_their_order(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "READERS_FROM", 1)
    monkeypatch.setattr(readers, "TEXTS_PER_TASK", 4)
    monkeypatch.setattr(readers, "TEXTS_AT_ONCE", 16)
    ours = TorchEngine(tiny.model("fp32"), tokenizer, device="cpu", precision="fp32", readers=2).run(TEXTS)
    theirs = TorchEngine(tiny.model("fp32"), tokenizer, device="cpu", precision="fp32").run(TEXTS)
    assert (ours.starts == theirs.starts).all()
    assert (ours.offsets == theirs.offsets).all()
    assert np.abs(ours.text - theirs.text).max() < 1e-5
    assert np.abs(ours.tokens - theirs.tokens).max() < 1e-5


def test_nothing_is_read_of_no_texts(tokenizer: Tokenizer) -> None:
    found = TorchEngine(tiny.model("fp32"), tokenizer, device="cpu", precision="fp32").run([])
    assert len(found.text) == len(found.tokens) == 0


def test_a_device_that_is_not_there_says_what_to_do(tokenizer: Tokenizer) -> None:
    with pytest.raises(BundleError, match=r"device .*: cannot hold the network .*; set models.device to cpu"):
        TorchEngine(tiny.model("fp32"), tokenizer, device="cuda:77")


def test_a_tokenizer_of_another_network_is_refused() -> None:
    other = Tokenizer(tiny.tokenizer_json(tiny.VOCABULARY[:-1]), max_tokens=tiny.MAX_TOKENS)
    with pytest.raises(BundleError, match=r"restore the tokenizer.json"):
        TorchEngine(tiny.model("fp32"), other, device="cpu")
