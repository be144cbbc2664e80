"""Tails: exact, against scipy's own distributions."""

import pytest
from scipy.stats import betabinom, binom, nbinom

from alerts.detectors.tails import beta_binomial_tail, binomial_tail, limit_of, negative_binomial_tail


@pytest.mark.parametrize("dispersion", [0.01, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("mean", [0.01, 0.15, 1.0, 7.5, 250.0])
def test_the_negative_binomial_tail_is_scipys(mean: float, dispersion: float) -> None:
    r = 1 / dispersion
    for count in (0, 1, 2, 5, 12, 60, 400):
        assert negative_binomial_tail(count, mean=mean, dispersion=dispersion) == pytest.approx(
            nbinom.sf(count - 1, r, r / (r + mean)), rel=1e-9, abs=1e-300
        )


@pytest.mark.parametrize("share", [0.001, 0.3, 0.5, 0.97])
def test_the_binomial_tail_is_scipys(share: float) -> None:
    for trials in (1, 5, 40, 300):
        for hits in {0, 1, trials // 2, trials}:
            assert binomial_tail(hits, trials=trials, share=share) == pytest.approx(binom.sf(hits - 1, trials, share), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("dispersion", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.9])
def test_the_beta_binomial_tail_is_scipys(share: float, dispersion: float) -> None:
    both = 1 / dispersion - 1
    for trials in (1, 5, 40, 300):
        for hits in {0, 1, trials // 2, trials}:
            expected = betabinom.sf(hits - 1, trials, share * both, (1 - share) * both)
            found = beta_binomial_tail(hits, trials=trials, share=share, dispersion=dispersion)
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_without_dispersion_the_beta_binomial_tail_is_the_binomial_one() -> None:
    for dispersion in (0.0, 1e-9, 1e-5):
        found = beta_binomial_tail(20, trials=30, share=0.3, dispersion=dispersion)
        assert found == pytest.approx(binomial_tail(20, trials=30, share=0.3), rel=0.02)


@pytest.mark.parametrize("p", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("mean", [0.15, 3.0, 80.0])
def test_the_limit_is_the_least_count_that_is_improbable_enough(mean: float, p: float) -> None:
    limit = limit_of(p, mean=mean, dispersion=0.4)

    assert negative_binomial_tail(limit, mean=mean, dispersion=0.4) <= p < negative_binomial_tail(limit - 1, mean=mean, dispersion=0.4)
