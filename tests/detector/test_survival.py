"""How rare a value is: counted where it was seen often enough, continued beyond, never too sure."""

from __future__ import annotations

import numpy as np
import pytest

from detector import survival


def p_of(sample, x, **options) -> np.ndarray:
    return np.exp(survival.fit([np.asarray(sample, dtype=float)], **options).log_of(0, np.asarray(x, dtype=float)))


def test_values_seen_often_are_counted_and_ties_are_not_surprising():
    sample = [0] * 800 + [1] * 170 + [2] * 30
    expected = [1, 1, 201 / 1001, 201 / 1001, 31 / 1001, 31 / 1001]  # one more than was seen, of one more
    assert p_of(sample, [-1, 0, 0.5, 1, 1.5, 2]) == pytest.approx(expected)


def test_unknown_values_are_never_rare():
    assert p_of([1, 2, 3, np.nan], [np.nan]).tolist() == [1.0]
    assert p_of([], [5.0, np.nan]).tolist() == [1.0, 1.0]
    assert p_of([np.nan], [5.0]).tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 2, 5, 19, 60, 1000, 20000])
def test_the_rarer_value_is_the_larger_one(n):
    rng = np.random.default_rng(n)
    for sample in (rng.exponential(size=n), rng.poisson(0.3, n), np.full(n, 4.0), rng.standard_t(2, n)):
        p = p_of(sample, np.linspace(-5, 60, 2000))
        assert (np.diff(p) <= 0).all()
        assert ((p > 0) & (p <= 1)).all()
        assert p[-1] < p[0]


@pytest.mark.parametrize("draw", ["exponential", "normal", "gamma", "poisson"])
@pytest.mark.parametrize("n", [60, 300, 3000])
def test_tails_that_were_never_seen_are_estimated_and_not_too_small(draw, n):
    def values(rng, size):
        return {
            "exponential": rng.exponential(size=size),
            "normal": rng.normal(size=size),
            "gamma": rng.gamma(0.5, size=size),
            "poisson": np.log1p(rng.poisson(rng.gamma(0.7, 4, size))),
        }[draw]

    rates = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = p_of(values(rng, n), values(rng, 20000))
        rates.append([(p <= level).mean() / level for level in (0.1, 0.01, 0.001)])
    mean = np.mean(rates, axis=0)
    assert (mean <= [1.3, 1.6, 2.0]).all(), mean
    assert mean[0] >= 0.6


def test_a_far_value_gets_a_small_probability_from_few_sessions():
    sample = np.random.default_rng(0).exponential(size=300)
    near, far = p_of(sample, [9, 18])
    assert 1e-6 < near < 2e-3
    assert far < 1e-5


def test_a_few_huge_values_in_the_sample_do_not_hide_themselves():
    sample = np.random.default_rng(0).exponential(size=2000)
    spoilt = np.concatenate([sample, [40, 41, 42, 43, 44]])

    assert p_of(spoilt, [40])[0] < 1e-5
    # What is frequent is ordinary, however far away.
    assert p_of(np.concatenate([sample, np.full(40, 40.0)]), [40])[0] > 0.01


def test_a_constant_is_surprised_by_anything_larger():
    p = p_of(np.zeros(500), [0, 0.1, 1, 5])
    assert p[0] == 1
    assert p[1] < 0.01
    assert p[3] < p[2] < p[1]


def test_the_order_of_the_sample_does_not_matter():
    sample = np.random.default_rng(0).normal(size=500)
    one, two = survival.fit([sample]), survival.fit([sample[::-1]])
    assert all(one.arrays()[name].tobytes() == two.arrays()[name].tobytes() for name in one.arrays())


def test_values_are_looked_up_each_in_its_own_block():
    rng = np.random.default_rng(3)
    blocks = [rng.poisson(2, 400).astype(float), rng.exponential(size=3000), np.empty(0), np.full(5, 7.0)]
    fitted = survival.fit(blocks)
    of = rng.integers(0, len(blocks), 500)
    x = rng.exponential(4, 500).round(1)
    x[::50] = np.nan

    together = fitted.log_of(of, x)
    assert together.tolist() == [float(fitted.log_of(int(block), x[i : i + 1])[0]) for i, block in enumerate(of)]
    # The plain definition: the last counted point that the value reaches says what is counted.
    counted = (of == 0) & (x <= fitted.start[0])
    reached = [np.flatnonzero(fitted.values[0] <= value)[-1] for value in x[counted]]
    expected = [
        (fitted.logs if fitted.values[0, at] == value else fitted.above)[0, at]
        for at, value in zip(reached, x[counted], strict=True)
    ]
    assert together[counted].tolist() == np.clip(expected, -700, 0).tolist()
