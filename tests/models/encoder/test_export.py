"""From tensors to the files of a bundle: a smaller vocabulary and int8 change what has to be stored, not what is answered."""

import json

import numpy as np
import pytest

from groundswell.errors import BundleError
from models import bundle as bundles
from models.encoder.engine import OnnxEngine, Readout
from models.encoder.export import export
from models.encoder.tokens import Tokenizer, counts
from tests import tiny_graph as tiny

SEEN = ["bank falls", "profit of a bank", "跌涨行", "$abc rises 5%", "@some_one: x."]


def run(model: bytes, tokenizer: bytes, texts: list[str]) -> Readout:
    return OnnxEngine(model, Tokenizer(tokenizer, max_tokens=tiny.MAX_TOKENS), threads=1).run(texts)


def seen_pieces() -> list[int]:
    return list(map(int, np.flatnonzero(counts(tiny.tokenizer(), SEEN))))


def test_a_network_in_float32_answers_what_numpy_computes() -> None:
    model, tokenizer = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN, precision="fp32")
    assert tokenizer == tiny.tokenizer_json()
    readout = run(model, tokenizer, SEEN)
    for row, one in enumerate(tiny.tokenizer().encode(SEEN)):
        np.testing.assert_allclose(readout.text[row], tiny.answers(tiny.state(), one.ids)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_leaving_pieces_out_changes_no_bit_of_what_is_said_of_texts_without_them(precision: str) -> None:
    whole = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN, precision=precision)
    small = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN, keep=seen_pieces(), precision=precision)
    assert len(small[0]) < len(whole[0])
    assert len(json.loads(small[1])["model"]["vocab"]) < len(tiny.VOCABULARY)
    first, second = run(*whole, SEEN), run(*small, SEEN)
    for one, other in ((first.text, second.text), (first.tokens, second.tokens), (first.offsets, second.offsets)):
        assert one.tobytes() == other.tobytes()


def test_int8_is_what_is_made_unless_something_else_is_asked_for() -> None:
    model, tokenizer = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN)
    assert OnnxEngine(model, Tokenizer(tokenizer, max_tokens=8)).engine_id == "onnxruntime-int8"


def test_the_same_network_gives_the_same_bytes() -> None:
    first, second = (export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN, keep=seen_pieces()) for _ in range(2))
    assert first == second


def test_coarser_steps_pack_into_fewer_bytes_and_answers_stay_near() -> None:
    """A quarter of the root mean square, as recipes ask for it: logits move by less than a tenth of how far they lie apart."""
    texts = tiny.some_texts(60, seed=4)
    exact = run(*export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), SEEN, precision="fp32"), texts)
    fine = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), texts)
    coarse = export(tiny.state(), tiny.SPEC, tiny.tokenizer_json(), texts, coarseness=0.25)
    assert len(bundles.pack(coarse[0])) < len(bundles.pack(fine[0]))
    moved = [np.sqrt(np.square(run(*one, texts).tokens - exact.tokens).mean()) / exact.tokens.std() for one in (fine, coarse)]
    assert moved[0] < 0.02
    assert moved[0] < moved[1] < 0.1


def test_a_tensor_that_is_missing_is_named_before_anything_is_made() -> None:
    tensors = tiny.state()
    del tensors["encoder.encoder.layer.1.output.dense.bias"]
    with pytest.raises(BundleError, match=r"encoder\.encoder\.layer\.1\.output\.dense\.bias"):
        export(tensors, tiny.SPEC, tiny.tokenizer_json(), SEEN)
