from collector.portion import MOST_BYTES, SEALED_BYTES, UNKNOWN_GROWTH, Portion

IN_FLIGHT = 16 << 20


def test_a_source_that_is_unknown_gets_what_fits_should_it_grow_much():
    assert Portion(["a"]).most_bytes(IN_FLIGHT) == SEALED_BYTES / UNKNOWN_GROWTH


def test_a_source_that_grows_little_is_read_in_larger_portions():
    portion = Portion(["a"])
    for _ in range(30):
        portion.read("a", 1 << 20, 3_000)
        portion.sealed(2 << 20)
    assert portion.most_bytes(IN_FLIGHT) == MOST_BYTES


def test_one_that_grows_more_than_was_known_is_believed_at_once():
    portion = Portion(["a"])
    portion.read("a", 1 << 20, 3_000)
    portion.sealed(10 << 20)
    assert portion.most_bytes(IN_FLIGHT) == 1 << 20


def test_the_source_that_grows_most_counts_and_so_does_one_that_was_never_seen():
    portion = Portion(["a", "b"])
    for _ in range(30):
        portion.read("a", 1 << 20, 3_000)
        portion.sealed(2 << 20)
    assert portion.growth == UNKNOWN_GROWTH
    for _ in range(30):
        # Together 4 MiB of 8,000 events, of which 6,000 are of b: 3 MiB from 1 MiB.
        portion.read("a", 1 << 20, 2_000)
        portion.read("b", 1 << 20, 6_000)
        portion.sealed(4 << 20)
    assert abs(portion.growth - 3) < 0.01


def test_nothing_is_learnt_from_a_few_lines_or_from_heartbeats():
    portion = Portion(["a"])
    portion.read("a", 1000, 1)
    portion.sealed(1 << 20)
    portion.sealed(1 << 20)
    assert portion.growth == UNKNOWN_GROWTH


def test_no_turn_fills_more_than_three_quarters_of_what_may_be_in_flight():
    assert Portion(["a"]).most_bytes(4 << 20) * UNKNOWN_GROWTH <= 3 << 20
