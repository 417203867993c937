import numpy as np
import polars as pl
import pytest

from detector.enrich.intervals import BEGINNING, FOREVER, SMALL, Codes, Cover, Timeline, last, pack, search


def arrays(*columns: list[int]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(column, dtype=np.int64) for column in columns)


def random_rows(seed: int) -> tuple[np.ndarray, ...]:
    """Rows that overlap, nest, touch, are open, end before they begin, or have no key."""
    rng = np.random.default_rng(seed)
    keys = rng.integers(-1, 6, 60) * (1 if seed % 2 else 10**12)  # codes of one column, or packed ones far apart
    keys[keys < 0] = -1
    start = rng.integers(0, 40, 60)
    end = start + rng.integers(-3, 15, 60)
    start[rng.random(60) < 0.1] = BEGINNING
    end[rng.random(60) < 0.1] = FOREVER
    return keys.astype(np.int64), start, end


def queries(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    asked = np.append(np.unique(keys), [7, 5 * 10**12 + 1])
    grid = np.array([(key, time) for key in asked for time in range(-1, 60)], dtype=np.int64)
    return np.ascontiguousarray(grid[:, 0]), np.ascontiguousarray(grid[:, 1])


@pytest.mark.parametrize("seed", range(20))
def test_timeline_agrees_with_looking_at_every_row(seed):
    keys, start, end = random_rows(seed)
    asked, times = queries(keys)

    found = Timeline(keys, start, end).row(asked, times)

    for key, time, row in zip(asked.tolist(), times.tolist(), found.tolist(), strict=True):
        valid = [(start[i], i) for i in range(len(keys)) if keys[i] == key >= 0 and start[i] <= time <= end[i]]
        assert row == (max(valid)[1] if valid else -1), (key, time)


@pytest.mark.parametrize("seed", range(20))
def test_cover_agrees_with_looking_at_every_row(seed):
    keys, start, end = random_rows(seed)
    asked, times = queries(keys)
    cover = Cover(keys, start, end)

    covers, begun, since, ended = cover.told(asked, times)
    assert cover.covers(asked, times).tolist() == covers.tolist()

    for place, (key, time) in enumerate(zip(asked.tolist(), times.tolist(), strict=True)):
        own = [i for i in range(len(keys)) if keys[i] == key >= 0 and start[i] <= end[i]]
        inside = any(start[i] <= time <= end[i] for i in own)
        assert covers[place] == inside
        assert begun[place] == any(start[i] <= time for i in own)
        if inside:
            first = time
            while any(start[i] <= first - 1 <= end[i] for i in own) and first > -50:
                first -= 1
            assert since[place] == (BEGINNING if first <= -50 else first)
            assert ended[place] == BEGINNING
        else:
            assert since[place] == FOREVER
            assert ended[place] == max((end[i] for i in own if end[i] < time), default=BEGINNING)


def test_intervals_that_touch_are_one():
    cover = Cover(*arrays([1, 1, 1], [0, 10, 30], [9, 19, 39]))

    assert cover.told(*arrays([1, 1, 1], [15, 25, 30])).since.tolist() == [0, FOREVER, 30]


def test_last_answers_for_ever():
    timeline = last(*arrays([1, 1, -1], [5, 9, 5]))

    assert timeline.row(*arrays([1, 1, 1, 2, -1], [4, 5, 99, 5, 5])).tolist() == [-1, 0, 1, -1, -1]


def test_no_rows_and_no_queries():
    nothing = arrays([], [], [])

    assert Timeline(*nothing).row(*arrays([1, -1], [0, 0])).tolist() == [-1, -1]
    assert Cover(*nothing).covers(*arrays([1], [0])).tolist() == [False]
    assert Timeline(*arrays([1], [0], [1])).row(*arrays([], [])).tolist() == []


def test_codes_are_the_same_for_few_and_many():
    codes = Codes(pl.Series([f"x{i:03d}" for i in range(500)] + [None, ""]))
    asked = pl.Series(["x007", None, "y", "", "x499", "a"])

    few = codes.encode(asked).tolist()
    many = codes.encode(pl.concat([asked] * 100)).tolist()

    assert few == [codes.texts.to_list().index("x007"), -1, -1, 0, 500, -1]
    assert many == few * 100


def test_packed_keys_differ_and_unknown_stays_unknown():
    first, second = arrays([0, 1, -1, 1], [1, 0, 0, -1])

    assert pack((first, 2), (second, 2)).tolist() == [1, 2, -1, -1]


def test_a_large_table_is_searched_with_the_same_result():
    texts = pl.Series([f"t{place}" for place in range(2 * SMALL)])
    asked = pl.concat([texts.sample(fraction=0.2, seed=1, shuffle=True), pl.Series(["none", None, ""])])

    codes = Codes(texts).encode(asked)

    order = {text: place for place, text in enumerate(sorted(texts))}
    assert codes.tolist() == [order.get(text, -1) for text in asked]


def test_searching_in_order_finds_the_same_places():
    draw = np.random.default_rng(1)
    table = np.sort(draw.integers(0, 10**6, 2 * SMALL))
    sought = draw.integers(-10, 10**6 + 10, 1000)

    assert search(table, sought).tolist() == np.searchsorted(table, sought).tolist()
