"""Scores from flat arrays are scikit-learn's, bit by bit; what is no number is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from detector import forest
from detector.npz import StateError, dumps


def tables() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.gamma(0.5, 4, (600, 12))).astype(np.float32)
    return {
        "normal": rng.normal(size=(700, 8)),
        "counts with many zeros": counts,
        "log counts": np.log1p(counts),
        "a constant feature": np.column_stack([rng.normal(size=300), np.full(300, 3.0), rng.normal(size=300)]),
        "constant features only": np.ones((50, 4)),
        "duplicates": np.repeat(rng.integers(0, 3, (5, 3)), 80, axis=0),
        "one row": np.array([[1.0, 2.0]]),
        "two rows": np.array([[1.0, 2.0], [1.0, 3.0]]),
        "one feature": rng.exponential(size=(400, 1)),
        "scales far apart": rng.normal(size=(300, 3)) * [1e-20, 1.0, 1e20],
        "neighbouring float32": np.float32(1) + np.spacing(np.float32(1)) * rng.integers(0, 4, (300, 2)),
    }


@pytest.mark.parametrize("name", tables())
def test_scores_are_those_of_scikit_learn(name):
    rows = tables()[name]
    fitted = forest.fit(rows, seed=3)
    flat = forest.compile(fitted)
    elsewhere = np.random.default_rng(8).normal(size=rows.shape) * 10

    for table in (rows, elsewhere, rows[:1], rows[: (len(rows) + 1) // 2]):
        expected = fitted.score_samples(table.astype(np.float32))
        assert flat.score(table).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "options", [{"max_features": 0.4}, {"bootstrap": True}, {"max_samples": 30, "n_estimators": 7}]
)
def test_forests_fitted_with_other_options_compile_too(options):
    rows = np.random.default_rng(1).normal(size=(500, 9)).astype(np.float32)
    fitted = IsolationForest(random_state=0, **options).fit(rows)

    assert forest.compile(fitted).score(rows).tobytes() == fitted.score_samples(rows).tobytes()


def test_values_on_a_threshold_go_the_same_way():
    rows = np.random.default_rng(2).normal(size=(400, 3)).astype(np.float32)
    fitted = forest.fit(rows, seed=1)
    flat = forest.compile(fitted)
    cuts = flat.threshold[np.isfinite(flat.threshold)][:900]
    near = np.concatenate([cuts, np.nextafter(cuts, np.float32(np.inf)), np.nextafter(cuts, np.float32(-np.inf))])
    table = near[: len(near) // 3 * 3].reshape(-1, 3)

    assert flat.score(table).tobytes() == fitted.score_samples(table).tobytes()


def test_a_score_does_not_depend_on_the_rows_beside_it():
    rows = np.random.default_rng(3).normal(size=(1500, 5))
    flat = forest.compile(forest.fit(rows, seed=0))

    together = flat.score(rows)
    alone = np.concatenate([flat.score(rows[i : i + 1]) for i in range(0, 1500, 50)])
    assert together[::50].tobytes() == alone.tobytes()


def test_equal_rows_score_the_same_wherever_they_stand():
    rows = np.random.default_rng(5).poisson(0.4, size=(600, 3)).astype(float)
    model = forest.fit(rows, seed=0)

    assert len(np.unique(rows, axis=0)) < 100
    assert forest.compile(model).score(rows).tobytes() == model.score_samples(rows.astype(np.float32)).tobytes()


def test_the_odder_row_scores_lower():
    rows = np.random.default_rng(4).normal(size=(800, 4))
    flat = forest.compile(forest.fit(rows, seed=0))

    usual, odd = flat.score([[0, 0, 0, 0], [9, 9, 9, 9]])
    assert -1 <= odd < usual <= 0


def test_no_rows_give_no_scores():
    flat = forest.compile(forest.fit(np.eye(5), seed=0))
    assert flat.score(np.empty((0, 5))).shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_no_finite_float32_is_refused_with_its_place(value):
    rows = np.ones((4, 3))
    flat = forest.compile(forest.fit(rows, seed=0))
    rows[2, 1] = value

    with pytest.raises(ValueError, match=r"1 cells are NaN, infinite or beyond float32, the first in row 2, feature 1"):
        flat.score(rows)
    with pytest.raises(ValueError, match="row 2, feature 1"):
        forest.fit(rows, seed=0)


def test_wrong_shapes_are_refused():
    flat = forest.compile(forest.fit(np.eye(5), seed=0))
    with pytest.raises(ValueError, match="fitted on 5 features, got 4"):
        flat.score(np.ones((2, 4)))
    with pytest.raises(ValueError, match="rows × features"):
        flat.score(np.ones(5))
    with pytest.raises(ValueError, match="nothing to learn from 0 rows"):
        forest.fit(np.empty((0, 5)), seed=0)


def test_the_same_rows_and_seed_give_the_same_bytes_and_they_read_back():
    rows = np.random.default_rng(5).normal(size=(300, 6))
    one, two = (forest.compile(forest.fit(rows, seed=9)).to_bytes() for _ in range(2))
    back = forest.FlatForest.from_bytes(one)

    assert one == two
    assert back.to_bytes() == one
    assert back.score(rows).tobytes() == forest.compile(forest.fit(rows, seed=9)).score(rows).tobytes()
    assert forest.compile(forest.fit(rows, seed=10)).id != back.id


def test_bytes_of_another_kind_or_version_or_damaged_are_refused():
    good = forest.compile(forest.fit(np.eye(4), seed=0)).to_bytes()
    with pytest.raises(StateError, match="version 99, this program reads version 1"):
        forest.FlatForest.from_bytes(dumps("forest", 99, {}, {}))
    with pytest.raises(StateError, match="expected a forest, found 'tails'"):
        forest.FlatForest.from_bytes(dumps("tails", 1, {}, {}))
    with pytest.raises(StateError, match="damaged"):
        forest.FlatForest.from_bytes(good[: len(good) // 2])
    with pytest.raises(StateError, match="damaged"):
        forest.FlatForest.from_bytes(b"")
    with pytest.raises(StateError, match=r"cannot be read|damaged"):
        forest.FlatForest.from_bytes(good.replace(b"'descr': '<f8'", b"'descr': '|O' "))
