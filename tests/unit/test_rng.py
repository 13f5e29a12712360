"""Random numbers are the same everywhere: golden.json's, JavaScript's, and both hosts'."""

import hashlib
import math

import numpy as np
import pytest

from groundling import rng
from groundling.config import GPTConfig
from groundling.model import initial_weights
from groundling.rng import Stream, cyrb128

# What the published JavaScript of cyrb128 gives in Node 20.
JAVASCRIPT_HASHES = {
    "": (41608494, 480788319, 2264674419, 2553211394),
    "Ophélie": (735513636, 4119727252, 2794415995, 2027317195),
    "👻 king": (4270776282, 119867423, 3044655332, 1288836897),
    "\ud800x": (1464270295, 1323185799, 1759012486, 1900064214),
}


def test_a_name_hashes_as_golden_json_says(golden):
    assert list(cyrb128("hamlet")) == golden["rng"]["cyrb128('hamlet')"]


@pytest.mark.parametrize("name", JAVASCRIPT_HASHES)
def test_a_name_hashes_as_in_javascript_whatever_its_characters(name):
    assert cyrb128(name) == JAVASCRIPT_HASHES[name]


def test_the_first_draws_are_those_of_golden_json(golden):
    draws = golden["rng"]["first draws of sfc32(cyrb128('hamlet'))"]
    assert Stream("hamlet").uniform(len(draws)).tolist() == draws


def test_the_hundred_thousandth_draw_is_that_of_javascript():
    assert Stream("Ophélie").words(100_000)[-1] == 2669879698


def test_draws_do_not_depend_on_how_many_are_taken_at_once():
    whole, parts = Stream("x"), Stream("x")
    assert whole.words(30) == parts.words(7) + parts.words(0) + parts.words(1) + parts.words(22)
    assert whole.state == parts.state


def test_a_stream_set_to_a_state_goes_on_exactly_from_there():
    stream, other = Stream("x"), Stream("y")
    stream.normal(101)
    other.state = stream.state
    assert other.words(50) == stream.words(50)


def test_the_counter_wraps_around_at_32_bits():
    stream = Stream("x")
    a, b, c, _ = stream.state
    stream.state = a, b, c, 2**32 - 1
    stream.words(3)
    assert stream.state[3] == 2
    assert all(0 <= word < 2**32 for word in stream.state)


def test_normal_numbers_are_those_of_javascript():
    # Math.sqrt(-2 ln u) times the cosine and the sine of 2 pi v, in Node 20; a host's own logarithm
    # or cosine may differ in a double's last bit.
    expected = [-0.012429598882882873, -1.155147317772624, -1.1916242108646378, 0.8320818503211541]
    np.testing.assert_allclose(Stream("hamlet").normal(4), expected, rtol=1e-14)


def test_an_odd_count_drops_the_last_twin():
    odd, even = Stream("x"), Stream("x")
    np.testing.assert_array_equal(odd.normal(5), even.normal(6)[:5])
    assert odd.state == even.state


def test_normal_numbers_have_mean_0_and_variance_1():
    x = Stream("moments").normal(100_000)
    assert abs(x.mean()) < 0.012  # 4 standard errors, 1 / sqrt(n) each
    assert abs(x.var() - 1) < 0.018  # 4 of sqrt(2 / n)


def test_a_draw_of_zero_still_makes_a_finite_normal_number(monkeypatch):
    monkeypatch.setattr(Stream, "words", lambda self, n: [0] * n)
    assert np.isfinite(Stream("x").normal(2)).all()


@pytest.mark.parametrize("seed", ["hamlet", "hamllet"])
def test_the_initial_weights_of_a_seed_hash_as_golden_json_says(golden, seed):
    weights = initial_weights(GPTConfig(), seed)
    assert weights.dtype == np.float32
    assert weights.size == golden["init"]["parameters"]
    expected = golden["init"]["sha256 of the 824064 weight bytes at iter 0"][seed]
    assert hashlib.sha256(weights.astype("<f4").tobytes()).hexdigest() == expected


def test_the_functions_of_many_numbers_are_maths_to_the_bit():
    """In Pyodide they are NumPy's; were those others, weights would differ between the hosts."""
    u = Stream("functions").uniform(20_000)
    for ours, theirs in ((rng.log, math.log), (rng.cos, math.cos), (rng.sin, math.sin)):
        x = np.maximum(u, 1e-300) if theirs is math.log else 2 * math.pi * u
        assert ours(x).tolist() == [theirs(number) for number in x.tolist()]
