"""What the benchmark reports."""

from groundling.bench import measure
from groundling.corpus import Corpus
from groundling.devices import Device


def test_a_step_is_measured_and_its_kernels_counted(device: Device, corpus: Corpus):
    m = measure(device, corpus, batch_size=1, windows=2)
    assert 0 < m["host"] <= m["step"]
    assert 50 < m["dispatches"] <= 60
    assert abs(m["tokens_per_second"] * m["step"] - 64) < 1e-9
