"""From a recipe to a bundle that answers: the smoke recipe by the command, a user's Chinese checkpoint by the function behind it."""

import gzip
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from groundswell.cli import root  # noqa: E402
from groundswell.errors import SettingsError, UsageError  # noqa: E402
from groundswell.names import SENTIMENTS  # noqa: E402
from models import bundle as bundles  # noqa: E402
from models.answers import answers_of  # noqa: E402
from models.by_language import JudgingScorer  # noqa: E402
from models.card import bundle_metrics  # noqa: E402
from models.datasets import CORPORA, read_corpus  # noqa: E402
from models.encoder import workshop  # noqa: E402
from models.encoder.recipe import read_recipe  # noqa: E402
from models.evaluate import measure  # noqa: E402
from models.examples import Example  # noqa: E402
from models.registry import load_scorer  # noqa: E402
from models.score_file import score_lines  # noqa: E402
from models.synthetic import sentences  # noqa: E402
from models.taxonomy import LABEL_TO_TOPIC, NATIVE_TOPICS  # noqa: E402
from stream.operators.normalise import detect_language  # noqa: E402
from tests.tiny_encoder import FALLING, FILLER, RISING, toy_examples  # noqa: E402

SMOKE: Final = Path(bundles.__file__).parent / "recipes" / "smoke.toml"
LABELS: Final = ("公司", "债券")
WORDS: Final = {"bad": "negative", "flat": "neutral", "good": "positive"}  # the user's, and ours


# --- data --------------------------------------------------------------------------------------------------------------
def write_set(folder: Path, key: str, part: str, rows: Iterable[Mapping[str, Any]]) -> None:
    path = folder / part / f"{CORPORA[key].stem}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), mtime=0))


def english_rows(key: str, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    for number, example in enumerate(examples):
        if key == "tfnt":
            yield {"text": example.text, "native_topic": number % len(NATIVE_TOPICS)}
        elif key == "tfns":
            yield {"text": example.text, "sentiment": SENTIMENTS[example.sentiment or 0]}
        else:
            names = {target.name: SENTIMENTS[target.sentiment or 0] for target in example.targets or ()}
            yield {"text": example.text, "entities": [{"name": name, "sentiment": sentiment} for name, sentiment in names.items()]}


def english_data(folder: Path) -> Path:
    """The smoke recipe's three sets, small, in sentences that models.synthetic makes up."""
    drawn = iter(sentences(430, 5))
    for key in ("tfnt", "tfns", "sentfin"):
        for part, count in (("train", 120), ("dev", 20)):
            write_set(folder, key, part, english_rows(key, [next(drawn) for _ in range(count)]))
    return folder


def labelled(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Texts with one of two labels, that their first character tells."""
    chance = random.Random(seed)
    return [
        {"text": ("钢" if number % 2 else "银") + "".join(chance.choices(FILLER, k=8)), "labels": [LABELS[number % 2]]}
        for number in range(count)
    ]


def posts(count: int, *, seed: int) -> list[dict[str, Any]]:
    return [{"text": one.text, "sentiment": SENTIMENTS[one.sentiment or 0]} for one in toy_examples(count, seed=seed)]


def risks(count: int, *, seed: int) -> list[dict[str, Any]]:
    rows = [
        {"text": one.text, "event": "评级调整" if one.sentiment == 0 else "其他", "entity": "NaN"} for one in toy_examples(count, seed=seed)
    ]
    return [row | {"entity": row["text"][:2]} if row["event"] == "评级调整" else row for row in rows]


def chinese_data(folder: Path) -> Path:
    """Posts with a sentiment, headlines with labels, and headlines with a flag, each told by a character."""
    for key, make in (("finfe", posts), ("finnl", labelled), ("finese", risks)):
        write_set(folder, key, "train", make(100, seed=2))
        write_set(folder, key, "dev", make(20, seed=3))
    return folder


def own_file(path: Path, count: int = 100) -> Path:
    """A user's headlines, with the user's words for sentiments."""
    lines = [f"{one.text},{list(WORDS)[one.sentiment or 0]}" for one in toy_examples(count, seed=4)]
    path.write_text("\n".join(["headline,mood", *lines]) + "\n", encoding="utf-8")
    return path


def chinese_recipe(checkpoint: Path, own: Path, *, corpora: str = '"finfe", "finnl", "finese"') -> str:
    return f"""
name = "my-zh"
language = "zh"
[encoder]
source = "{checkpoint}"
title = "my own encoder"
licence = "mine"
origin = "my own disk"
vocabulary = "seen"
max_tokens = 32
[data]
corpora = [{corpora}]
held_out = 0.2
[[data.user]]
path = "{own}"
language = "zh"
kind = "news"
text = "headline"
sentiment = "mood"
map.sentiment = {{ {", ".join(f'{own} = "{ours}"' for own, ours in WORDS.items())} }}
[optimiser]
epochs = 5
tokens_per_batch = 320
encoder_rate = 3e-3
head_rate = 1e-2
token_head_rate = 5e-3
"""


# --- running -----------------------------------------------------------------------------------------------------------
@contextmanager
def threads_kept() -> Iterator[None]:
    """What a run sets for the whole process is set back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


def said(folder: Path, *arguments: str | Path, registry: Path | None = None) -> Result:
    """What the command line says, called in a folder."""
    with pytest.MonkeyPatch.context() as patch, threads_kept():
        patch.chdir(folder)
        if registry:
            patch.setenv("GROUNDSWELL_MODELS_REGISTRY", str(registry))
        return CliRunner().invoke(root, list(map(str, arguments)))


def train(folder: Path, *more: str | Path) -> Result:
    return said(folder, "train", "smoke.toml", "--data", "data", "--threads", "1", "--device", "cpu", *more)


@pytest.fixture(scope="module")
def smoke(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder in which the smoke recipe was run, from another encoder, and what the command said."""
    folder = tmp_path_factory.mktemp("smoke")
    english_data(folder / "data")
    text = SMOKE.read_text(encoding="utf-8")
    assert 'source = "encoders/minilm"' in text
    (folder / "smoke.toml").write_text(text.replace("encoders/minilm", str(checkpoint)), encoding="utf-8")
    return folder, train(folder)


def made(folder: Path, recipe_text: str) -> workshop.Made:
    """A recipe's bundle, made in a folder that holds data/."""
    (folder / "recipe.toml").write_text(recipe_text, encoding="utf-8")
    with threads_kept():
        return workshop.make(
            read_recipe(folder / "recipe.toml"),
            recipe_text=recipe_text,
            data=folder / "data",
            run=folder / "run",
            out=folder / "bundle",
            finder=lambda _: [],
            detect=detect_language,
            device="cpu",
            threads=1,
        )


@pytest.fixture(scope="module")
def chinese(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> workshop.Made:
    """What a user's Chinese checkpoint, fine-tuned for some steps, became."""
    folder = tmp_path_factory.mktemp("chinese")
    chinese_data(folder / "data")
    return made(folder, chinese_recipe(checkpoint, own_file(folder / "mine.csv")))


def scorer_of(bundle: Path) -> JudgingScorer:
    return load_scorer(bundle, finder=lambda _: [], digest=lambda _: b"")


def answers(scorer: JudgingScorer, *texts: str, **more: Any) -> list[dict[str, Any]]:
    lines = [json.dumps({"id": number, "text": text, **more}).encode() for number, text in enumerate(texts)]
    return [json.loads(line) for line in score_lines(lines, scorer, detect=detect_language, judge=scorer)]


# --- the smoke recipe, by the command ------------------------------------------------------------------------------------
def test_the_smoke_recipe_ends_with_figures_of_every_dev_part_and_the_place_of_the_bundle(smoke: tuple[Path, Result]) -> None:
    folder, result = smoke
    assert result.exit_code == 0, result.exception
    bundle = bundles.load(folder / "var/runs/smoke/bundle")
    figures = bundle.card.metrics
    for of in ("TFNT accuracy", "TFNT macro F1", "TFNS accuracy", "SEntFiN"):
        assert any(name.startswith(of) for name in figures), sorted(figures)
    lines = result.stdout.splitlines()
    for name, metric in figures.items():
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.value <= metric.high
        assert any(line.startswith(f"{name} ") and f"{metric.value:.4f}" in line for line in lines), name
    assert "var/runs/smoke/bundle" in lines[-1]
    assert "var/runs/smoke/report.html" in lines[-1]
    assert "step " in result.stderr
    assert "rounding to int8, calibrating, measuring" in result.stderr


def test_what_is_made_is_a_bundle_that_says_where_it_comes_from(smoke: tuple[Path, Result]) -> None:
    folder, _ = smoke
    bundle = bundles.load(folder / "var/runs/smoke/bundle")
    card = bundle.card
    assert bundle.data[bundles.RECIPE_FILE].decode() == (folder / "smoke.toml").read_text(encoding="utf-8")
    assert (card.name, card.language, card.base.licence) == ("smoke", "en", "Apache-2.0")
    assert set(card.heads) == {"topic", "post", "news", "gate", "target", "spans"}
    assert set(card.calibration) == set(card.heads) - {"spans"}
    assert sum(source.rows for source in card.sources) == 360
    about = bundle.data[bundles.ABOUT_FILE].decode()
    assert about.startswith("# smoke\n")
    assert scorer_of(bundle.directory).model_id in about
    report = (folder / "var/runs/smoke/report.html").read_text(encoding="utf-8")
    assert "<h1>smoke</h1>" in report
    assert "all-MiniLM-L6-v2" in report  # the recipe, as it was written


def test_the_cards_figures_are_those_that_anybody_measures_with_the_bundle(smoke: tuple[Path, Result]) -> None:
    folder, _ = smoke
    bundle = bundles.load(folder / "var/runs/smoke/bundle")
    examples = [example for key in ("tfnt", "tfns", "sentfin") for example in read_corpus(folder / "data", key, "dev")]
    found = bundle_metrics(measure(examples, answers_of(scorer_of(bundle.directory), examples, detect=detect_language)))
    assert found == bundle.card.metrics


def test_the_bundle_answers_english_whole_and_leaves_chinese_alone(smoke: tuple[Path, Result]) -> None:
    folder, _ = smoke
    scorer = scorer_of(folder / "var/runs/smoke/bundle")
    english, foreign = answers(scorer, "Bank profit falls", "银行业绩下滑", entities=["Bank", "Nobody"])
    assert english["p_negative"] + english["p_neutral"] + english["p_positive"] == pytest.approx(1, abs=1e-9)
    assert sum(english["native_topic_probs"]) == pytest.approx(1, abs=1e-9)
    assert [(entity["name"], entity["start"]) for entity in english["entities"]] == [("Bank", 0), ("Nobody", None)]
    assert english["model"] == scorer.model_id
    assert foreign["sentiment"] is None
    assert "'zh' is not scored" in foreign["reason"]


def test_given_again_the_command_trains_nothing_anew_and_makes_the_same_network(smoke: tuple[Path, Result]) -> None:
    folder, _ = smoke
    log = (folder / "var/runs/smoke/log.jsonl").read_bytes()
    result = train(folder, "--bundle", "second")
    assert result.exit_code == 0, result.exception
    assert (folder / "var/runs/smoke/log.jsonl").read_bytes() == log
    first, second = bundles.load(folder / "var/runs/smoke/bundle"), bundles.load(folder / "second")
    for name in (bundles.MODEL_FILE, bundles.TOKENIZER_FILE, bundles.RECIPE_FILE):
        assert first.data[name] == second.data[name], name
    assert first.card.calibration == second.card.calibration


def test_a_bundle_is_never_written_over(smoke: tuple[Path, Result]) -> None:
    folder, _ = smoke
    before = bundles.load(folder / "var/runs/smoke/bundle")
    result = train(folder)
    assert isinstance(result.exception, UsageError)
    assert "the folder exists already; name another one, or remove it" in str(result.exception)
    assert bundles.load(folder / "var/runs/smoke/bundle") == before


def test_what_was_trained_can_be_promoted_and_then_answers_groundswell_score(smoke: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = smoke
    (tmp_path / "lines.jsonl").write_text('{"id": 1, "title": "Bank profit falls"}\n{"id": 2, "title": "银行业绩下滑"}\n', encoding="utf-8")
    promoted = said(
        tmp_path, "models", "promote", folder / "var/runs/smoke/bundle", "--force", "--why", "a test", registry=tmp_path / "registry"
    )
    assert promoted.exit_code == 0, promoted.exception
    result = said(tmp_path, "score", "lines.jsonl", registry=tmp_path / "registry")
    assert result.exit_code == 0, result.exception
    english, chinese = map(json.loads, result.stdout.splitlines())
    assert scorer_of(folder / "var/runs/smoke/bundle").model_id in english["model"]
    assert english["sentiment"] in SENTIMENTS
    assert chinese["sentiment"] == "negative"  # by what ships: nothing else was promoted for Chinese


# --- what the command refuses --------------------------------------------------------------------------------------------
def test_a_recipe_or_a_set_that_is_not_there_is_named_before_anything_is_trained(smoke: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = smoke
    lost = said(tmp_path, "train", "lost.toml", "--data", folder / "data")
    assert isinstance(lost.exception, SettingsError)
    assert "recipe lost.toml: " in str(lost.exception)
    empty = said(tmp_path, "train", folder / "smoke.toml", "--data", tmp_path)
    assert isinstance(empty.exception, UsageError)
    assert CORPORA["tfnt"].stem in str(empty.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("corpora", "said_of_it"),
    [('"tfnt"', "'tfnt' is no zh corpus; use some of finfe"), ('"thucnews"', "research"), ('"nobodys"', "'nobodys' is no zh corpus")],
)
def test_a_set_that_does_not_fit_is_refused(checkpoint: Path, tmp_path: Path, corpora: str, said_of_it: str) -> None:
    with pytest.raises(UsageError, match=said_of_it):
        made(tmp_path, chinese_recipe(checkpoint, own_file(tmp_path / "mine.csv"), corpora=corpora))
    assert not (tmp_path / "run").exists()


# --- a user's Chinese checkpoint -----------------------------------------------------------------------------------------
def test_a_users_chinese_checkpoint_becomes_a_bundle_with_every_head_that_its_data_teach(chinese: workshop.Made) -> None:
    card = chinese.bundle.card
    assert (card.language, card.base.name, card.base.source) == ("zh", "my own encoder", "my own disk")
    assert set(card.heads) == {"labels", "post", "news", "gate", "flags", "target"}
    assert card.heads["labels"] == sorted(LABELS)
    assert set(card.thresholds_ppm) == {*card.heads["labels"], *card.heads["flags"]}
    assert all(200_000 <= card.thresholds_ppm[label] <= 700_000 for label in card.heads["labels"])
    assert {card.thresholds_ppm[flag] for flag in card.heads["flags"]} == {1_000_000}, "a few dozen lessons teach no flag"
    assert chinese.report.read_text(encoding="utf-8").count("<svg") > 0
    assert {source.name.split(":")[0] for source in card.sources} == {
        "mine", *(CORPORA[key].stem for key in ("finfe", "finnl", "finese")),
    }  # fmt: skip


def test_its_scores_of_chinese_texts_are_whole_and_right_where_the_texts_are_plain(chinese: workshop.Made) -> None:
    scorer = scorer_of(chinese.bundle.directory)
    assert scorer.languages == {"zh"}
    fresh = toy_examples(40, seed=9)
    found = answers(scorer, *(one.text for one in fresh))
    right = [answer["sentiment"] == SENTIMENTS[one.sentiment or 0] for answer, one in zip(found, fresh, strict=True)]
    assert sum(right) >= 34
    for answer in found:
        assert answer["p_negative"] + answer["p_neutral"] + answer["p_positive"] == pytest.approx(1, abs=1e-9)
        assert sum(answer["topic_probs"].values()) == pytest.approx(1, abs=1e-9)
        assert answer["native_topic"] is None
        assert set(answer["labels"]) <= set(LABEL_TO_TOPIC)


def test_labels_are_given_to_texts_that_speak_of_them(chinese: workshop.Made) -> None:
    rows = labelled(30, seed=11)
    found = answers(scorer_of(chinese.bundle.directory), *(row["text"] for row in rows))
    assert sum(answer["labels"] == row["labels"] for answer, row in zip(found, rows, strict=True)) >= 24


def test_a_piece_that_was_never_seen_is_not_carried_and_harms_nothing(checkpoint: Path, chinese: workshop.Made) -> None:
    kept = json.loads(chinese.bundle.data[bundles.TOKENIZER_FILE])["model"]["vocab"]
    whole = json.loads((checkpoint / "tokenizer.json").read_bytes())["model"]["vocab"]
    assert set(kept) < set(whole)
    assert set(RISING + FALLING) <= set(kept)
    (answer,) = answers(scorer_of(chinese.bundle.directory), "从未见过的字：鑫淼龘")
    assert answer["sentiment"] in SENTIMENTS


def test_a_set_that_is_learned_is_never_what_is_measured(chinese: workshop.Made) -> None:
    rows = {name: metric.rows for name, metric in chinese.bundle.card.metrics.items()}
    assert rows
    assert max(count or 0 for count in rows.values()) <= 3 * 20  # the dev parts hold 20 texts each


def test_a_users_file_lies_beside_the_recipe(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    own_file(folder / "mine.csv")
    (folder / "recipe.toml").write_text(chinese_recipe(checkpoint, Path("mine.csv"), corpora='"nobodys"'), encoding="utf-8")
    assert Path(read_recipe(folder / "recipe.toml").data.user[0].path) == folder / "mine.csv"


def test_headlines_alone_are_enough_to_train_on(checkpoint: Path, tmp_path: Path) -> None:
    """Nothing teaches the sentiment of posts then; a bundle has that head all the same."""
    write_set(tmp_path / "data", "finnl", "train", labelled(60, seed=2))
    write_set(tmp_path / "data", "finnl", "dev", labelled(10, seed=3))
    recipe = chinese_recipe(checkpoint, own_file(tmp_path / "mine.csv", 60), corpora='"finnl"').replace("epochs = 5", "epochs = 1")
    bundle = made(tmp_path, recipe).bundle
    assert answers(scorer_of(bundle.directory), "北谷大涨")[0]["sentiment"] in SENTIMENTS


def test_a_users_file_keeps_the_licence_that_the_recipe_states(chinese: workshop.Made) -> None:
    (mine,) = [source for source in chinese.bundle.card.sources if source.name == "mine"]
    assert mine.licence == "none stated"
