"""Migrations: the newest file is the schema that the code opens stores with."""

import re
from pathlib import Path

from groundswell.store import migrations
from groundswell.store.store import HEAD

FILES = sorted((Path(str(migrations.__file__)).parent / "versions").glob("v*.py"))


def test_the_newest_migration_is_the_head_that_stores_are_opened_with() -> None:
    assert FILES[-1].name.startswith(f"v{HEAD}_")


def test_each_migration_follows_the_one_before() -> None:
    before = None
    for file in FILES:
        text = file.read_text()
        found = re.search(r"^down_revision = (.*)$", text, re.MULTILINE)
        assert found is not None
        assert found[1] == (f'"{before}"' if before else "None"), file.name
        before = file.name[1:5]
        assert f'revision = "{before}"' in text
