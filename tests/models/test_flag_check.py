"""The measurement of the flags: samples, verdicts, intervals, and (with the archives at hand) what lexicon.json says of itself."""

import gzip
import json
from pathlib import Path
from typing import Any, Final

import pytest

from groundswell.errors import UsageError
from groundswell.names import content_id
from models.flag_check import (
    CORPORA,
    Read,
    differences,
    drawn,
    fired,
    found_table,
    is_reported,
    main,
    precision,
    random_sample,
    read_events,
    read_texts,
    read_verdicts,
    recall,
    table,
)
from models.flags import Lexicon
from models.taxonomy import RISK_FLAGS
from models.verdict_files import JUDGEMENTS, share

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES: Final = CORPORA["en"].archives
POSTS: Final = CORPORA["zh"].posts[0]
needs_data = pytest.mark.skipif(not (DATA / "replay").is_dir(), reason=f"the replay archives are not at {DATA}")
LEXICON: Final = Lexicon(dated="", about="", flags={"litigation": {"en": ["sues"]}, "layoff_strike": {"en": ["job cuts"]}}, tone={})


def archive(folder: Path, rows: list[dict[str, Any] | str], name: str = ARCHIVES[0]) -> Path:
    path = folder / f"{name}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return folder


def titles(count: int, words: str) -> dict[str, str]:
    made = [f"{words} {number}" for number in range(count)]
    return {content_id(title, ""): title for title in made}


def read(texts: dict[str, str], posts: frozenset[str] = frozenset()) -> Read:
    return Read(texts, posts, [])


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- reading ---------------------------------------------------------------------------------------------------
def test_english_texts_are_read_once_each_and_bad_lines_are_counted(tmp_path: Path) -> None:
    line = {"title": "Fund sues bank", "text": "A lead.", "language": "en"}
    rows: list[dict[str, Any] | str] = [line, dict(line), {"title": "基金", "language": "zh"}, "{", '"x"']
    texts, posts, skips = read_texts(archive(tmp_path, rows))
    assert not posts
    assert texts == {content_id("Fund sues bank", "A lead."): "Fund sues bank\nA lead."}
    assert skips[0] == f"{ARCHIVES[0]}: 2 lines are not archive lines"
    assert [skip.split(":")[0] for skip in skips[1:]] == list(ARCHIVES[1:])


def test_chinese_texts_come_from_archives_and_labelled_sets_and_posts_are_known(tmp_path: Path) -> None:
    archive(tmp_path, [{"text": "东湖公司起诉银行", "event": "x"}, {"event": "x"}], "train/zh_event_finese")
    rows: list[dict[str, Any] | str] = [{"title": title, "language": "zh"} for title in ("东湖公司起诉银行", "基金")]
    archive(tmp_path, [*rows, {"title": "Fund", "language": "en"}], POSTS)
    texts, posts, _ = read_texts(tmp_path, "zh")
    assert texts == {content_id("东湖公司起诉银行", ""): "东湖公司起诉银行", content_id("基金", ""): "基金"}
    assert posts == {content_id("基金", "")}  # what a labelled set has too is no post


def test_a_folder_without_archives_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        read_texts(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hash,flag,verdict\n",
        "content_hash,flag,verdict\nab,litigation\n",
        "content_hash,flag,verdict\nab,weather,yes\n",
        "content_hash,flag,verdict\nab,litigation,perhaps\n",
        "content_hash,flag,verdict\nab,litigation,yes\nab,litigation,no\n",
    ],
)
def test_a_row_that_is_no_verdict_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"flags_en\.csv, line [123]"):
        read_verdicts(written(tmp_path / "flags_en.csv", text))


@pytest.mark.parametrize("row", ["ab,weather", "ab,litigation|", "ab,litigation\nab,"])
def test_a_row_of_events_names_flags_of_the_taxonomy_once(tmp_path: Path, row: str) -> None:
    path = written(tmp_path / "events.csv", f"content_hash,flags\n{row}\n")
    if row == "ab,litigation|":
        assert read_events(path) == {"ab": {"litigation"}}
    else:
        with pytest.raises(UsageError, match="line"):
            read_events(path)


def test_missing_judgements_are_an_error_of_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="restore"):
        read_verdicts(tmp_path / "none.csv")


# --- measuring -------------------------------------------------------------------------------------------------
def test_precision_is_counted_on_the_reported_half_alone() -> None:
    texts = titles(40, "Fund sues bank")
    hashes = fired(texts, LEXICON)["litigation"]
    odd = [content_hash for content_hash in hashes if is_reported(content_hash)]
    verdicts: dict[str, Any] = dict.fromkeys(hashes, "no") | dict.fromkeys(odd, "yes")
    row = precision("litigation", hashes, verdicts, read(texts))
    assert (row.fired, row.reported, row.judged, row.right, row.unjudged) == (40, len(odd), len(odd), len(odd), 0)
    assert 0 < len(odd) < 40


def test_the_sample_is_the_first_by_hash_and_skips_what_was_seen() -> None:
    texts = titles(60, "Fund sues bank")
    hashes, corpus = list(texts), CORPORA["en"]._replace(sample=3)
    odd = sorted(filter(is_reported, hashes), key=lambda content_hash: content_id("litigation", content_hash))
    verdicts: dict[str, Any] = {odd[0]: "seen", odd[1]: "yes", odd[2]: "no"}
    row = precision("litigation", hashes, verdicts, read(texts), corpus)
    assert (row.judged, row.right, row.unjudged, row.wrong) == (2, 1, 1, (odd[2],))
    assert precision("litigation", hashes[::-1], verdicts, read(texts), corpus) == row


@pytest.mark.parametrize(
    ("others", "posts", "taken"), [(90, 90, (20, 10)), (8, 90, (8, 4)), (90, 2, (28, 2)), (0, 90, (0, 10)), (5, 0, (5, 0))]
)
def test_at_most_a_third_of_a_sample_are_posts_unless_there_is_nothing_else(others: int, posts: int, taken: tuple[int, int]) -> None:
    news, talk = titles(others, "Fund sues bank"), titles(posts, "fund sued again")
    corpus = CORPORA["zh"]._replace(sample=30, distinct=False)
    sample = drawn("litigation", [*talk, *news], read(news | talk, frozenset(talk)), corpus)
    assert (sum(one in news for one in sample), sum(one in talk for one in sample)) == taken


def test_near_copies_are_passed_over_where_the_corpus_says_so() -> None:
    texts = {"1": "东湖公司申请破产重整，法院已受理", "2": "东湖公司申请破产重整，法院已受理此案", "3": "西山银行行长辞职"}
    assert set(drawn("litigation", texts, read(texts), CORPORA["zh"])) in ({"1", "3"}, {"2", "3"})
    assert set(drawn("litigation", texts, read(texts), CORPORA["en"])) == {"1", "2", "3"}


def test_recall_counts_events_and_not_what_is_flagged_besides() -> None:
    texts = titles(30, "Fund sues bank") | titles(30, "Bakery opens")
    sample = random_sample(texts, 20)
    assert len(sample) == 20
    assert all(map(is_reported, sample))
    assert sample == random_sample(dict(reversed(texts.items())), 20)
    events = {content_hash: frozenset({"litigation"}) if index % 2 else frozenset[str]() for index, content_hash in enumerate(sample)}
    row = next(row for row in recall(fired(texts, LEXICON), sample, events) if row.flag == "litigation")
    assert row.events == 10
    assert row.found == sum("sues" in texts[content_hash] for content_hash in sample[1::2])
    assert set(row.missed) == {content_hash for content_hash in sample[1::2] if "sues" not in texts[content_hash]}


def test_hidden_flags_are_measured_too() -> None:
    hidden = Lexicon(dated="", about="", flags=LEXICON.flags, tone={}, measured={"en": {"litigation": (0, 10)}})
    assert hidden.shown("en") == frozenset()
    assert fired({"ab": "Fund sues bank"}, hidden)["litigation"] == ["ab"]


def test_differences_name_the_flag_and_both_figures() -> None:
    hashes = list(filter(is_reported, titles(20, "Fund sues bank")))
    texts = read(titles(20, "Fund sues bank"))
    rows = [precision("litigation", hashes, dict.fromkeys(hashes, "yes"), texts), precision("downgrade", hashes, {}, texts)]
    right = Lexicon(dated="", about="", flags={}, tone={}, measured={"en": {"litigation": (len(hashes), len(hashes)), "downgrade": (0, 0)}})
    assert differences(rows[:1], right) == []
    assert differences(rows, right) == [f"downgrade: {len(hashes)} texts of the sample have no verdict; read them and add rows"]
    wrong = Lexicon(dated="", about="", flags={}, tone={}, measured={"en": {"litigation": (1, 2)}})
    assert f"measured [1, 2], here it is [{len(hashes)}, {len(hashes)}]" in differences(rows[:1], wrong)[0]
    assert "measured nothing" in differences(rows[:1], right, "zh")[0]


def test_tables_print_what_was_counted() -> None:
    rows = [precision("litigation", ["0b", "0d", "0a"], {"0b": "yes", "0d": "no"}, read(dict.fromkeys(["0b", "0d", "0a"], "")))]
    assert "| litigation | 3 | 2 | 2 | .500 (.095-.905) | no |" in table(rows, frozenset())
    events = {"0b": frozenset({"litigation"}), "0d": frozenset({"litigation"})}
    said = found_table(recall({flag: ["0b"] if flag == "litigation" else [] for flag in RISK_FLAGS}, ["0b", "0d"], events))
    assert "| litigation | 2 | 1 | .500 (.095-.905) |" in said
    assert said.endswith("| all | 2 | 1 | .500 (.095-.905) |\n")
    assert share(1, 1) == "1.000 (.207-1.000)"


# --- the command -----------------------------------------------------------------------------------------------
def judgements(folder: Path, verdicts: str = "", events: str = "") -> Path:
    written(folder / "flags_en.csv", f"content_hash,flag,verdict\n{verdicts}")
    written(folder / "flags_en_random.csv", f"content_hash,flags\n{events}")
    return folder


def test_the_command_prints_no_text_unless_asked_and_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title = next(text for content_hash, text in titles(9, "Fund sues bank").items() if is_reported(content_hash))
    archive(tmp_path, [{"title": title, "language": "en"}])
    folder = judgements(tmp_path, f"{content_id(title, '')},litigation,no\n", f"{content_id(title, '')},layoff_strike\n")
    arguments = ["--data", str(tmp_path), "--judgements", str(folder)]
    assert main(arguments) == 1
    quiet = capsys.readouterr()
    assert "| litigation | 1 | 1 | 1 | .000 (.000-.793) | yes |" in quiet.out
    assert "differs: litigation: lexicon.json has measured" in quiet.err
    assert f"skipped: {ARCHIVES[1]}" in quiet.err
    assert title not in quiet.out + quiet.err
    assert main([*arguments, "--show"]) == 1
    shown = capsys.readouterr().out
    assert f"wrong, litigation: {title}\n" in shown
    assert f"missed, layoff_strike: {title}\n" in shown


def test_the_command_measures_chinese_flags_without_a_random_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    titles_zh = (f"东湖公司第{number}次被银行起诉" for number in range(9))
    title = next(title for title in titles_zh if is_reported(content_id(title, "")))
    archive(tmp_path, [{"title": title, "language": "zh"}], POSTS)
    written(tmp_path / "flags_zh.csv", f"content_hash,flag,verdict\n{content_id(title, '')},litigation,yes\n")
    assert main(["--language", "zh", "--data", str(tmp_path), "--judgements", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "1 Chinese texts" in said.out
    assert "| litigation | 1 | 1 | 1 | 1.000 (.207-1.000) |" in said.out
    assert "events" not in said.out
    assert "differs: litigation: lexicon.json has measured" in said.err
    assert title not in said.out + said.err


def test_the_command_without_archives_is_an_error_of_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize("language", sorted(CORPORA))
def test_the_judgements_hold_hashes_and_verdicts_only(language: str) -> None:
    corpus, verdicts = CORPORA[language], read_verdicts(JUDGEMENTS / f"flags_{language}.csv")
    events = read_events(JUDGEMENTS / f"flags_{language}_random.csv") if corpus.random else {}
    hashes = [content_hash for rows in verdicts.values() for content_hash in rows] + list(events)
    assert all(len(content_hash) == 16 and int(content_hash, 16) >= 0 and is_reported(content_hash) for content_hash in hashes)
    assert len(events) == corpus.random
    assert all(sum(verdict != "seen" for verdict in rows.values()) <= corpus.sample for rows in verdicts.values())


@needs_data
@pytest.mark.parametrize("language", sorted(CORPORA))
def test_what_the_lexicon_says_of_its_flags_is_what_the_archives_give(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--language", language, "--data", str(DATA)]) == 0, capsys.readouterr().err
