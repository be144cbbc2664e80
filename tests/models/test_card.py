"""The model card: what it says first, what it says of itself, and the numbers that a bundle keeps."""

from collections.abc import Sequence
from typing import Any

from models.bundle import Base, CompanionCard, EncoderCard
from models.card import BundleFacts, bundle_metrics, error_matrix, facts_of, write_card
from models.evaluate import ClassRow, Compared, Confusion, Measured
from models.linear import Source
from models.metrics import Figure
from models.report import Beside

FIGURE = Figure(0.71234, 0.65, 0.75)


def facts(*sources: Source, **changes: Any) -> BundleFacts:
    fields: dict[str, Any] = {
        "name": "en-1", "language": "en", "model_id": "encoder-1f0c9a2b-onnx-int8", "engine": "onnx-int8", "created": "2026-11-24",
        "bytes": 23_400_000, "base": Base("tiny", "Apache-2.0", "made by a test"), "recipe": "abcd", "heads": {"topic": 20},
        "sources": sources,
    }  # fmt: skip
    return BundleFacts(**(fields | changes))


def measured(counts: Sequence[Sequence[int]] = ((30, 2, 0), (5, 4, 1)), **changes: Any) -> Measured:
    names = ("down", "up")
    classes = tuple(ClassRow(name, sum(row), row[0], FIGURE, FIGURE, FIGURE) for name, row in zip(names, counts, strict=True))
    fields: dict[str, Any] = {
        "task": "sentiment", "scope": "corpus", "corpus": "tfns", "model": "m", "texts": 42, "rows": 42, "unscored": 0,
        "figures": {"accuracy": FIGURE, "macro_f1": FIGURE, "ece": Figure(0.05, 0.04, 0.1)}, "ece_bound": 0.04,
        "classes": classes, "confusion": Confusion(names, tuple(map(tuple, counts))),
    }  # fmt: skip
    return Measured(**(fields | changes))


def test_a_missing_licence_is_told_before_any_figure() -> None:
    card = write_card(facts(Source("FinX", 10, "none stated"), Source("FinY", 10, "MIT")), [measured()])
    assert "**Some of its training sets state no licence.** They are FinX." in card
    assert card.index("state no licence") < card.index("## Figures")
    assert "**Its training sets state no licence.** They are FinX." in write_card(facts(Source("FinX", 10, "none stated")), [])
    assert "state no licence" not in write_card(facts(Source("FinY", 10, "MIT")), [measured()])


def test_sets_that_ask_for_attribution_are_given_it() -> None:
    card = write_card(facts(Source("FinEntity", 496, "ODC-BY 1.0")), [])
    assert "Contains information from FinEntity, which is made available under the ODC Attribution License." in card
    assert "| FinEntity | 496 | ODC-BY 1.0 |" in card


def test_a_model_that_reads_along_is_named() -> None:
    companion = CompanionCard("linear-0a1b2c3d-numpy-int8", {"topic": 0.2, "post": 0.4}, 850_000)
    said = write_card(facts(companion=companion), [])
    assert "`linear-0a1b2c3d-numpy-int8`; shares of its opinion: topic 0.2, post 0.4; texts whose topic and sentiment" in said
    assert "it gives 0.85 or more are answered by it alone." in said
    assert "Beside it reads" not in write_card(facts(), [])


def test_figures_have_intervals_and_differences() -> None:
    compared = Compared(
        task="sentiment", scope="corpus", corpus="tfns", models=("m", "c"), texts=42, rows=42, agreement=0.9, only_first=3, only_second=1,
        p_value=0.6, differences={"accuracy": Figure(0.021, -0.01, 0.05)}, changes=(),
    )  # fmt: skip
    card = write_card(facts(), [measured()], beside=[Beside("linear", [measured()], [compared])])
    title = "Twitter Financial News, sentiment"
    row = f"| {title} | Sentiment, 42 texts | accuracy | .712 | .650 to .750 | .712 | +.021 (−.010 to .050) |"
    assert row in card.splitlines()
    assert f"| {title} | Sentiment | .050 | .040 | **above** |" in card.splitlines()


def test_what_figures_say_against_a_bundle_is_among_its_limits() -> None:
    flags = measured(
        task="flags", corpus="mine", confusion=None, figures={"micro_f1": FIGURE}, ece_bound=None,
        classes=(ClassRow("fraud_investigation", 30, 30, FIGURE, FIGURE, FIGURE),),
    )  # fmt: skip
    alone = measured(((30, 2, 0), (0, 0, 0)), corpus="other")
    limits = write_card(facts(limits=("It has read no letters.",)), [measured(), flags, alone]).partition("## Limits")[2]
    assert "probabilities are off by more than chance explains" in limits
    assert "fewer than 20 rows of up, so little is known of it" in limits
    assert "mine (risk flags): precision below .850: fraud_investigation .712." in limits
    assert "other (sentiment) asks for down alone: its figure is a recall" in limits
    assert limits.endswith("- It has read no letters.\n")


def test_errors_are_named_with_their_share() -> None:
    card = write_card(facts(), [measured()])
    assert "most often up as down (5, 50 % of up); down as up (2, 6 % of down); up as no answer (1, 10 % of up)" in card


def test_a_bundle_trained_from_nothing_names_no_base_and_tables_hold_no_foreign_bars() -> None:
    card = write_card(facts(Source("a | b\nc", 1, "MIT"), base=None), [])
    assert "trained from its training sets alone" in card
    assert "Encoder:" not in card
    assert "| a \\| b c | 1 | MIT |" in card
    assert card == write_card(facts(Source("a | b\nc", 1, "MIT"), base=None), [])


def test_the_facts_of_an_encoder_bundle_are_those_of_its_card() -> None:
    card = EncoderCard(
        name="en-1", language="en", created="2026-11-24", base=Base("tiny", "MIT", "a test"), recipe="abcd", taxonomy="t",
        heads={"topic": ["a", "b"]}, calibration={}, notes="Small.",
    )  # fmt: skip
    found = facts_of(card, model_id="encoder-1-onnx-int8", bundle_bytes=7, limits=("None.",))
    assert (found.engine, found.heads, found.bytes, found.notes) == ("onnx-int8", {"topic": 2}, 7, "Small.")
    assert "Small." in write_card(found, [])


# --- for the bundle ----------------------------------------------------------------------------------------------------
def test_metrics_are_named_as_in_the_linear_cards() -> None:
    negative = measured(corpus="finnsp", task="negative")
    found = bundle_metrics([measured(), negative, measured(scope="language", corpus="all en")])
    assert set(found) == {
        "TFNS accuracy", "TFNS macro F1", "TFNS calibration error",
        "FinNSP negative or not accuracy", "FinNSP negative or not macro F1", "FinNSP negative or not calibration error",
    }  # fmt: skip
    metric = found["TFNS accuracy"]
    assert (metric.value, metric.low, metric.high, metric.rows, metric.better) == (0.7123, 0.65, 0.75, 42, "higher")
    assert found["TFNS calibration error"].better == "lower"


def test_of_a_set_of_one_class_only_the_recall_is_kept() -> None:
    assert set(bundle_metrics([measured(((30, 2, 0), (0, 0, 0)))])) == {"TFNS accuracy"}


def test_the_error_matrix_sums_the_sets_of_a_task_and_leaves_unanswered_rows_out() -> None:
    again = measured(((10, 0, 0), (0, 0, 0)), corpus="other")
    pool = measured(scope="language", corpus="all en")
    target = measured(task="entities", corpus="sentfin")
    found = error_matrix([measured(), again, pool, target])
    assert found["sentiment"] == [[round(40 / 42, 6), round(2 / 42, 6)], [0.5, 0.4]]
    assert found["target"] == [[30 / 32, 2 / 32], [0.5, 0.4]]
    assert error_matrix([measured(((0, 0, 0), (1, 1, 0)))])["sentiment"] == [[0, 0], [0.5, 0.5]]
