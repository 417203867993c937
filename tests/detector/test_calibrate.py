"""A p of one in a hundred comes up for one ordinary session in a hundred."""

from __future__ import annotations

import numpy as np
import pytest

from detector import calibrate
from detector.npz import StateError, dumps


def scores(rows: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Scores of two groups whose scales differ by ten."""
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random(rows) < 0.3, "counter", "statistics")
    return rng.gamma(2, np.where(groups == "counter", 10, 1)), groups.tolist()


@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_the_nominal_rate_holds_on_ordinary_sessions_in_each_group(level):
    rates = {"counter": [], "statistics": []}
    for seed in range(10):
        fitted = calibrate.fit(*scores(2000, seed))
        values, groups = scores(30000, 1000 + seed)
        hit = fitted.p_value(values, groups) <= level
        for name, seen in rates.items():
            seen.append(hit[np.array(groups) == name].mean() / level)
    for seen in rates.values():
        assert 0.25 <= np.mean(seen) <= 1.5


def test_small_probabilities_are_reached_with_few_sessions():
    fitted = calibrate.fit(np.random.default_rng(0).exponential(size=300), ["a"] * 300)
    p = fitted.p_value([1, 5, 10, 20, 40], ["a"] * 5)

    assert (np.diff(p) < 0).all()
    assert p[0] == pytest.approx(np.exp(-1), rel=0.25)
    assert p[3] < 1e-5


def test_alerted_sessions_in_the_calibration_set_do_not_silence_the_next():
    clean, groups = scores(4000, 0)
    spoilt = np.append(clean, [400.0] * 3)
    fitted = calibrate.fit(spoilt, [*groups, *["counter"] * 3])
    assert fitted.p_value([400], ["counter"])[0] < 1e-4


def test_groups_too_small_are_pooled_with_each_other():
    rng = np.random.default_rng(0)
    large, small = rng.exponential(size=1000), rng.exponential(10, size=120)
    fitted = calibrate.fit([*large, *small], ["large"] * 1000 + [f"small {i % 4}" for i in range(120)])

    assert fitted.groups == ("large",)
    assert fitted.p_value([10], ["large"])[0] < 0.001
    assert fitted.p_value([10], ["small 1"])[0] == pytest.approx(np.exp(-1), rel=0.3)
    assert fitted.p_value([10], ["never seen"]) == fitted.p_value([10], ["small 1"])


def test_without_any_session_nothing_is_rare():
    assert calibrate.fit([], []).p_value([1e9], ["a"]).tolist() == [1.0]


def test_the_union_keeps_the_nominal_rate_and_names_its_member():
    rng = np.random.default_rng(0)
    p, member = calibrate.union(rng.random(100_000), rng.random(100_000))
    assert (p <= 0.02).mean() == pytest.approx(0.02, rel=0.1)
    same = rng.random(100_000)
    assert (calibrate.union(same, same)[0] <= 0.02).mean() <= 0.02

    p, member = calibrate.union([0.5, 0.2, 0.9, 0.1], [0.01, 0.3, 0.9, 0.1])
    assert p.tolist() == [0.02, 0.4, 1.0, 0.2]
    assert member.tolist() == ["peer", "forest", "peer", "peer"]


def test_the_order_of_sessions_does_not_matter_and_bytes_read_back():
    values, groups = scores(500, 0)
    one = calibrate.fit(values, groups).to_bytes()
    assert calibrate.fit(values[::-1], groups[::-1]).to_bytes() == one
    assert calibrate.Calibration.from_bytes(one).to_bytes() == one


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="2 groups for scores of shape"):
        calibrate.fit([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="score 1 is NaN"):
        calibrate.fit([1.0, np.nan], ["a", "b"])
    with pytest.raises(StateError, match="version 7"):
        calibrate.Calibration.from_bytes(dumps("calibration", 7, {}, {}))
