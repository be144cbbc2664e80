"""What was signed here is believed until its time is over; nothing else ever is."""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.clock import ManualClock
from groundswell.errors import DependencyError, ExpiredError, SettingsError, SignatureError
from groundswell.links import Link, Links, links_of
from groundswell.settings import Board, Data, Settings
from groundswell.signing import Signed, board_secret

SECRET = "0123456789abcdef0123456789abcdef"
NOW_MS = 1_790_000_000_000


def signed(purpose: str = "form", *, secret: str = SECRET, clock: ManualClock | None = None, lifetime_s: int = 60) -> Signed:
    return Signed(secret, purpose, lifetime_s=lifetime_s, now_ms=(clock or ManualClock(NOW_MS)).now_ms)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_signed_is_read_back(value: Any) -> None:
    assert signed().read(signed().sign(value)) == value


def test_a_text_is_valid_until_its_time_is_over_and_not_before_it_was_signed() -> None:
    clock = ManualClock(NOW_MS)
    forms = signed(clock=clock)
    text = forms.sign("x")
    clock.advance(60_000)
    assert forms.read(text) == "x"
    clock.advance(1_000)
    with pytest.raises(ExpiredError):
        forms.read(text)
    clock.advance(-3_600_000)
    with pytest.raises(ExpiredError):
        forms.read(text)


def test_a_text_of_another_purpose_or_installation_is_not_ours() -> None:
    for other in (signed("session"), signed(secret=SECRET[::-1])):
        with pytest.raises(SignatureError):
            signed().read(other.sign("x"))


@given(place=st.integers(0, 200), letter=st.sampled_from("abcXYZ019-_."))
def test_a_changed_text_is_not_ours(place: int, letter: str) -> None:
    text = signed().sign({"who": "mei", "role": "reader"})
    place %= len(text)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with suppress(SignatureError):  # the last letter of base64 has bits that say nothing
            assert signed().read(changed) == {"who": "mei", "role": "reader"}


@given(st.text(max_size=300))
def test_whatever_a_stranger_sends_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(SignatureError):
        signed().read(text)


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match=r"must have 32 characters or more, got 7; make one with") as caught:
        signed(secret="hunter2")
    assert "hunter2" not in str(caught.value)


# --- the installation's secret ------------------------------------------------------------------------------------------------
def test_a_secret_of_this_machine_is_made_once_and_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    settings = Settings(data=Data(dir=str(tmp_path / "data")))
    made = board_secret(settings)
    assert len(made) == 64
    assert board_secret(settings) == made
    assert stat.S_IMODE((tmp_path / "data" / "board.secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["board.secret"]
    assert board_secret(Settings(board=Board(secret=SECRET))) == SECRET


def test_processes_that_start_together_have_the_same_secret(tmp_path: Path) -> None:
    settings, found = Settings(data=Data(dir=str(tmp_path))), list[str]()
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        found.append(board_secret(settings))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_secret_that_cannot_be_kept_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DependencyError, match=r"board\.secret.*set board\.secret"):
        board_secret(Settings(data=Data(dir=str(tmp_path / "file"))))


# --- links ----------------------------------------------------------------------------------------------------------------------
def test_a_link_says_one_reader_one_alert_and_one_act_and_is_made_of_letters_that_mail_keeps() -> None:
    links = Links(SECRET, "https://gs.bank.example/", 3600, now_ms=lambda: NOW_MS)
    url = links.make("mei@bank.example", "a1b2c3d4e5f60718", "verdict:old_news")
    base, _, token = url.rpartition("/")
    assert base == "https://gs.bank.example/l"
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert links.read(token) == Link("mei@bank.example", "a1b2c3d4e5f60718", "verdict:old_news")
    assert links.make("li@bank.example", "a1b2c3d4e5f60718", "verdict:old_news") != url


def test_a_link_expires_and_a_session_is_no_link() -> None:
    clock = ManualClock(NOW_MS)
    links = Links(SECRET, "https://gs.bank.example", 3600, now_ms=clock.now_ms)
    token = links.make("mei", "a1", "acknowledge").rpartition("/")[2]
    with pytest.raises(SignatureError):
        links.read(signed("session", lifetime_s=3600).sign(["mei", "a1", "acknowledge"]))
    with pytest.raises(SignatureError, match="does not say"):
        links.read(signed("link", lifetime_s=3600).sign({"reader": "mei"}))
    clock.advance(3_601_000)
    with pytest.raises(ExpiredError):
        links.read(token)


def test_links_are_made_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(data=Data(dir=str(tmp_path)), board=Board(base_url="https://gs.bank.example"))
    token = links_of(settings).make("mei", "a1", "acknowledge").rpartition("/")[2]
    assert links_of(settings).read(token).reader == "mei"
    assert os.listdir(tmp_path) == ["board.secret"]
