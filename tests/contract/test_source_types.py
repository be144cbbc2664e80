"""Every source type keeps one contract: pure, total, in order, nothing twice, an edit gets through, a wrong entry is explained."""

import asyncio
import copy
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw, encode
from groundswell.errors import SettingsError
from groundswell.records import RawDocument
from ingest.catalogue import Source, load_catalogue
from ingest.fetch import Fetched
from ingest.memory import Memory
from ingest.polite import SourceState
from ingest.poll import Poll, ask
from ingest.types import base
from ingest.types.base import HttpType, Parsed
from ingest.types.charset import decoded
from ingest.types.document import document_of
from ingest.types.intake import IntakeType, Taken
from ingest.types.table import TYPES, type_of
from tests.ingest.types.examples import EXAMPLES, Example
from tests.ingest.types.mutations import mutated_answer

NOW = 1_772_500_000_000
MUTATIONS = 2_000
ONE_INPUT_S = 2.0
examples = pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "crawler.db") as memory:
        yield memory


def parsed_of(example: Example, url: str, body: bytes) -> Parsed:
    kind = type_of(example.source)
    return kind.parse(body, example.headers, asked=example.asked(url), source=example.source, fetched_ms=NOW)


def poll(example: Example, site: Mapping[str, bytes], memory: Memory, *, state: SourceState | None = None) -> Poll:
    """One poll of a site that answers what it holds, remembered as the crawler does after the sink has it."""

    async def get(url: str, _: Mapping[str, str]) -> Fetched:
        html = example.headers if url not in example.articles else {"content-type": "text/html"}
        return Fetched(status=200, headers=dict(html), body=site[url]) if url in site else Fetched(status=404)

    source = example.source
    done = asyncio.run(ask(source, state or memory.state(source), get=get, memory=memory, clock=ManualClock(NOW), environ={}))
    memory.keep(source, done.state, items=done.items, now_ms=NOW, waiting=done.waiting, mark=done.mark)
    return done


def test_every_type_that_is_asked_over_http_has_an_example() -> None:
    asked = {name for name, kind in TYPES.items() if issubclass(kind, HttpType)}
    assert asked == {example.source.type for example in EXAMPLES.values()}
    assert {name for name, kind in TYPES.items() if issubclass(kind, IntakeType)} == {"folder", "mailbox"}


@examples
def test_a_poll_hands_over_every_item_once_the_oldest_first(example: Example, memory: Memory) -> None:
    first = poll(example, example.site, memory)
    assert first.heartbeat.ok
    assert [word for word, record in zip(example.words, first.documents, strict=True) if word not in f"{record.title}\n{record.text}"] == []
    assert first.heartbeat.new == len(example.words)


@examples
def test_the_same_bytes_again_bring_nothing_and_an_edit_brings_one(example: Example, memory: Memory) -> None:
    poll(example, example.site, memory)
    again = poll(example, example.site, memory)
    assert (again.documents, again.heartbeat.ok, again.result) == ([], True, "nothing_new")
    edited = poll(example, example.edited(), memory)
    assert len(edited.documents) == 1
    assert poll(example, example.edited(), memory).documents == []


@examples
def test_a_record_is_whole_and_can_be_written_and_read(example: Example) -> None:
    for url, body in example.site.items():
        for record in parsed_of(example, url, body).records:
            valid(record, example.source)


@examples
def test_parsing_is_pure(example: Example) -> None:
    for url, body in example.site.items():
        asked, headers = example.asked(url), dict(example.headers)
        before = copy.deepcopy((asked, headers, example.source))
        kind = type_of(example.source)
        one = kind.parse(body, headers, asked=asked, source=example.source, fetched_ms=NOW)
        two = kind.parse(body, headers, asked=asked, source=example.source, fetched_ms=NOW)
        assert one == two
        assert (asked, headers, example.source) == before


def valid(record: RawDocument, source: Source) -> None:
    assert decode_raw(encode(record)) == record
    assert (record.source, record.owner, record.kind) == (source.name, source.owner, source.kind)
    assert (record.tier, record.role) == (source.tier, source.role)
    assert record.title.strip() or record.text.strip()
    assert record.url is None or record.url.startswith(("http://", "https://"))
    assert record.author_hash is None or source.kind == "comment"
    assert len(record.tickers) <= 20
    assert len(record.text) <= 100_000


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_no_mutation_of_a_real_answer_raises_hangs_or_gives_a_record_that_the_log_cannot_take(name: str) -> None:
    @settings(max_examples=MUTATIONS // len(EXAMPLES) + 1, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated_answer(name))
    def holds(case: tuple[Example, str, bytes]) -> None:
        example, url, body = case
        started = time.thread_time()
        parsed = parsed_of(example, url, body)
        assert time.thread_time() - started < ONE_INPUT_S
        for record in parsed.records:
            valid(record, example.source)
        assert parsed.readable or parsed.problem
        assert all(request.url.startswith(("http://", "https://")) for request in parsed.follow)

    holds()


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(EXAMPLES)))
def test_noise_is_said_to_be_none_of_it(body: bytes, name: str) -> None:
    example = EXAMPLES[name]
    parsed = parsed_of(example, example.source.url, body)
    assert parsed.readable or parsed.problem


def test_the_type_that_contributing_walks_through_works_as_it_stands_there() -> None:
    guide = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = textwrap.dedent(guide.partition("```python\n")[2].partition("   ```")[0])
    names: dict[str, Any] = {
        **vars(base),
        "document_of": document_of,
        "decoded": decoded,
        "ClassVar": ClassVar,
        "Annotated": Annotated,
        "Meta": Meta,
    }
    exec(code, names)
    kind = names["Bulletin"].of({"skip": 1})
    read = kind.parse(
        b"BULLETIN\nBank falls\n\nRates rise", {}, asked=base.Request(url="u"), source=EXAMPLES["feed"].source, fetched_ms=NOW
    )
    assert [record.title for record in read.records] == ["Bank falls", "Rates rise"]
    with pytest.raises(msgspec.ValidationError):
        names["Bulletin"].of({"skip": -1})


def test_a_look_that_stumbles_is_a_source_that_cannot_be_seen() -> None:
    class Stumbling(IntakeType, frozen=True, kw_only=True):
        def _take(self, **_: Any) -> Taken:
            raise KeyError("unforeseen")  # noqa: EM101

    taken = Stumbling().take(source=EXAMPLES["feed"].source, mark="", unseen=set, environ={}, fetched_ms=NOW)
    assert (taken.ok, taken.problem) == (False, "unreadable: KeyError: 'unforeseen'")


# --- entries ------------------------------------------------------------------------------------------------------------------
HOWS: dict[str, dict[str, Any]] = {
    **{name: example.source.how for name, example in EXAMPLES.items() if name in TYPES},
    "folder": {},
    "webhook": {"secret_variable": "VENDOR_SECRET"},
    "mailbox": {"user": "desk", "password_variable": "DESK_PASSWORD"},
}
URLS = {"folder": "file:///var/drop", "webhook": "webhook:vendor", "mailbox": "imaps://mail.example/INBOX"}


def entry(name: str, **how: Any) -> Source:
    fields = {"name": "desk", "owner": "o", "url": URLS.get(name, "https://news.example/x"), "type": name, "how": HOWS[name] | how}
    return msgspec.convert({**fields, "kind": "comment" if name == "thread" else "news"}, Source)


@pytest.mark.parametrize("name", list(TYPES))
def test_a_right_entry_is_taken_and_a_field_that_there_is_not_is_refused_with_all_that_there_are(name: str) -> None:
    assert isinstance(type_of(entry(name)), TYPES[name])
    with pytest.raises(SettingsError) as caught:
        type_of(entry(name, pagess_max=3))
    said = str(caught.value)
    assert f"type {name}" in said
    assert "there is no field pagess_max" in said
    assert all(field in said for field in TYPES[name].__struct_fields__)


@pytest.mark.parametrize(
    ("name", "how", "parts"),
    [
        ("json_api", {"fields": {"titel": "x"}}, ("there is no field fields.titel", "did you mean title?")),
        ("json_api", {"fields": {"title": "a["}}, ("title is not a JMESPath expression", "correct it")),
        ("json_api", {"fields": {"url": "x"}}, ("a field map names title or text",)),
        ("json_api", {"paging": "curser"}, ("paging", "'curser'")),
        ("json_api", {"paging": "cursor", "cursor": ""}, ("write cursor",)),
        ("json_api", {"key_variable": "sk-live-0123456789"}, ("a secret is named by an environment variable",)),
        ("json_api", {"key_variable": "GROUNDSWELL_KEY"}, ("of your own",)),
        ("json_api", {"pages_max": 99}, ("pages_max", "<= 50")),
        ("listing", {"items": "li["}, ("items is not a CSS selector", "'li['")),
        ("listing", {"article": {"n.example": {"txt": "p"}}}, ("there is no field", "txt")),
        ("listing", {"zone": "Beijing"}, ("+08:00", "'Beijing'")),
        ("thread", {"posts": ""}, ("needs posts",)),
        ("folder", {"after": "delete"}, ("after", "'delete'")),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_what_to_write(name: str, how: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as caught:
        type_of(entry(name, **how))
    for part in (f"type {name}", *parts):
        assert part in str(caught.value)
    assert "sk-live" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("feed", "ftp://news.example/"),
        ("feed", "https://u:hunter2@news.example/"),
        ("json_api", "https:///x"),
        ("folder", "file://host/x"),
        ("folder", "/var/drop"),
        ("webhook", "webhook:../x"),
        ("mailbox", "imap://mail.example/INBOX"),
        ("mailbox", "imaps://u:hunter2@mail.example/INBOX"),
    ],
)
def test_an_address_that_does_not_fit_its_type_is_refused_and_its_password_is_not_shown(name: str, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        type_of(msgspec.structs.replace(entry(name), url=url))
    assert "url must be" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_catalogue_refuses_a_wrong_entry_with_its_file_and_a_type_that_there_is_not(tmp_path: Path) -> None:
    file = tmp_path / "extra.toml"
    file.write_text('[[source]]\nname = "desk"\nowner = "o"\nurl = "https://n.example/"\ntype = "fead"\n')
    with pytest.raises(SettingsError, match=r"extra\.toml: source 1 \(desk\): type 'fead' is not known, did you mean feed\?"):
        load_catalogue([file])


def test_a_forum_has_to_be_called_one_so_that_handles_are_hashed() -> None:
    with pytest.raises(SettingsError, match='write kind = "comment"'):
        type_of(msgspec.structs.replace(entry("thread"), kind="news"))
