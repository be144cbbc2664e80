"""Loading a checkpoint, adapters, and which parameters each depth of training changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from groundswell.errors import SettingsError  # noqa: E402
from models.encoder.lessons import Heads  # noqa: E402
from models.encoder.network import LowRank, Network, add_adapters, load_encoder, merge_adapters  # noqa: E402
from models.encoder.prepare import network_of  # noqa: E402
from models.encoder.recipe import Tuning  # noqa: E402
from tests.tiny_encoder import LAYERS, WIDTH, a_recipe, a_run, an_optimiser  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = torch.tensor([[2, 60, 61, 62, 63, 3], [2, 70, 3, 0, 0, 0]])
MASK = torch.tensor([[1.0] * 6, [1.0] * 3 + [0.0] * 3])


def a_small_network(checkpoint: Path) -> Network:
    torch.manual_seed(1)
    network = Network(load_encoder(checkpoint), text_heads={"news": 3}, token_heads={"target": 3}, dropout=0.1)
    network.eval()
    return network


def stir_adapters(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, LowRank):
            torch.nn.init.normal_(module.up.weight)


def test_the_weights_of_the_folder_are_the_weights_of_the_encoder(checkpoint: Path) -> None:
    from safetensors.torch import load_file

    stored = load_file(checkpoint / "model.safetensors")
    loaded = load_encoder(checkpoint).state_dict()
    assert {name for name in stored if not name.startswith("pooler.")} == set(loaded)
    assert all(torch.equal(stored[name], value) for name, value in loaded.items())


def test_our_own_pass_over_the_blocks_is_the_encoders_own(checkpoint: Path) -> None:
    network = a_small_network(checkpoint)
    with torch.no_grad():
        expected = network.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
        states = network._run(network.lower(IDS, MASK), MASK, 0, None)
    torch.testing.assert_close(states * MASK[..., None], expected * MASK[..., None])


def test_padding_changes_no_answer(checkpoint: Path) -> None:
    network = a_small_network(checkpoint)
    with torch.no_grad():
        together, alone = network(IDS, MASK), network(IDS[1:, :3], None)
    torch.testing.assert_close(together.text["news"][1:], alone.text["news"])
    torch.testing.assert_close(together.token["target"][1:, :3], alone.token["target"])


def test_a_folder_with_pickled_weights_only_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint / "config.json", tmp_path)
    torch.save(load_encoder(checkpoint).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(SettingsError, match=r"name a folder with config\.json, tokenizer\.json and model\.safetensors"):
        load_encoder(tmp_path)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be loaded"):
        load_encoder(tmp_path)


def test_an_architecture_that_no_library_knows_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    config = json.loads((checkpoint / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "nobodys"}))
    with pytest.raises(SettingsError, match="nobodys"):
        load_encoder(tmp_path)


def test_an_architecture_with_other_blocks_is_refused(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, n_layers=1, n_heads=1, hidden_dim=8)).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match="'distilbert' is not supported; use one of bert"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("layers", [(0, 5), (2,), (-1,)])
def test_a_layer_that_the_checkpoint_lacks_is_refused(checkpoint: Path, layers: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match=r"are asked for, it has 2; name layers from 0"):
        load_encoder(checkpoint, layers=layers)


def test_layers_are_kept_in_the_order_that_is_asked_for(checkpoint: Path) -> None:
    whole, upper = load_encoder(checkpoint), load_encoder(checkpoint, layers=(1,))
    assert upper.config.num_hidden_layers == 1
    name = "attention.self.query.weight"
    assert torch.equal(upper.state_dict()[f"encoder.layer.0.{name}"], whole.state_dict()[f"encoder.layer.1.{name}"])


def test_fresh_adapters_change_no_answer(checkpoint: Path) -> None:
    network = a_small_network(checkpoint)
    with torch.no_grad():
        before = network(IDS, MASK)
        assert add_adapters(network.encoder, rank=4, alpha=8.0, dropout=0.0) == 6 * LAYERS
        after = network.eval()(IDS, MASK)
    assert torch.equal(before.text["news"], after.text["news"])


def test_merged_adapters_answer_as_they_did_beside_their_layers(checkpoint: Path) -> None:
    network = a_small_network(checkpoint)
    names = set(network.state_dict())
    with torch.no_grad():
        plain = network(IDS, MASK)
        add_adapters(network.encoder, rank=4, alpha=8.0, dropout=0.1)
        stir_adapters(network)
        beside = network.eval()(IDS, MASK)
        merge_adapters(network.encoder)
        merged = network.eval()(IDS, MASK)
    assert not torch.allclose(plain.text["news"], beside.text["news"], atol=1e-3)
    torch.testing.assert_close(merged.text["news"], beside.text["news"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(merged.token["target"], beside.token["target"], atol=1e-4, rtol=1e-4)
    assert set(network.state_dict()) == names


def test_fresh_heads_are_drawn_by_the_recipes_seed(checkpoint: Path) -> None:
    heads = Heads({"news": ("negative", "neutral", "positive")}, ("target",))
    one, again, other = (network_of(a_recipe(checkpoint, seed=seed), heads).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    assert not torch.equal(one["text.news.weight"], other["text.news.weight"])


@pytest.mark.parametrize(
    ("tuning", "learned"),
    [
        (Tuning(depth="heads"), ()),
        (Tuning(depth="top", top=1), ("encoder.encoder.layer.1.",)),
        (Tuning(depth="top", top=9), ("encoder.encoder.layer.",)),
        (Tuning(depth="adapters", top=1), (".down.", ".up.")),
        (Tuning(depth="full", embeddings=False), ("encoder.encoder.layer.",)),
        (Tuning(depth="full"), ("encoder.",)),
    ],
)
def test_training_changes_what_its_depth_names_and_nothing_else(
    checkpoint: Path, tmp_path: Path, tuning: Tuning, learned: tuple[str, ...]
) -> None:
    run = a_run(tmp_path, a_recipe(checkpoint, tuning=tuning, optimiser=an_optimiser(epochs=1)), count=40)
    before = {name: value.detach().clone() for name, value in run.network.named_parameters()}
    after: dict[str, Any] = dict(run.train().named_parameters())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    taught = ("text.news.", "text.gate.", "token.")  # no text teaches the sentiment of posts
    expected = {name for name in before if name.startswith(taught) or any(part in name for part in learned)}
    assert changed == expected
    if tuning.depth == "adapters":
        assert all(".layer.1." in name for name in changed if name.startswith("encoder."))
    assert after["text.news.weight"].shape == (3, WIDTH)
