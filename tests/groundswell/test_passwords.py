"""Passwords are kept as argon2id, and a check takes as long where there is nothing to check against."""

import threading
from typing import Any

import pytest
from argon2 import PasswordHasher

from groundswell.errors import UsageError
from groundswell.passwords import AT_ONCE, Passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def test_what_is_stored_is_argon2id_with_a_salt_of_its_own_and_not_the_password() -> None:
    passwords = Passwords()
    stored = passwords.hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")
    assert passwords.hash("correct horse battery") != stored
    assert passwords.fits("correct horse battery", stored)
    assert not passwords.fits("correct horse batterz", stored)


@pytest.mark.parametrize("password", ["short", "x" * 11, "x" * 257, ""])
def test_a_password_that_is_too_short_or_too_long_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(UsageError, match=r"must have 12 to 256 characters") as caught:
        Passwords(CHEAP).hash(password)
    assert not password or password not in str(caught.value)


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.fits("zo\u0308llner-\uff12\uff10\uff12\uff16", passwords.hash("z\u00f6llner-2026"))


class Counting(PasswordHasher):
    """How often it was asked, and how many at a time at most."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.asked, self.now, self.most, self.lock = 0, 0, 0, threading.Lock()

    def verify(self, *args: Any, **options: Any) -> Any:
        with self.lock:
            self.asked, self.now = self.asked + 1, self.now + 1
            self.most = max(self.most, self.now)
        try:
            return super().verify(*args, **options)
        finally:
            with self.lock:
                self.now -= 1


@pytest.mark.parametrize("stored", [None, "not a hash"])
def test_where_there_is_no_account_the_same_work_is_done_and_the_answer_is_no(stored: str | None) -> None:
    hasher = Counting()
    assert not Passwords(hasher).fits("nobody has this password", stored)
    assert hasher.asked == 1


def test_a_flood_of_checks_does_not_take_the_machine() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    threads = [threading.Thread(target=passwords.fits, args=("x" * 20, None)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hasher.asked == 20
    assert hasher.most <= AT_ONCE
