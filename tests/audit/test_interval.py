"""How sure a counted share is, against the definition and against scipy."""

from __future__ import annotations

from math import comb

import pytest
from scipy.stats import beta

from audit.interval import share


def test_a_share_of_nothing_is_not_known():
    assert share(0, 0) is None


@pytest.mark.parametrize(("hits", "of"), [(-1, 3), (4, 3)])
def test_more_hits_than_were_looked_at_are_refused(hits, of):
    with pytest.raises(ValueError, match="is no share"):
        share(hits, of)


def test_nothing_among_thirty_may_still_be_one_in_nine():
    found = share(0, 30)

    assert (found.share, found.low) == (0.0, 0.0)
    # By hand: 30 proper ones in a row are at least as rare as 2.5 % from this share on.
    assert (1 - found.high) ** 30 == pytest.approx(0.025)
    assert found.high == pytest.approx(0.1157, abs=1e-4)


@pytest.mark.parametrize(
    ("hits", "of"), [(1, 1), (1, 2), (3, 30), (29, 30), (30, 30), (7, 1000), (400, 1000), (999, 1000)]
)
def test_limits_are_where_the_tails_of_the_binomial_are_a_fortieth(hits, of):
    found = share(hits, of)

    def at_least(p):
        return sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(hits, of + 1))

    def at_most(p):
        return sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(hits + 1))

    if hits:
        assert at_least(found.low) == pytest.approx(0.025, rel=1e-6)
    if hits < of:
        assert at_most(found.high) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(("hits", "of"), [(0, 10_000_000), (12, 48_896), (24_448, 48_896), (5_000_000, 10_000_000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_limits_of_large_counts_are_those_of_scipy(hits, of, level):
    tail = (1 - level) / 2

    found = share(hits, of, level)

    assert found.low == pytest.approx(0 if not hits else beta.ppf(tail, hits, of - hits + 1), rel=1e-6)
    assert found.high == pytest.approx(beta.ppf(1 - tail, hits + 1, of - hits), rel=1e-6)
