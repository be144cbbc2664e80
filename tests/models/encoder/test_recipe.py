"""Recipes: what is refused, what their hash stands for, and that the shipped ones can be read."""

from pathlib import Path

import pytest

from groundswell.errors import SettingsError
from models.bundle import RECIPE_FILE
from models.datasets import CORPORA
from models.encoder import recipe as recipes
from models.encoder.recipe import read_recipe, recipe_hash
from models.registry import PREFERRED
from models.registry import SHIPPED as SHIPPED_BUNDLES

SHIPPED = sorted((Path(recipes.__file__).parents[1] / "recipes").glob("*.toml"))
LEAST = """
name = "one"
language = "zh"
[encoder]
source = "somewhere"
title = "tiny"
licence = "none"
origin = "a test"
[data]
corpora = ["finfe"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_names_corpora_of_its_language(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.data.corpora
    assert {CORPORA[key].language for key in recipe.data.corpora} == {recipe.language}
    assert set(recipe.data.most) <= set(recipe.data.corpora)


@pytest.mark.parametrize("language", sorted(PREFERRED))
def test_a_shipped_bundle_is_of_the_shipped_recipe_of_its_language(language: str) -> None:
    encoder = SHIPPED_BUNDLES.open(PREFERRED[language]).encoder
    assert encoder is not None
    path = next(path for path in SHIPPED if path.stem == language)
    assert encoder.data[RECIPE_FILE].decode() == path.read_text(encoding="utf-8")
    assert encoder.card.recipe == recipe_hash(read_recipe(path))


def test_the_shipped_recipes_are_one_for_each_language_and_a_small_one() -> None:
    assert [path.stem for path in SHIPPED] == ["en", "smoke", "zh"]


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ("[optimizer]\nepochs = 3\n", "optimizer"),
        ("[optimiser]\nepoch = 3\n", "epoch"),
        ("[optimiser]\nepochs = 0\n", "epochs"),
        ("[optimiser]\nencoder_rate = 0.0\n", "encoder_rate"),
        ("[tuning]\ndepth = 'deep'\n", "deep"),
        ("[tuning]\ndropout = 1.5\n", "dropout"),
        ("[stopping]\ncheckpoint_every = '200'\n", "checkpoint_every"),
        ("[tasks.mood]\nweight = 1.0\n", "mood"),
        ("[tasks.news]\nweights = 1.0\n", "weights"),
        ("[distillation]\nteachers = 1\n", "distillation.teachers is 1"),
        ("[distillation]\nheads = ['gate']\n", "gate"),
        ("[tuning\n", "line"),
    ],
)
def test_a_slip_is_refused_by_file_and_place(tmp_path: Path, addition: str, words: str) -> None:
    path = written(tmp_path, LEAST + addition)
    with pytest.raises(SettingsError) as refused:
        read_recipe(path)
    assert str(path) in str(refused.value)
    assert words in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="models/recipes holds working ones"):
        read_recipe(tmp_path / "none.toml")


def test_what_is_not_named_has_the_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, LEAST))
    assert recipe.optimiser == recipes.Optimiser()
    assert recipe.tuning == recipes.Tuning()
    assert (recipe.seed, recipe.tasks) == (0, {})


def test_the_hash_is_of_values_and_not_of_how_they_are_written(tmp_path: Path) -> None:
    tasks = "[tasks.news]\nweight = 0.5\n", "[tasks.gate]\nweight = 0.1\n"
    plain = recipe_hash(read_recipe(written(tmp_path, LEAST + "".join(tasks))))
    other = recipe_hash(read_recipe(written(tmp_path, "# words\nseed = 0 # the default\n" + LEAST + "".join(reversed(tasks)))))
    assert plain == other
    assert len(plain) == 16
    assert int(plain, 16) >= 0


@pytest.mark.parametrize("addition", ["[optimiser]\nepochs = 5\n", "[tasks.news]\nweight = 0.5\n", "[rounding]\ncoarseness = 0.25\n"])
def test_another_value_anywhere_is_another_hash(tmp_path: Path, addition: str) -> None:
    assert recipe_hash(read_recipe(written(tmp_path, LEAST))) != recipe_hash(read_recipe(written(tmp_path, LEAST + addition)))
