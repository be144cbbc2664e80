"""The end of a run: what is bundled answers as the network that was trained, calibrated on what it did not see."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from groundswell.errors import UsageError  # noqa: E402
from models import bundle as bundles  # noqa: E402
from models.bundle import EncoderBundle  # noqa: E402
from models.encoder.engine import OnnxEngine, Readout  # noqa: E402
from models.encoder.finish import finish  # noqa: E402
from models.encoder.network import LowRank, Network, add_adapters  # noqa: E402
from models.encoder.prepare import Prepared, network_of, prepare  # noqa: E402
from models.encoder.recipe import Data, Recipe  # noqa: E402
from models.encoder.tokens import Tokenizer  # noqa: E402
from models.user_files import UserFile  # noqa: E402
from stream.operators.normalise import detect_language  # noqa: E402
from tests.models.encoder.test_workshop import WORDS, chinese_data, own_file  # noqa: E402
from tests.tiny_encoder import a_recipe, toy_examples  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = [one.text for one in toy_examples(30, seed=8)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = chinese_data(tmp_path_factory.mktemp("data"))
    own_file(folder / "mine.csv")
    return folder


def stage(checkpoint: Path, data: Path, **parts: Any) -> tuple[Recipe, Prepared, Network]:
    """A recipe, what it learns from, and a network that has learned nothing: its answers are as good as any to be kept."""
    mine = UserFile(
        path=str(data / "mine.csv"), language="zh", kind="news", text="headline", sentiment="mood", map={"sentiment": {**WORDS}}
    )
    recipe = a_recipe(checkpoint, data=Data(corpora=("finfe", "finnl"), user=(mine,), held_out=0.4), **parts)
    prepared = prepare(recipe, data)
    network = network_of(recipe, prepared.heads)
    with torch.no_grad():  # fresh heads hardly say anything; let texts differ
        for head in [*network.text.values(), *network.token.values()]:
            for value in head.parameters():
                value.mul_(3)
    return recipe, prepared, network.eval()


def finished(recipe: Recipe, prepared: Prepared, network: Network, *, data: Path, out: Path) -> EncoderBundle:
    bundle, _ = finish(
        network, recipe=recipe, recipe_text='name = "toy"\n', prepared=prepared, data=data, out=out, finder=lambda _: [],
        detect=detect_language,
    )  # fmt: skip
    return bundle


def by_the_bundle(bundle: EncoderBundle, texts: list[str]) -> Readout:
    tokenizer = Tokenizer(bundle.data[bundles.TOKENIZER_FILE], max_tokens=int(bundle.card.options["max_tokens"]))
    return OnnxEngine(bundle.data[bundles.MODEL_FILE], tokenizer, threads=1).run(texts)


def by_the_network(network: Network, prepared: Prepared, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Text logits [n, C], one text at a time."""
    rows = []
    with torch.no_grad():
        for one in prepared.tokenizer.encode(texts):
            said = network(torch.from_numpy(one.ids[None].astype(np.int64)), None)
            rows.append(torch.cat([said.text[head] for head in prepared.heads.text], dim=1)[0].numpy())
    found: np.ndarray[Any, np.dtype[np.float32]] = np.stack(rows)
    return found


def test_the_bundle_says_what_the_network_said(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    recipe, prepared, network = stage(checkpoint, data)
    expected = by_the_network(network, prepared, TEXTS)
    found = by_the_bundle(finished(recipe, prepared, network, data=data, out=tmp_path / "b"), TEXTS).text
    assert np.sqrt(np.square(found - expected).mean()) < 0.05 * expected.std()


def test_adapters_are_folded_in(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    recipe, prepared, network = stage(checkpoint, data)
    plain = by_the_network(network, prepared, TEXTS)
    add_adapters(network.encoder, rank=4, alpha=8.0, dropout=0.1)
    for module in network.modules():
        if isinstance(module, LowRank):
            torch.nn.init.normal_(module.up.weight)
    expected = by_the_network(network.eval(), prepared, TEXTS)
    found = by_the_bundle(finished(recipe, prepared, network, data=data, out=tmp_path / "b"), TEXTS).text
    assert np.sqrt(np.square(found - expected).mean()) < 0.1 * expected.std()
    assert np.sqrt(np.square(found - plain).mean()) > 0.3 * expected.std()


def test_calibrated_on_what_is_held_out_a_head_says_yes_as_often_as_it_should(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    """Platt's property, of the gate: over the texts that it was fitted on, the mean of its probabilities is the share of headlines."""
    recipe, prepared, network = stage(checkpoint, data)
    bundle = finished(recipe, prepared, network, data=data, out=tmp_path / "b")
    column = sum(len(columns) for head, columns in prepared.heads.text.items() if head in ("labels", "post", "news"))
    assert list(prepared.heads.text)[:4] == ["labels", "post", "news", "gate"]
    margins = by_the_bundle(bundle, [example.text for example in prepared.held_out]).text[:, column].astype(np.float64)
    gate = bundle.card.calibration["gate"]
    shares = 1 / (1 + np.exp(-(margins * gate.slopes[0] + gate.intercepts[0])))
    news = np.mean([example.kind == "news" for example in prepared.held_out])
    assert abs(shares.mean() - news) < 0.02
    assert abs((1 / (1 + np.exp(-margins))).mean() - news) > 0.05  # it was not so before


def test_a_folder_that_exists_is_refused_and_left_as_it_is(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    recipe, prepared, network = stage(checkpoint, data)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="the folder exists already; name another one, or remove it"):
        finished(recipe, prepared, network, data=data, out=tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["mine.txt"]
