"""The measurement of denials: which texts are counted, and what its verdicts say."""

from pathlib import Path

import pytest

from groundswell.errors import UsageError
from models.denial_check import SAMPLE, found, lines, verdicts
from models.entities import Catalogue
from models.flag_check import Read, is_reported

CATALOGUE = Catalogue.load()
TEXTS = {
    "0000000000000001": "Tesla denies report of talks\n",
    "0000000000000003": "Tesla denies report of talks\nthe same headline again",
    "0000000000000005": "Aldora denies report of talks\n",  # names nobody that the catalogue knows
    "0000000000000007": "Tesla recalls cars\nIt denies reports of more.",  # the headline denies nothing
    "0000000000000009": "Tesla denies rumours, says a post\n",
    "0000000000000002": "Tesla denies report in the other half\n",
}
READ = Read(TEXTS, frozenset({"0000000000000009"}), [])


def test_a_headline_counts_once_where_it_names_a_company_and_is_no_post_of_the_half_that_was_looked_at() -> None:
    assert list(found(READ, "en", CATALOGUE)) == ["0000000000000001"]


def test_the_figures_are_of_the_verdicts_and_of_what_is_still_read_so() -> None:
    judged = {("en", "0000000000000001"): True, ("en", "0000000000000007"): False, ("zh", "0000000000000001"): False}
    said = list(lines(READ, "en", judged, CATALOGUE))

    assert said[0] == "en: read as denials 5 of 6 texts; 1 of the reported half name a company"
    assert said[1].startswith("en: of the first 2 of these 1 right: .500 (")
    assert said[2].startswith("en: of the 1 that are still read so 1 right")


def test_the_verdicts_are_fifty_of_each_language_from_the_reported_half() -> None:
    judged = verdicts()

    assert {language: sum(of == language for of, _ in judged) for language in ("en", "zh")} == {"en": SAMPLE, "zh": SAMPLE}
    assert all(is_reported(name) for _, name in judged)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("language,hash,denial\nen,ab,Yes\n", "line 2: a row is one of en, zh, a new hash, and yes or no"),
        ("language,hash,denial\nen,ab,yes\nen,ab,no\n", "line 3: a row is"),
        ("language,hash,denial\nde,ab,yes\n", "line 2: a row is"),
        ("language,hash,denial\nen,ab\n", "line 2: a row has 3 cells; got 2"),
        ("language,hash\nen,ab\n", "line 1: the columns are language, hash, denial"),
        ("language,hash,denial\nen,\udcff,yes\n", "cannot be read"),
    ],
)
def test_a_verdict_that_is_neither_yes_nor_no_is_an_error_and_no_no(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "denials.csv"
    path.write_text(rows, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UsageError, match=said):
        verdicts(path)


def test_missing_verdicts_are_an_error_of_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="restore the file"):
        verdicts(tmp_path / "none.csv")
