"""Encoder bundles on disk: what is written comes back, and nothing that is wrong is loaded; each refusal says what to do."""

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from groundswell.errors import BundleError
from models import linear
from models.bundle import (
    CARD_BYTES_MAX,
    FORMAT,
    Calibration,
    EncoderCard,
    FileFact,
    Metric,
    content_hash,
    load,
    model_id,
    pack,
    read_card,
    save,
)
from models.formats import open_bundle
from models.scorer import LINEAR_BUNDLES
from models.taxonomy import RISK_FLAGS
from tests.model_bundles import FILES, HEADS, a_card, an_encoder, change_card, relist


def a_zip() -> bytes:
    """What torch.save writes, in outline."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weights": 1}))
    return out.getvalue()


# --- writing and reading -----------------------------------------------------------------------------------------------------
def test_a_bundle_comes_back_as_it_was_written(tmp_path: Path) -> None:
    tensors = safetensors.numpy.save({"weights": np.zeros(3, np.float32)})
    an_encoder(tmp_path / "tiny", files={"features.safetensors": tensors}, error_matrix={"post": [[0.9, 0.1], [0.2, 0.8]]})
    found = load(tmp_path / "tiny")
    assert found.card == read_card(tmp_path / "tiny")
    assert dict(found.data) == {**FILES, "features.safetensors": tensors}
    assert found.bytes == sum(map(len, found.data.values()))
    assert found.card.format == FORMAT
    assert set(found.card.files) == {*FILES, "features.safetensors"}


def test_a_file_may_be_given_by_its_place(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.bin"
    place.write_bytes(FILES["model.onnx"])
    card = save(tmp_path / "tiny", a_card(), files={**FILES, "model.onnx": place})
    assert load(tmp_path / "tiny").data["model.onnx"] == FILES["model.onnx"]
    assert card.files["model.onnx"].bytes == len(FILES["model.onnx"])


def test_a_packed_file_is_handed_on_unpacked_under_its_own_name(tmp_path: Path) -> None:
    files = {name: data for name, data in FILES.items() if name != "model.onnx"}
    card = save(tmp_path / "tiny", a_card(), files={**files, "model.onnx.gz": pack(FILES["model.onnx"])})
    assert load(tmp_path / "tiny").data["model.onnx"] == FILES["model.onnx"]
    assert (tmp_path / "tiny/model.onnx.gz").stat().st_size == card.files["model.onnx.gz"].bytes
    assert gzip.decompress((tmp_path / "tiny/model.onnx.gz").read_bytes()) == FILES["model.onnx"], "any gzip can read it"


def test_few_distinct_values_pack_into_few_bits(tmp_path: Path) -> None:
    steps = np.rint(np.random.default_rng(0).standard_normal(1 << 16) * 4).astype(np.int8)
    assert len(pack(steps.tobytes())) / len(steps) * 8 < 4.2, "the entropy is 4.05 bits"


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        pytest.param(b"no gzip at all", "is one gzip member", id="not packed"),
        pytest.param(pack(FILES["model.onnx"])[:-4], "ends early", id="cut short before it was listed"),
        pytest.param(pack(FILES["model.onnx"]) + b"more", "nothing after it", id="something after it"),
        pytest.param(pack(pickle.dumps({"w": 1})), "pickles and zip archives", id="a pickle inside"),
    ],
)
def test_a_packed_file_is_checked_inside_too(packed: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=said):
        an_encoder(tmp_path / "tiny", files={"extra.onnx.gz": packed})


def test_a_file_is_not_listed_both_packed_and_unpacked(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"packed or unpacked, not both; got .*model.onnx"):
        an_encoder(tmp_path / "tiny", files={"model.onnx.gz": pack(FILES["model.onnx"])})


def test_a_bundle_is_never_written_over(tmp_path: Path) -> None:
    an_encoder(tmp_path / "tiny")
    with pytest.raises(BundleError, match="written once and never changed"):
        an_encoder(tmp_path / "tiny", precision="fp32")
    assert read_card(tmp_path / "tiny").precision == "int8"


@pytest.mark.parametrize(
    ("overrides", "files"),
    [
        pytest.param({"created": "yesterday"}, {}, id="a card that is refused"),
        pytest.param({}, {"tokenizer.json": b"{"}, id="a file that is refused"),
        pytest.param({}, {"weights.pt": b""}, id="a name that is refused"),
        pytest.param({}, {"../escape.json": b"{}"}, id="a file outside the folder"),
    ],
)
def test_what_would_not_load_is_not_written_at_all(overrides: dict[str, Any], files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        an_encoder(tmp_path / "made" / "tiny", files=files, **overrides)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_bundle_whose_writing_is_cut_short_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "made" / "tiny", a_card(), files={**FILES, "labels.csv": tmp_path / "missing.csv"})
    assert list((tmp_path / "made").iterdir()) == []


# --- what is refused ---------------------------------------------------------------------------------------------------------
def cut_short(folder: Path) -> None:
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])


def one_bit(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[100] ^= 1
    (folder / "model.onnx").write_bytes(data)


def linked(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere.onnx")


def written(name: str, data: bytes, *, listed: bool = False) -> Callable[[Path], None]:
    """A file's content replaced; `listed`: the card vouches for the new content."""

    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(data)
        if listed:
            relist(folder)

    return spoil


def carded(**change: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        change_card(folder, change)

    return spoil


def with_calibration(**change: Any) -> Callable[[Path], None]:
    """The calibration of the gate replaced in part."""

    def spoil(folder: Path) -> None:
        card = msgspec.json.decode((folder / "bundle.json").read_bytes())
        card["calibration"]["gate"] |= change
        change_card(folder, {"calibration": card["calibration"]})

    return spoil


WITHOUT_GATE = {head: names for head, names in HEADS["en"].items() if head != "gate"}

REFUSED: list[Any] = [
    pytest.param(one_bit, "promises sha256", id="wrong hash"),
    pytest.param(cut_short, r"got \d+ \(truncated\)", id="truncated file"),
    pytest.param(written("model.onnx", b""), r"got 0 \(truncated\)", id="empty file"),
    pytest.param(written("model.onnx", FILES["model.onnx"] + b"x"), r"got \d+ \(altered\)", id="longer file"),
    pytest.param(written("model.onnx", pickle.dumps({"w": 1}), listed=True), "pickles and zip archives", id="pickle for the network"),
    pytest.param(written("model.onnx", a_zip(), listed=True), "pickles and zip archives", id="torch archive for the network"),
    pytest.param(written("extra.safetensors", pickle.dumps([1]), listed=True), "pickles and zip", id="pickle for safetensors"),
    pytest.param(written("extra.safetensors", b"\xff" * 64, listed=True), "is a safetensors file", id="noise for safetensors"),
    pytest.param(written("extra.safetensors", b"", listed=True), "is a safetensors file", id="nothing for safetensors"),
    pytest.param(
        written("model.onnx", b"\x08\x08" + b"\x0a\x08location\x12\x0b/etc/passwd", listed=True), "holds its weights itself",
        id="weights in another file",
    ),
    pytest.param(written("tokenizer.json", b"\x00\x01", listed=True), "is JSON", id="tokens that are not JSON"),
    pytest.param(written("recipe.toml", b"seed = ", listed=True), "is TOML", id="a recipe that is not TOML"),
    pytest.param(lambda folder: (folder / "model.onnx").unlink(), "can be read; got No such file", id="missing file"),
    pytest.param(linked, "is a plain file", id="a link"),
    pytest.param(lambda folder: (folder / "bundle.json").unlink(), "can be read; got No such file", id="no card"),
    pytest.param(written("bundle.json", b"\x80\x04pickle"), "the card is a JSON object", id="a card that is not JSON"),
    pytest.param(written("bundle.json", b"[]"), "the card is a JSON object; got list", id="a card that is no object"),
    pytest.param(written("bundle.json", b"{" * 100_000), "the card is a JSON object", id="a card that never ends"),
    pytest.param(written("bundle.json", b" " * (CARD_BYTES_MAX + 1)), "has at most", id="a card of megabytes"),
    pytest.param(written("bundle.json", b"{}"), "format is 'groundswell-encoder-1' in this version; got None", id="a card without format"),
    pytest.param(carded(format="elsewhere-9"), "got 'elsewhere-9'", id="another format"),
    pytest.param(carded(taxonomy="0" * 16), "the taxonomy is", id="another taxonomy"),
    pytest.param(carded(heads=WITHOUT_GATE), "got no gate", id="missing head"),
    pytest.param(carded(heads=HEADS["en"] | {"post": ["positive", "neutral", "negative"]}), "columns of post", id="another order"),
    pytest.param(carded(heads=HEADS["en"] | {"topic": HEADS["en"]["topic"][:-1]}), "columns of topic", id="a topic too few"),
    pytest.param(carded(heads=HEADS["en"] | {"mood": ["good"]}), "heads are among", id="an unknown head"),
    pytest.param(carded(heads=HEADS["en"] | {"flags": [RISK_FLAGS[0], RISK_FLAGS[0]]}), "columns of flags", id="a flag twice"),
    pytest.param(carded(heads=HEADS["en"] | {"flags": []}), "columns of flags", id="a head without columns"),
    pytest.param(carded(calibration={}), "every head has its calibration", id="no calibration"),
    pytest.param(with_calibration(slopes=[1.0, 1.0]), r"gate.slopes has one number per column; got 2 for 1", id="slopes too many"),
    pytest.param(with_calibration(intercepts=[]), "calibration.gate.intercepts", id="no intercepts"),
    pytest.param(with_calibration(extra={"bend": [1.0]}), r"gate.extra is empty in this version; got bend", id="numbers nobody knows"),
    pytest.param(with_calibration(link="tanh"), "the card has the fields", id="an unknown link"),
    pytest.param(carded(thresholds_ppm={"no such label": 1}), "thresholds_ppm are of the bundle's own", id="a threshold of no label"),
    pytest.param(carded(error_matrix={"post": [[1.0], [1.0, 2.0]]}), "is a rectangle", id="an error matrix with a gap"),
    pytest.param(carded(error_matrix={"post": [[-1.0]]}), "is a rectangle", id="a negative share"),
    pytest.param(carded(name="../up"), "name is 1 to 64", id="a name that is a path"),
    pytest.param(carded(language="fr"), "language is one of en, zh", id="another language"),
    pytest.param(carded(created="23.11.2026"), "created is a date", id="no date"),
    pytest.param(carded(base=None), "the card has the fields", id="a field is missing"),
    pytest.param(carded(code="import os"), "the card has the fields", id="a field too many"),
    pytest.param(carded(files={}), "files lists model.onnx", id="no files"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), REFUSED)
def test_a_bundle_that_is_wrong_is_refused_with_place_rule_value_and_next_step(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    tensors = safetensors.numpy.save({"weights": np.zeros(3, np.float32)})
    folder = an_encoder(tmp_path / "tiny", files={"extra.safetensors": tensors})
    spoil(folder)
    with pytest.raises(BundleError, match=said) as refused:
        open_bundle(folder) if (folder / "bundle.json").exists() else load(folder)
    place, *rest = str(refused.value).split(": ", 1)
    assert place.startswith(f"bundle {folder}")
    assert len(rest[0].split(";")) >= 3, "rule; value; next step"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../up.json", "sub/model.onnx", ".hidden.json", "bundle.json", "code.py", "weights.pkl"]
)
def test_a_card_can_only_name_plain_files_beside_it(name: str, tmp_path: Path) -> None:
    folder = an_encoder(tmp_path / "tiny")
    card = msgspec.json.decode((folder / "bundle.json").read_bytes())
    change_card(folder, {"files": card["files"] | {name: {"sha256": "0" * 64, "bytes": 1}}})
    with pytest.raises(BundleError, match="a listed file"):
        load(folder)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = an_encoder(tmp_path / "tiny")
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(BundleError, match="is a plain file"):
        load(folder)


def test_files_that_the_card_does_not_list_are_never_read(tmp_path: Path) -> None:
    folder = an_encoder(tmp_path / "tiny")
    (folder / "weights.pkl").write_bytes(pickle.dumps(1))
    assert "weights.pkl" not in load(folder).data


def test_a_card_that_is_not_a_number_is_refused_before_it_is_written(tmp_path: Path) -> None:
    calibration = a_card().calibration | {"gate": Calibration("sigmoid", [float("nan")], [0.0])}
    with pytest.raises(BundleError):
        an_encoder(tmp_path / "tiny", calibration=calibration)


# --- which bundle it is ----------------------------------------------------------------------------------------------------
LISTED = a_card(files={name: FileFact("0" * 64, 1) for name in FILES})


@pytest.mark.parametrize(
    "changed",
    [
        {"precision": "fp32"},
        {"thresholds_ppm": {"x": 1}},
        {"options": {"max_tokens": 96}},
        {"calibration": {"gate": Calibration("softmax", [1.0], [0.0])}},
        {"files": LISTED.files | {"model.onnx": FileFact("1" * 64, 1)}},
        {"files": LISTED.files | {"features.safetensors": FileFact("1" * 64, 1)}},
    ],
)
def test_whatever_can_change_an_answer_changes_the_hash(changed: dict[str, Any]) -> None:
    assert content_hash(msgspec.structs.replace(LISTED, **changed)) != content_hash(LISTED)


@pytest.mark.parametrize(
    "changed",
    [{"name": "other"}, {"notes": "x"}, {"metrics": {"a": Metric(1.0)}}, {"files": LISTED.files | {"CARD.md": FileFact("1" * 64, 9)}}],
)
def test_what_people_read_does_not_change_the_hash(changed: dict[str, Any]) -> None:
    assert content_hash(msgspec.structs.replace(LISTED, **changed)) == content_hash(LISTED)


def test_the_model_id_names_engine_and_number_format_and_covers_what_lies_outside() -> None:
    assert model_id(LISTED).startswith("encoder-")
    assert model_id(LISTED).endswith("-onnx-int8")
    assert model_id(LISTED, "a lexicon") != model_id(LISTED)


def test_the_hash_does_not_depend_on_the_order_of_a_card() -> None:
    turned: EncoderCard = msgspec.structs.replace(LISTED, files=dict(reversed(LISTED.files.items())))
    assert content_hash(turned) == content_hash(LISTED)


# --- linear bundles: the same bad input --------------------------------------------------------------------------------------
@pytest.fixture
def linear_folder(tmp_path: Path) -> Path:
    for path in LINEAR_BUNDLES.glob("en.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("en.safetensors", pickle.dumps({"weights": 1}), "the card promises sha256"),
        ("en.safetensors", b"", "the card promises sha256"),
        ("en.json", b"\x80\x04", "the card cannot be read"),
        ("en.json", b"{}", "the card cannot be read"),
    ],
)
def test_a_linear_bundle_that_is_wrong_is_refused(linear_folder: Path, name: str, data: bytes, said: str) -> None:
    (linear_folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=said):
        open_bundle(linear_folder)


def test_a_linear_bundle_of_another_format_is_refused(linear_folder: Path) -> None:
    path = linear_folder / "en.json"
    path.write_bytes(path.read_bytes().replace(linear.FORMAT.encode(), b"groundswell-linear-9"))
    with pytest.raises(BundleError, match="'groundswell-linear-9'"):
        open_bundle(linear_folder)


def test_a_folder_without_any_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"a bundle has a card; got none of bundle\.json, en\.json, zh\.json"):
        open_bundle(tmp_path)
