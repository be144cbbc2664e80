"""The engine: any texts in, logits out in order, the same to the bit however they were put together."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import BundleError
from models.encoder.engine import OnnxEngine, Readout, runs_of
from models.encoder.tokens import Encodings, Tokenizer
from tests import tiny_graph as tiny

TEXTS = tiny.some_texts(120)


class CountingTokenizer(Tokenizer):
    """Remembers what it was asked to read."""

    def encode(self, texts: Sequence[str]) -> Encodings:
        self.asked = [*getattr(self, "asked", []), *texts]
        return super().encode(texts)


def rows(readout: Readout) -> list[bytes]:
    """Everything that is said of each text, as bytes."""
    parts = zip(readout.starts[:-1].tolist(), readout.starts[1:].tolist(), strict=True)
    return [
        text.tobytes() + readout.tokens[first:last].tobytes() + readout.offsets[first:last].tobytes()
        for text, (first, last) in zip(readout.text, parts, strict=True)
    ]


def described(**facts: str) -> bytes:
    """The tiny network with some of what it says of itself replaced; an empty value takes a fact away."""
    model = onnx.load_from_string(tiny.model("int8"))
    kept = {entry.key: entry.value for entry in model.metadata_props} | facts
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value})
    found: bytes = model.SerializeToString()
    return found


# --- answers -------------------------------------------------------------------------------------------------------
def test_no_text_has_an_answer_of_no_rows() -> None:
    readout = tiny.engine().run([])
    assert readout.text.shape == (0, sum(tiny.COLUMNS.values()))
    assert readout.starts.tolist() == [0]
    assert readout.tokens.shape == (0, 3 * len(tiny.SPEC.token_heads))
    assert readout.offsets.shape == (0, 2)


@pytest.mark.parametrize("text", ["", " ", "bank falls", "跌", "\x00", "\ud800", "🚀", "x" * 100_000, "word " * 5_000])
def test_any_one_text_is_answered(text: str) -> None:
    readout = tiny.engine().run([text])
    assert len(readout.text) == 1
    assert 2 <= readout.starts[-1] <= tiny.MAX_TOKENS
    assert np.isfinite(readout.text).all()
    assert np.isfinite(readout.tokens).all()


def test_texts_of_many_lengths_come_out_in_order_with_what_numpy_computes() -> None:
    readout = tiny.engine("fp32").run(TEXTS)
    encoded = tiny.tokenizer().encode(TEXTS)
    assert len(set(encoded.lengths.tolist())) > 10
    np.testing.assert_array_equal(readout.starts, encoded.starts)
    np.testing.assert_array_equal(readout.offsets, encoded.offsets)
    for row, one in enumerate(encoded):
        text, tokens = tiny.answers(tiny.state(), one.ids)
        np.testing.assert_allclose(readout.text[row], text, rtol=0, atol=1e-5)
        np.testing.assert_allclose(readout.tokens[readout.starts[row] : readout.starts[row + 1]], tokens, rtol=0, atol=1e-5)


def test_a_text_that_occurs_twice_is_read_once_and_answered_twice() -> None:
    tokenizer = CountingTokenizer(tiny.tokenizer_json(), max_tokens=tiny.MAX_TOKENS)
    engine = OnnxEngine(tiny.model("int8"), tokenizer, threads=1)
    found = rows(engine.run(["bank falls", "bank rises", "bank falls", "bank falls"]))
    assert tokenizer.asked == ["bank falls", "bank rises"]
    assert found[0] == found[2] == found[3] != found[1]
    assert found[:2] == rows(engine.run(["bank falls", "bank rises"]))


# --- the same to the bit -------------------------------------------------------------------------------------------
def test_an_answer_does_not_depend_on_the_other_texts_or_their_order() -> None:
    engine = tiny.engine()
    together = rows(engine.run(TEXTS))
    assert [rows(engine.run([text]))[0] for text in TEXTS[:40]] == together[:40]
    shuffled = list(range(len(TEXTS)))
    random.Random(2).shuffle(shuffled)
    assert rows(engine.run([TEXTS[place] for place in shuffled])) == [together[place] for place in shuffled]


@pytest.mark.parametrize(("threads", "tokens_per_run"), [(1, 1), (1, 10_000), (3, 64), (8, 512)])
def test_neither_threads_nor_the_size_of_a_run_change_a_bit(threads: int, tokens_per_run: int) -> None:
    expected = rows(tiny.engine().run(TEXTS))
    engine = tiny.engine(threads=threads, tokens_per_run=tokens_per_run)
    assert rows(engine.run(TEXTS)) == expected


def test_an_engine_can_be_asked_by_several_threads_at_once() -> None:
    engine = tiny.engine(threads=2)
    expected = rows(engine.run(TEXTS))
    parts = [TEXTS[first::4] for first in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = [rows(readout) for readout in pool.map(engine.run, parts)]
    assert found == [expected[first::4] for first in range(4)]


@given(st.lists(st.integers(2, 40), max_size=60), st.integers(1, 200))
@settings(max_examples=60)
def test_texts_that_share_a_run_are_of_one_length_and_few_enough(lengths: list[int], tokens: int) -> None:
    found = [run.tolist() for run in runs_of(np.array(lengths, np.int64), tokens)]
    assert sorted(place for run in found for place in run) == list(range(len(lengths)))
    for run in found:
        assert len({lengths[place] for place in run}) == 1
        assert len(run) == 1 or len(run) * lengths[run[0]] <= tokens


# --- what it is, and what it refuses -------------------------------------------------------------------------------
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_engine_says_what_it_runs(precision: tiny.Precision) -> None:
    engine = tiny.engine(precision)
    assert engine.spec == tiny.SPEC
    assert engine.engine_id == f"onnxruntime-{precision}"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(b"", "cannot be loaded", id="nothing"),
        pytest.param(b"\x80\x04\x95 a pickle", "cannot be loaded", id="a pickle"),
        pytest.param(tiny.model("int8")[:5_000], "cannot be loaded", id="half a network"),
        pytest.param(described(format="elsewhere-9"), "its format is 'elsewhere-9'", id="another format"),
        pytest.param(described(format=""), "its format is None", id="no format"),
        pytest.param(described(specification=""), "its description is not of format", id="no specification"),
        pytest.param(described(specification="{}"), "its description is not of format", id="half a specification"),
        pytest.param(described(vocabulary="many"), "its description is not of format", id="no number of pieces"),
    ],
)
def test_bytes_that_are_no_such_network_are_refused(model: bytes, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        OnnxEngine(model, tiny.tokenizer(), threads=1)


def test_the_tokenizer_of_another_network_is_refused() -> None:
    smaller = Tokenizer(tiny.tokenizer_json(tiny.VOCABULARY[:-1]), max_tokens=tiny.MAX_TOKENS)
    longer = Tokenizer(tiny.tokenizer_json(), max_tokens=tiny.MAX_TOKENS + 1)
    for tokenizer in (smaller, longer):
        with pytest.raises(BundleError, match=r"made for 69 pieces and up to 24 tokens, the tokenizer has .*; restore the tokenizer\.json"):
            OnnxEngine(tiny.model("int8"), tokenizer, threads=1)


def test_a_shorter_text_than_the_network_could_read_may_be_asked_for() -> None:
    short = Tokenizer(tiny.tokenizer_json(), max_tokens=8)
    readout = OnnxEngine(tiny.model("int8"), short, threads=1).run(["a " * 50])
    assert readout.starts.tolist() == [0, 8]
