"""The error tree: what callers catch, and what the command line ends with."""

import pytest

from groundswell import errors


def test_everything_raised_on_purpose_has_one_root() -> None:
    for name in errors.__all__:
        if name != "reason_of":
            assert issubclass(getattr(errors, name), errors.GroundswellError)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2), ("SettingsError", 2), ("NotFoundError", 1), ("RecordError", 1), ("ArchiveLineError", 1), ("DependencyError", 3),
        ("OwnershipLostError", 3), ("ContinuityError", 3), ("BundleError", 1),
        ("SignatureError", 1), ("ExpiredError", 1),
    ],
)  # fmt: skip
def test_each_error_ends_the_command_line_with_its_code(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_a_reason_is_the_text_or_where_there_is_none_the_kind_of_error() -> None:
    assert errors.reason_of(ValueError("no such day")) == "no such day"
    assert errors.reason_of(TimeoutError()) == "TimeoutError"
