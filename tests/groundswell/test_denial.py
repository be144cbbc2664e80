"""Denials in headlines: precision first. Examples are written for the test; models/denial_check.py measures real ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.denial import denies


@pytest.mark.parametrize(
    "title",
    [
        "Aldora denies report of talks with its creditors",
        "Aldora and Brennick deny merger talks",
        "Regulator denies it leaned on Aldora",
        "Aldora has denied that it is short of cash",
        "Former Aldora chief denied any wrongdoing",
        "Aldora refutes fraud claims",
        "Aldora rejects short seller's allegations",
        "Brennick chairman dismisses takeover speculation",
        "Aldora says reports of a run are untrue",
        "No truth in rumours on Aldora, says minister",
        "Aldora issues clarification on media report",
        "Aldora disputes the auditor's claims",
    ],
)
def test_a_denial_is_read(title: str) -> None:
    assert denies(title, "en")


@pytest.mark.parametrize(
    "title",
    [
        "Judge denies Aldora's request for a stay",
        "Court denies appeal by Aldora",
        "Aldora founder denied bail",
        "Aldora cannot deny its losses",
        "No denying that Aldora is in trouble",
        "Aldora does not deny the report",
        "Watchdog asked to deny Aldora a licence",
        "Judge dismisses fraud claims against Aldora",
        "Insurer denies families their payouts",
        "Regulator clarifies rules for Aldora and others",
        "Aldora sued over denial of care",
        "Aldora reports record profit",
        "",
    ],
)
def test_what_is_refused_or_asked_for_is_no_denial(title: str) -> None:
    assert not denies(title, "en")


@pytest.mark.parametrize(
    "title",
    [
        "临澜银行否认遭遇挤兑",
        "临澜银行辟谣：网点运营正常",
        "临澜银行发布澄清公告",
        "临澜银行紧急澄清裁员传闻",
        "临澜银行：网传资金链断裂消息不实",
        "监管局：临澜银行被接管系谣言",
        "临澜银行称相关报道与事实不符",
    ],
)
def test_a_denial_is_read_in_chinese(title: str) -> None:
    assert denies(title, "zh")


@pytest.mark.parametrize(
    "title",
    [
        "临澜银行不否认正在洽谈",
        "交易所要求临澜银行澄清传闻",
        "临澜银行信息披露不实被罚",
        "男子散布临澜银行不实消息被拘",
        "临澜银行挤兑传闻尚未辟谣",
        "临澜银行利润与事实不符遭问询",
        "临澜银行发布年报",
    ],
)
def test_what_only_sounds_like_a_denial_in_chinese_is_none(title: str) -> None:
    assert not denies(title, "zh")


def test_a_language_without_a_reader_denies_nothing() -> None:
    assert not denies("Aldora denies report", None)
    assert not denies("Aldora denies report", "fr")


@given(st.text(max_size=400))
def test_whatever_comes_is_read_without_an_error(title: str) -> None:
    assert {denies(title, "en"), denies(title, "zh")} <= {True, False}
