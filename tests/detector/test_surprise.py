"""A session odd in one feature stands out among its peers, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from detector import surprise
from detector.npz import StateError, dumps

NAMES = ["reads", "exports", "dwell_s"]
DIRECTIONS = {"dwell_s": "lower"}


def office(rows: int = 900, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Two departments: the counter reads a lot and exports nothing; statistics exports and reads little."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(rows) % 3 == 0, "statistics", "counter")
    counter = groups == "counter"
    reads = np.where(counter, rng.poisson(40, rows), rng.poisson(2, rows))
    exports = np.where(counter, 0, rng.poisson(8, rows))
    return np.column_stack([reads, exports, rng.gamma(9, 5, rows)]).astype(float), groups.tolist()


@pytest.fixture(scope="module")
def tails() -> surprise.PeerTails:
    return surprise.fit(*office(), NAMES, DIRECTIONS)


def test_what_one_department_does_daily_is_odd_in_another(tails):
    row = [2, 9, 45]
    at_home, abroad = (tails.score([row], [group]) for group in ("statistics", "counter"))

    assert at_home.p[0] > 0.05
    assert abroad.p[0] < 0.002
    assert NAMES[abroad.feature[0]] == "exports"
    assert (abroad.observed[0], abroad.peers[0], abroad.peers_n[0]) == (9, 0, 600)


def test_the_further_the_odder_also_beyond_what_was_seen(tails):
    scores = tails.score([[40, 0, 45], [70, 0, 45], [140, 0, 45], [1400, 0, 45]], ["counter"] * 4).score
    assert (np.diff(scores) > 0).all()


def test_only_the_declared_direction_is_suspicious(tails):
    few_reads, many_reads, slow, fast = tails.log_p(
        [[0, 0, 45], [300, 0, 45], [40, 0, 900], [40, 0, 0.1]], ["counter"] * 4
    )
    assert few_reads[0] == pytest.approx(0, abs=1e-9)
    assert many_reads[0] < np.log(0.001)
    assert slow[2] == pytest.approx(0, abs=1e-9)
    assert fast[2] < np.log(0.01)


def test_both_directions_count_twice():
    X, groups = office()
    upper, lower, both = (
        surprise.fit(X, groups, NAMES, dict.fromkeys(NAMES, way)) for way in ("upper", "lower", "both")
    )
    rows, peers = [[400.0, 0, 45], [0, 0, 45]], ["counter"] * 2
    expected = np.minimum(upper.log_p(rows, peers)[:, 0], lower.log_p(rows, peers)[:, 0]) + np.log(2)

    assert both.log_p(rows, peers)[:, 0] == pytest.approx(np.minimum(0, expected))


def test_what_a_group_says_is_drawn_to_what_everybody_says():
    X, groups = office()
    fitted = surprise.fit(X, groups, NAMES, {"reads": "both", "dwell_s": "lower"})
    rows = np.array([[0, 0, 45], [300, 0, 0], [40, 6, 45], [np.nan, 0, 1]])
    everybody, own = fitted.log_p(rows, ["nobody knows"] * 4), fitted.log_p(rows, ["statistics"] * 4)
    scaled = np.sign(rows) * np.log1p(np.abs(rows) / fitted.unit)
    weight = 300 / (300 + surprise.HALF)
    # Sides in order: reads upwards and downwards, exports upwards, dwell_s downwards; `statistics` is the second group.
    exports, dwell = (
        weight * fitted.tails.log_of(2 * 4 + side, values) + (1 - weight) * fitted.tails.log_of(side, values)
        for side, values in ((2, scaled[:, 1]), (3, -scaled[:, 2]))
    )

    assert own[:, 1].tolist() == exports.tolist()
    assert own[:, 2].tolist() == dwell.tolist()
    reads = np.minimum(fitted.tails.log_of(0, scaled[:, 0]), fitted.tails.log_of(1, -scaled[:, 0]))
    assert everybody[:, 0].tolist() == np.minimum(0, reads + np.log(2)).tolist()


def test_unknown_values_surprise_nobody(tails):
    scored = tails.score([[np.nan, np.nan, np.nan]], ["counter"])
    assert (scored.score[0], scored.p[0], scored.feature[0]) == (0, 1, -1)
    assert np.isnan([scored.observed[0], scored.usual[0], scored.peers[0]]).all()


def test_small_and_unknown_groups_are_compared_with_everybody():
    X, groups = office()
    extra = np.tile([500.0, 100, 45], (9, 1))
    fitted = surprise.fit(np.vstack([X, extra]), [*groups, *["night"] * 9], NAMES, DIRECTIONS)
    night, unknown = (fitted.score([[500, 0, 45]], [group]) for group in ("night", "nobody knows"))

    assert fitted.groups == ("counter", "statistics")
    assert night.score == unknown.score
    assert night.peers_n.tolist() == [909]
    assert night.peers[0] == night.usual[0]


def test_a_group_moves_away_from_everybody_as_it_grows():
    X, groups = office()
    logs = []
    for size in (10, 50, 500):
        night = np.tile([300.0, 0, 45], (size, 1)) + np.arange(size)[:, None] % 7 * [1, 0, 0]
        logs.append(
            surprise.fit(np.vstack([X, night]), [*groups, *["night"] * size], NAMES).log_p([[303, 0, 45]], ["night"])[
                0, 0
            ]
        )
    assert logs[0] < logs[1] < logs[2] <= 0


def test_a_misuse_in_the_sample_does_not_hide_itself():
    X, groups = office()
    X[100] = [40, 5000, 45]
    groups[100] = "counter"
    scored = surprise.fit(X, groups, NAMES, DIRECTIONS).score(X, groups)

    assert np.argmax(scored.score) == 100
    assert scored.p[100] < 1e-4


def test_the_order_of_rows_does_not_matter_and_bytes_read_back(tails):
    X, groups = office()
    order = np.random.default_rng(1).permutation(len(X))
    other = surprise.fit(X[order], [groups[i] for i in order], NAMES, DIRECTIONS)
    back = surprise.PeerTails.from_bytes(tails.to_bytes())

    assert other.to_bytes() == tails.to_bytes() == back.to_bytes()
    assert back.score(X, groups).score.tobytes() == tails.score(X, groups).score.tobytes()


def test_a_row_alone_scores_as_among_others(tails):
    X, groups = office(seed=3)
    together = tails.score(X, groups).score
    assert together[7] == tails.score(X[7:8], groups[7:8]).score[0]
    assert tails.score(X[:0], []).score.shape == (0,)


def test_wrong_input_is_refused(tails):
    X, groups = office(30)
    X[4, 1] = np.inf
    with pytest.raises(ValueError, match="exports is infinite in row 4"):
        tails.score(X, groups)
    with pytest.raises(ValueError, match="expected rows × 3 features"):
        tails.score(X[:, :2], groups)
    with pytest.raises(ValueError, match="30 rows but 29 groups"):
        surprise.fit(X, groups[1:], NAMES)
    with pytest.raises(ValueError, match="'up' is none of upper, lower, both"):
        surprise.fit(office(30)[0], groups, NAMES, {"reads": "up"})
    with pytest.raises(ValueError, match="no feature given"):
        surprise.fit(np.empty((30, 0)), groups, [])
    with pytest.raises(StateError, match="version 2"):
        surprise.PeerTails.from_bytes(dumps("peer tails", 2, {}, {}))
