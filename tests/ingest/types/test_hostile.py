"""What was made to hurt is refused or cut, with its reason, within two seconds and 300 MB; in a process of its own, to measure it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
ONE_INPUT_S: Final = 2.0
MEMORY_MB_MAX: Final = 300


@pytest.fixture(scope="module")
def costs() -> dict[tuple[str, str], dict[str, Any]]:
    command = [sys.executable, "-m", "tests.ingest.types.hostile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) > 50
    return {(line["name"], line["type"]): line for line in lines}


def test_none_takes_two_seconds_or_300_mb(costs: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [line for line in costs.values() if line["s"] >= ONE_INPUT_S or line["mb"] >= MEMORY_MB_MAX] == []


def test_no_file_of_this_machine_comes_out(costs: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [line for line in costs.values() if line["secret"]] == []


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("a billion laughs", "feed", "defines XML entities"),
        ("a billion laughs", "sitemap", "defines XML entities"),
        ("a file of ours", "feed", "defines XML entities"),
        ("a file of ours", "sitemap", "defines XML entities"),
        ("parameter entities", "sitemap", "defines XML entities"),
        ("a packed bomb", "sitemap", "larger than 10485760 bytes"),
        ("ten thousand items", "feed", "10000 entries, only the first 5000"),
        ("fifty thousand addresses", "sitemap", "50000 addresses, only the 1000"),
        ("fifty thousand comments", "comments", "only the first 5000"),
        ("a hundred thousand openings", "feed", "nested deeper than"),
        ("deep elements", "listing", "nested deeper than 200"),
        ("deep lists", "json_api", "not JSON"),
        ("two hundred thousand elements", "listing", "more than 100000 elements"),
        ("a page of ten megabytes", "thread", "a page of 10000012 bytes"),
        ("a million ampersands", "feed", "bare ampersands"),
        ("an article of formatted letters", "listing", "too many elements"),
        ("twenty paragraphs of links", "listing", "too many elements"),
    ],
)
def test_what_is_refused_or_cut_is_said(costs: dict[tuple[str, str], dict[str, Any]], name: str, kind: str, problem: str) -> None:
    assert problem in (costs[name, kind]["problem"] or "")
