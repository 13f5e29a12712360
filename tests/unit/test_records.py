"""The log of a run: a list of Records whose copies share what does not change any more."""

import gc
import math
import tracemalloc

import numpy as np
import pytest

from groundling.runs.records import BLOCK, Log, Record


def record(it: int, val: float | None = None, train: float | None = None) -> Record:
    return Record(it, 4.0 - it if train is None else train, 1e-3, val, 0.5 * it, 4.0 + it)


def filled(n: int, first: int = 0) -> Log:
    return Log(
        first, [record(it, it / 2 if it % 3 == 0 else None) for it in range(first, first + n)]
    )


@pytest.mark.parametrize("n", [0, 1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_it_is_a_sequence_of_the_records_that_went_in(n):
    expected = [record(it, it / 2 if it % 3 == 0 else None) for it in range(7, 7 + n)]
    log = Log(7, expected)
    assert (len(log), list(log), bool(log)) == (n, expected, n > 0)
    assert log == expected and log != [*expected, record(7 + n)]
    for at in (
        slice(None),
        slice(2),
        slice(BLOCK - 2, BLOCK + 2),
        slice(-3, None),
        slice(9, 1, -2),
    ):
        assert log[at] == expected[at]
    for at in range(-min(n, 3), min(n, 3)):
        assert log[at] == expected[at]
    with pytest.raises(IndexError):
        log[n]


def test_only_the_record_of_the_next_iteration_is_taken():
    log = filled(3, first=4)
    for it in (6, 8, 0):
        with pytest.raises(ValueError, match=f"of iter {it}; the log is at 7"):
            log.append(record(it))
    assert len(log) == 3


def test_what_overflowed_is_kept_and_what_was_not_evaluated_is_none():
    log = Log(
        0, [Record(0, 1.5, 0.0, None, math.inf, 1.5), Record(1, 1.5, 0.0, math.inf, 0.0, 1.5)]
    )
    assert [one.val for one in log] == [None, math.inf]
    assert log[0].grad_norm == math.inf


@pytest.mark.parametrize("n", [3, BLOCK, BLOCK + 3])
def test_copies_go_different_ways(n):
    log = filled(n)
    one, two = Log(0, log), Log(0, log)
    one.append(record(n, train=1.0))
    two.append(record(n, train=2.0))
    log.append(record(n, train=3.0))
    assert [each[-1].train for each in (one, two, log)] == [1.0, 2.0, 3.0]
    assert one[:n] == two[:n] == log[:n] == list(filled(n))


def test_a_log_begins_with_what_it_was_before_and_with_no_other():
    before = filled(BLOCK + 5)
    log = Log(0, before)
    for it in range(BLOCK + 5, 2 * BLOCK + 9):
        log.append(record(it))
    read = Log.of_rows(0, np.concatenate(list(log.blocks())))  # as from a file: nothing is shared
    assert log.begins_with(before) and read.begins_with(before) and log == read
    assert not before.begins_with(log)
    other = Log(0, before[:-1])
    other.append(record(BLOCK + 4, train=9.0))
    assert not log.begins_with(other)
    assert not log.begins_with(Log(1)) and log.begins_with(Log(0))


def test_its_rows_can_be_had_from_any_record_on():
    log = filled(2 * BLOCK + 9)
    rows = np.concatenate(list(log.blocks()))
    for start in (0, 1, BLOCK, BLOCK + 3, len(log) - 1):
        np.testing.assert_array_equal(np.concatenate(list(log.blocks(start))), rows[start:])
    assert list(log.blocks(len(log))) == []
    np.testing.assert_array_equal(log.column("train"), [one.train for one in log])


@pytest.mark.native
def test_a_copy_of_a_long_log_takes_next_to_no_memory():
    log = Log.of_rows(0, np.zeros((1_000_000, 5)))
    gc.collect()
    tracemalloc.start()
    copies = [Log(0, log) for _ in range(3)]
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(copies[0]) == 1_000_000
    assert taken < 1_000_000  # a block of each, and lists of 245 of them
