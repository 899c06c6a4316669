"""Arrays in files: written once, whole, found again, mapped."""

import errno

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays

from feint.backends import SerialExecutor
from feint.backends.backend import share_file
from feint.core.errors import OutputError, SettingError


@given(array=arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0, max_side=4)))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_opened_is_what_was_shared(tmp_path, array):
    found = SerialExecutor().share(array, folder=tmp_path, name="any").open()
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_the_same_array_is_written_once(tmp_path):
    array = np.arange(24).reshape(4, 6)
    first = share_file(array, folder=tmp_path, name="images")
    written = first.path.stat()
    again = share_file(np.asfortranarray(array), folder=tmp_path, name="images")
    assert again == first
    assert (again.path.stat().st_ino, again.path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_another_type_or_shape_of_the_same_bytes_is_another_file(tmp_path):
    array = np.arange(6, dtype=np.int32)
    variants = [array, array.view(np.uint32), array.reshape(2, 3)]
    assert len({share_file(each, folder=tmp_path, name="x").path for each in variants}) == 3


def test_opening_maps_the_file_and_reads_nothing(tmp_path):
    assert isinstance(share_file(np.zeros(5), folder=tmp_path, name="x").open(), np.memmap)


def test_a_relative_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shared = share_file(np.ones(3), folder=tmp_path.relative_to(tmp_path) / "arrays", name="x")
    monkeypatch.chdir("/")
    assert shared.open().sum() == 3


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(file, array, **_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(np, "save", full)
        with pytest.raises(OutputError, match="disk is full"):
            share_file(np.ones(3), folder=tmp_path, name="x")
    assert list(tmp_path.iterdir()) == []
    assert share_file(np.ones(3), folder=tmp_path, name="x").open().sum() == 3


def test_objects_cannot_be_shared(tmp_path):
    with pytest.raises(SettingError, match="numbers.*object"):
        share_file(np.array([{}, None]), folder=tmp_path, name="x")
