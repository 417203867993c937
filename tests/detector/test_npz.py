"""State goes to bytes and back without pickle, without the clock, and says what is wrong with foreign bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest

from detector import npz

ARRAYS = {"b": np.arange(3, dtype=np.float32), "a": np.array([[True], [False]])}


def test_the_order_of_names_and_the_clock_do_not_matter(monkeypatch):
    one = npz.dumps("thing", 1, {"x": 1, "y": "関"}, ARRAYS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    two = npz.dumps("thing", 1, {"y": "関", "x": 1}, dict(reversed(ARRAYS.items())))

    header, arrays = npz.loads(one, "thing", 1)
    assert one == two
    assert header == {"kind": "thing", "version": 1, "x": 1, "y": "関"}
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [[True], [False]], "b": [0, 1, 2]}


def test_big_endian_arrays_give_the_same_bytes():
    big = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in ARRAYS.items()}
    assert npz.dumps("thing", 1, {}, big) == npz.dumps("thing", 1, {}, ARRAYS)


def test_objects_cannot_be_written():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        npz.dumps("thing", 1, {}, {"a": np.array([{}], dtype=object)})


def test_an_archive_of_somebody_else_is_refused():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    with pytest.raises(npz.StateError, match=r"no thing of Sekimori, or damaged .*header\.json"):
        npz.loads(buffer.getvalue(), "thing", 1)


def test_a_flipped_bit_is_noticed():
    data = bytearray(npz.dumps("thing", 1, {}, {"a": np.arange(100)}))
    data[data.index(bytes([50, 0, 0, 0, 0, 0, 0, 0]))] ^= 1
    with pytest.raises(npz.StateError, match="damaged"):
        npz.loads(bytes(data), "thing", 1)
