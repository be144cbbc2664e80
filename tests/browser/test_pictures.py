"""The pictures of the documentation are taken from pages as they are, and not where there is no page."""

from pathlib import Path

import pytest

from docs.pictures import IMAGES, PAGES, WIDTH, take
from groundswell.errors import DependencyError
from tests.browser.test_board import CHROMIUM
from tests.dashboards.board.board_store import a_board

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ROOT = IMAGES.parent.parent


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium")
def test_a_picture_has_the_size_that_was_asked_for_and_is_a_page_and_not_one_colour(tmp_path: Path) -> None:
    with a_board(tmp_path) as board:
        take(f"{board.url}/search?q=headline", tmp_path / "search.png", height=400, program=str(CHROMIUM))
    body = (tmp_path / "search.png").read_bytes()
    assert body.startswith(SIGNATURE)
    assert (int.from_bytes(body[16:20]), int.from_bytes(body[20:24])) == (WIDTH, 400)
    assert len(body) > 20_000


def test_a_program_that_makes_no_picture_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"made no picture of http://127\.0\.0\.1:1/: .*try another version"):
        take("http://127.0.0.1:1/", tmp_path / "x.png", height=100, program="false")


def test_every_picture_that_is_taken_is_shown_and_every_one_that_is_shown_is_taken() -> None:
    shown = {
        path.name
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for path in IMAGES.iterdir()
        if path.name in page.read_text("utf-8")
    }
    assert shown == {path.name for path in IMAGES.iterdir()} == {f"{name}.png" for name in PAGES}
