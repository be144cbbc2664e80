"""The sources commands as a person meets them: lists, checks, one look at a publisher on loopback, and entries made of it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalogue import load_catalogue
from tests.cli.test_cli import groundswell
from tests.ingest.publisher import Publisher, answer, publishing

ITEMS = "".join(
    f"<item><title>Banks raise rates {n}</title><pubDate>Mon, 0{2 + n} Mar 2026 09:30:00 GMT</pubDate></item>" for n in range(4)
)
FEED = f"<rss version='2.0'><channel><title>Harbour &amp; Sons</title>{ITEMS}</channel></rss>"
PAGE = "<!doctype html><link rel='alternate' type='application/rss+xml' href='/feeds/all.xml'>"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A publisher that answers while commands run in processes of their own."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    found: list[Publisher] = []

    async def serve() -> None:
        async with publishing() as publisher:
            publisher.play("/feeds/all.xml", answer(200, FEED, Content_Type="application/rss+xml", ETag='"x"'))
            publisher.play("/", answer(200, PAGE, Content_Type="text/html"))
            found.append(publisher)
            started.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(180)
    yield found[0].url
    loop.call_soon_threadsafe(stop.set)
    thread.join(180)
    loop.close()


def test_the_list_can_be_narrowed_and_says_in_other_formats_what_a_table_has_no_room_for(tmp_path: Path) -> None:
    asked = ("sources", "list", "--kind", "filing", "--language", "en", "--region", "US", "--tier", "1", "--enabled", "--format", "jsonl")
    rows = [json.loads(line) for line in groundswell(*asked, folder=tmp_path).stdout.splitlines()]
    assert {row["source"] for row in rows} == {f"sec_filings_{form}" for form in ("8k", "10q", "10k", "6k")}
    assert {(row["role"], row["checked"], row["may_store_text"]) for row in rows} == {("issuer", "never", True)}
    off = groundswell("sources", "list", "--disabled", "--format", "csv", folder=tmp_path).stdout
    assert "why_disabled" in off.splitlines()[0]
    assert "pboc_news_zh" in off
    assert "fed_press" not in off


def test_the_check_of_a_wrong_file_names_each_thing_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('[[source]]\nname = "x"\nowner = "X"\nurl = "https://x.example/rss"\nlisence = "?"\n')
    wrong = groundswell("sources", "check", "ours.toml", folder=tmp_path)
    assert wrong.returncode == 1
    assert "ours.toml: source 1 (x): lisence: no such field; write licence" in wrong.stdout
    right = groundswell("sources", "check", folder=tmp_path)
    assert (right.returncode, right.stdout) == (0, "1 file, nothing wrong\n")


def test_a_look_shows_the_answer_and_its_first_items(url: str, tmp_path: Path) -> None:
    done = groundswell("sources", "test", f"{url}/feeds/all.xml", "--allow-private", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in (
        "robots.txt  allowed",
        "HTTP 200",
        'etag "x"',
        "2026-03-02T09:30:00Z (second)  Banks raise rates 0",
        "about 1 a day",
        "works",
    ):
        assert said in done.stdout


def test_a_look_at_a_page_ends_with_1_and_the_address_of_its_feed(url: str, tmp_path: Path) -> None:
    done = groundswell("sources", "test", f"{url}/", "--allow-private", folder=tmp_path)
    assert done.returncode == 1
    assert f"does not work: this is HTML; it names a feed at {url}/feeds/all.xml: use that address" in done.stderr


def test_a_page_becomes_an_entry_of_its_feed_that_is_off_until_its_licence_is_written(url: str, tmp_path: Path) -> None:
    done = groundswell("sources", "add", f"{url}/", "--to", "ours.toml", "--name", "harbour", "--allow-private", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the first is taken" in done.stderr
    assert "harbour added, switched off until its licence is written down" in done.stdout
    (made,) = [source for source in load_catalogue([tmp_path / "ours.toml"], disabled=True) if source.name == "harbour"]
    assert (made.url, made.documented, made.owner) == (f"{url}/feeds/all.xml", f"{url}/", "Harbour & Sons")
    assert (made.language, made.rhythm, made.may_store_text, made.enabled) == ("en", 1.0, False, False)
    assert groundswell("sources", "check", "ours.toml", folder=tmp_path).returncode == 0


def test_an_entry_is_printed_where_no_file_is_named_and_switched_on_with_a_licence(url: str, tmp_path: Path) -> None:
    done = groundswell("sources", "add", f"{url}/feeds/all.xml", "--licence", "ours", "--store-text", "--allow-private", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "ours.toml").write_text(done.stdout)
    (made,) = load_catalogue([], shipped=tmp_path / "ours.toml")
    assert (made.enabled, made.licence, made.may_store_text) == (True, "ours", True)


def test_a_source_that_works_is_marked_as_checked_in_ones_own_file(url: str, tmp_path: Path) -> None:
    added = ("sources", "add", f"{url}/feeds/all.xml", "--to", "ours.toml", "--name", "harbour", "--licence", "x", "--allow-private")
    assert groundswell(*added, folder=tmp_path).returncode == 0
    text = (tmp_path / "ours.toml").read_text()
    (tmp_path / "ours.toml").write_text("".join(line + "\n" for line in text.splitlines() if not line.startswith("checked")))
    extra = {"GROUNDSWELL_CATALOGUE_EXTRA": "ours.toml"}
    done = groundswell("sources", "test", "harbour", "--write-checked", "ours.toml", folder=tmp_path, **extra)
    assert done.returncode == 0, done.stderr
    assert "ours.toml: harbour was checked on " in done.stdout
    (made,) = [source for source in load_catalogue([tmp_path / "ours.toml"]) if source.name == "harbour"]
    assert made.checked in done.stdout
    assert made.checked != "never"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("test", "nobody"), 1, "`groundswell sources list` prints their names"),
        (("test", "ftp://x.example/"), 2, "url must be http"),
        (("test", "pboc_news_zh"), 2, "its type is listing"),
        (("test", "https://x.example/", "--write-checked", "a.toml"), 2, "sources add https://x.example/ --to a.toml"),
    ],
)
def test_what_cannot_be_asked_is_a_line_with_the_next_step(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = groundswell("sources", *arguments, folder=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
