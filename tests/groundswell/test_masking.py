"""What must not be shown: passwords in URLs are hidden wherever they stand, at a cost that no text can drive up."""

import time

import pytest

from groundswell.masking import mask_url, passwords_of_url


@pytest.mark.parametrize("password", ["p", "a/b", "a@b", "a:b", "?#"])
def test_no_form_of_a_password_survives_the_mask(password: str) -> None:
    assert mask_url(f"postgresql://u:{password}@h/d") == "postgresql://u:***@h/d"


def test_passwords_of_several_urls_in_one_line_are_hidden_and_the_words_between_them_stay() -> None:
    line = "postgresql://u:pw@h failed\n\nthen x://v:qw@i?sslpassword=rw&a=1 and ?q=2?api_token=tw#top"
    assert mask_url(line) == "postgresql://u:***@h failed\n\nthen x://v:***@i?sslpassword=***&a=1 and ?q=2?api_token=***#top"
    assert passwords_of_url(line) == ("pw", "qw", "rw", "tw")


@pytest.mark.parametrize("part", ["?token", "&secret", "://:", "://a:b ", "?token=", "?secret&"])
def test_a_line_that_a_stranger_wrote_is_masked_in_time_with_its_length(part: str) -> None:
    began_s = time.process_time()
    mask_url(part * 5_000)
    assert time.process_time() - began_s < 1.0
