"""groundswell models: list, show, compare, promote, rollback, as other programs call them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.model_bundles import a_linear, an_encoder

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("Lender files for bankruptcy after heavy losses", "Retailer beats forecasts and raises its outlook", "银行业绩下滑，亏损扩大")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry that does not exist yet, bundles that could go into it, and texts."""
    a_linear(tmp_path / "contrary", slope=-1.0)
    lines = [json.dumps({"id": number, "title": title}, ensure_ascii=False) + "\n" for number, title in enumerate(TEXTS)]
    (tmp_path / "texts.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def models(*arguments: str, folder: Path, registry: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GROUNDSWELL")}
    environment |= {"PYTHONPATH": str(ROOT), "GROUNDSWELL_MODELS_REGISTRY": str(folder / "registry") if registry else "", **variables}
    command = [sys.executable, "-m", "groundswell", "models", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600, check=False)


def rows(folder: Path) -> dict[str, dict[str, str | None]]:
    done = models("list", "--format", "jsonl", folder=folder)
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_list_names_what_ships_and_creates_nothing(folder: Path) -> None:
    found = rows(folder)
    assert found["linear"]["languages"] == "en zh"
    assert found["linear"]["fault"] is None
    assert sorted(" ".join(row["in force for"] or "" for row in found.values()).split()) == ["en", "zh"]
    assert not (folder / "registry").exists()


def test_promoting_a_folder_copies_it_puts_it_in_force_and_can_be_taken_back(folder: Path) -> None:
    done = models("promote", "./contrary", "--force", "--why", "for a test", folder=folder)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[1:3] for line in done.stdout.splitlines()] == [
        ["promote", "en: what ships with the package -> contrary by " + _by(done.stdout) + ": for a test"],
        ["promote", "zh: what ships with the package -> contrary by " + _by(done.stdout) + ": for a test"],
    ]
    assert rows(folder)["contrary"]["in force for"] == "en zh"

    again = models("promote", "contrary", folder=folder)
    assert (again.returncode, again.stdout) == (0, "contrary is in force already; nothing was changed\n")

    shown = models("show", "contrary", folder=folder)
    assert shown.returncode == 0
    assert "in force for: en zh" in shown.stdout
    assert "trained on" in shown.stdout
    assert "for a test" in shown.stdout

    back = models("rollback", "--language", "zh", folder=folder)
    assert back.returncode == 0
    assert "zh: contrary -> what ships with the package" in back.stdout
    assert rows(folder)["contrary"]["in force for"] == "en"
    assert models("rollback", folder=folder).returncode == 0
    assert rows(folder)["contrary"]["in force for"] is None
    empty = models("rollback", folder=folder)
    assert empty.returncode == 2
    assert "no promotion stands" in empty.stderr


def _by(said: str) -> str:
    return said.splitlines()[0].partition(" by ")[2].partition(":")[0]


def test_a_promoted_model_answers_groundswell_score_and_linear_can_still_be_asked_for(folder: Path) -> None:
    assert models("promote", "./contrary", "--force", folder=folder).returncode == 0
    variables = {"PYTHONPATH": str(ROOT), "GROUNDSWELL_MODELS_REGISTRY": str(folder / "registry")}
    command = [sys.executable, "-m", "groundswell", "score", "texts.jsonl"]
    said = []
    for more in ({}, {"GROUNDSWELL_MODELS_USE": "linear"}):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | variables | more, check=True)
        said.append([json.loads(line) for line in done.stdout.splitlines()])
    assert said[0][0]["sentiment"] != "negative"
    assert said[1][0]["sentiment"] == "negative"
    assert said[0][0]["model"] != said[1][0]["model"]


def test_compare_shows_agreement_flips_moves_and_speed(folder: Path) -> None:
    done = models("compare", "linear", "./contrary", "texts.jsonl", "--limit", "2", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "3 lines, 3 scored by both" in done.stdout
    for said in ("documents/s", "agreement", "sentiment, linear down, ./contrary across", "probability moves by", "distance"):
        assert said in done.stdout
    found = json.loads(models("compare", "linear", "./contrary", "texts.jsonl", "--format", "json", folder=folder).stdout)
    assert {one["field"]: one["share"] for one in found["agreement"]}["topic"] == 1.0
    assert [side["scored"] for side in found["sides"]] == [3, 3]
    assert all(side["per_second"] > 0 for side in found["sides"])


def test_a_bundle_that_is_broken_is_listed_with_its_fault_and_never_promoted(folder: Path) -> None:
    assert models("promote", "./contrary", "--force", "--language", "zh", folder=folder).returncode == 0
    tensors = folder / "registry/bundles/contrary/en.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:100])
    assert "promises sha256" in (rows(folder)["contrary"]["fault"] or "")
    done = models("promote", "contrary", "--force", folder=folder)
    assert done.returncode == 1
    assert "promises sha256" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_network_that_cannot_be_run_is_refused_before_anything_changes(folder: Path) -> None:
    an_encoder(folder / "noise", options={"max_tokens": 96})
    done = models("promote", "./noise", "--force", folder=folder)
    assert done.returncode == 1, done.stderr
    assert "noise/" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "registry").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "nothing"), 1, "bundle 'nothing': is not in registry"),
        (("show", "./nothing"), 1, "a bundle has a card"),
        (("promote", "nothing"), 1, "bundle 'nothing': is not in registry"),
        (("promote", "./contrary"), 2, "is worse than"),
        (("promote", "linear", "--language", "fr"), 2, "Invalid value for '--language'"),
        (("compare", "linear", "linear", "texts.jsonl"), 2, "two different bundles are needed"),
        (("compare", "linear", "nothing", "texts.jsonl"), 1, "bundle 'nothing'"),
        (("compare", "linear", "./contrary", "empty.jsonl"), 2, "has no lines"),
    ],
)
def test_an_error_is_a_line_with_the_next_step(arguments: tuple[str, ...], code: int, said: str, folder: Path) -> None:
    (folder / "empty.jsonl").write_text("\n")
    a_linear(folder / "contrary", slope=-1.0, metrics={"TFNT accuracy": 0.5})
    done = models(*arguments, folder=folder)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_folder_of_its_own_nothing_can_be_promoted(folder: Path) -> None:
    done = models("promote", "linear", folder=folder, registry=False)
    assert done.returncode == 2
    assert "set models.registry to a folder of your own" in done.stderr


def test_a_setting_that_leaves_promotions_unused_is_pointed_out(folder: Path) -> None:
    done = models("promote", "./contrary", "--force", folder=folder, GROUNDSWELL_MODELS_USE="linear")
    assert done.returncode == 0
    assert "models.use is linear" in done.stderr
