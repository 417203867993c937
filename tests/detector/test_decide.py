"""The risk: bounds, monotony, independence of order, and shares that add up."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from detector import decide

SIGNS = st.lists(
    st.tuples(st.sampled_from(["leaver", "export", "time"]), st.floats(0.001, 0.97)), min_size=1, max_size=8
)


def contributions(signs: list[tuple[str, float]]) -> pl.DataFrame:
    rows = [("u", family, f"rule-{n}", p) for n, (family, p) in enumerate(signs)]
    return pl.DataFrame(rows, schema=decide.CONTRIBUTIONS, orient="row")


def risk_of(signs: list[tuple[str, float]], odds: float = 1.0) -> float:
    context = pl.DataFrame({"unit": ["u"], "odds": [odds]})
    return decide.risk(decide.families(contributions(signs)), context)["risk"].item()


def test_one_hit_counts_for_what_it_is():
    assert abs(risk_of([("leaver", 0.8)]) - 0.8) < 1e-12


def test_a_second_sign_of_the_same_family_adds_less_than_one_of_another():
    same, other = risk_of([("leaver", 0.5), ("leaver", 0.5)]), risk_of([("leaver", 0.5), ("export", 0.5)])
    assert 0.5 < same < other == 0.75


def test_a_family_never_exceeds_one_and_a_half_times_its_largest_hit():
    assert risk_of([("time", 0.2)] * 8) <= 0.3 + 1e-12


@given(SIGNS, st.floats(0.01, 100))
def test_the_risk_stays_between_zero_and_one(signs: list[tuple[str, float]], odds: float):
    assert 0 < risk_of(signs, odds) < 1


@given(SIGNS, st.randoms())
def test_the_order_of_the_hits_does_not_matter(signs: list[tuple[str, float]], random):
    mixed = contributions(signs).sample(fraction=1.0, shuffle=True, seed=random.randrange(1000))
    assert decide.families(mixed).equals(decide.families(contributions(signs)))


@given(SIGNS, st.tuples(st.sampled_from(["leaver", "export", "auth"]), st.floats(0.001, 0.97)))
def test_a_further_hit_never_lowers_the_risk(signs: list[tuple[str, float]], more: tuple[str, float]):
    assert risk_of([*signs, more]) >= risk_of(signs) - 1e-12


@given(SIGNS)
def test_shares_add_up_to_one(signs: list[tuple[str, float]]):
    assert abs(decide.families(contributions(signs))["share"].sum() - 1) < 1e-9


def test_context_is_kept_between_a_quarter_and_four():
    assert risk_of([("time", 0.5)], 100) == risk_of([("time", 0.5)], 4) == 0.8


def test_surprise_contributes_only_below_the_floor():
    frame = pl.DataFrame({"p": [0.5, 1e-2, 1e-4, 1e-9, 0.0, None]})
    got = frame.select(decide.surprise_p(pl.col("p"), decide.Thresholds())).to_series().to_list()
    assert got[0] == got[1] == got[5] == 0
    assert abs(got[2] - 0.4) < 1e-9
    assert got[3] == got[4] == decide.Thresholds().surprise_most


def test_queues_follow_the_thresholds():
    frame = pl.DataFrame({"risk": [0.7, 0.69, 0.35, 0.12, 0.11]})
    got = frame.select(decide.queue(pl.col("risk"), decide.Thresholds())).to_series().to_list()
    assert got == ["alert", "review", "review", "digest", "none"]


def test_the_empty_frame_gives_no_risk():
    assert decide.families(pl.DataFrame(schema=decide.CONTRIBUTIONS)).is_empty()
