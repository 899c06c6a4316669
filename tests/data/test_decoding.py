import hashlib

import numpy as np
import pytest
from PIL import Image

from feint.core.errors import InputError
from feint.data import decode, open_images, plan_preprocessing, preprocess, stream, survey
from feint.records.run import PreprocessingRecord

SMALL = PreprocessingRecord(channels=1, height=16, width=16, white=255)
LARGE = PreprocessingRecord(channels=3, height=24, width=32, white=255)


@pytest.fixture
def mixed(folder):
    """Return a set of 40 images of three sizes, of which every tenth is damaged."""
    root = folder(*(f"{i:02d}.png" for i in range(0, 40, 2)), shape=(40, 30))
    folder(*(f"{i:02d}.jpg" for i in range(1, 40, 2)), shape=(200, 300, 3))
    for i in range(0, 40, 10):
        whole = (root / f"{i:02d}.png").read_bytes()
        (root / f"{i:02d}.png").write_bytes(whole[: len(whole) // 2])
    return open_images(root, role="normal")


def test_results_do_not_depend_on_threads(mixed):
    one, four = (decode(mixed, [SMALL, LARGE], workers=workers) for workers in (1, 4))
    for a, b in zip(one.pixels, four.pixels, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(one.thumbnails, four.thumbnails)
    assert (one.names, one.hashes, one.skipped) == (four.names, four.hashes, four.skipped)
    assert one.fingerprint == four.fingerprint
    first, second = (survey(mixed, workers=workers) for workers in (1, 4))
    assert first.modes == second.modes
    assert np.array_equal(first.sizes, second.sizes)


def test_every_image_is_what_preprocess_makes_of_it(mixed):
    decoded = decode(mixed, [SMALL, LARGE], workers=2)
    assert [len(pixels) for pixels in decoded.pixels] == [36, 36]
    assert decoded.names == tuple(mixed.names[i] for i in decoded.kept)
    for row, i in enumerate(decoded.kept):
        for pixels, plan in zip(decoded.pixels, (SMALL, LARGE), strict=True):
            assert np.array_equal(pixels[row], preprocess(mixed.read(i), plan))


def test_damaged_images_are_listed_with_reasons(mixed):
    decoded = decode(mixed, [SMALL], workers=2)
    assert [each.path for each in decoded.skipped] == ["00.png", "10.png", "20.png", "30.png"]
    assert all(each.reason.startswith("damaged: ") for each in decoded.skipped)


def test_each_file_is_read_once(mixed, monkeypatch):
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path, **options: opened.append(path) or real(path, **options))
    decode(mixed, [SMALL, LARGE], workers=2)
    assert len(opened) == len(set(opened)) == len(mixed)


def test_pixels_may_go_to_disk(mixed, tmp_path):
    made = []

    def out(shape):
        made.append(np.lib.format.open_memmap(tmp_path / f"{len(made)}.npy", "w+", np.uint8, shape))
        return made[-1]

    decoded = decode(mixed, [SMALL, LARGE], workers=2, out=out)
    assert [each.shape for each in made] == [(40, 1, 16, 16), (40, 3, 24, 32)]
    for pixels, file, memory in zip(decoded.pixels, made, decode(mixed, [SMALL, LARGE], workers=1).pixels, strict=True):
        assert np.shares_memory(pixels, file)
        assert np.array_equal(pixels, memory)


def test_progress_counts_every_image(mixed):
    told = []
    decode(mixed, [], workers=2, progress=told.append)
    assert told == list(range(1, 41))


def test_stream_gives_the_same_in_batches(mixed):
    whole = decode(mixed, [LARGE], workers=1)
    parts = list(stream(mixed, LARGE, batch=7, workers=2))
    assert all(len(part.names) <= 7 for part in parts)
    assert np.array_equal(np.concatenate([part.pixels[0] for part in parts]), whole.pixels[0])
    assert np.array_equal(np.concatenate([part.kept for part in parts]), whole.kept)
    assert [each for part in parts for each in part.skipped] == list(whole.skipped)


def test_stream_goes_on_after_a_batch_of_damaged_images(mixed):
    parts = list(stream(mixed, SMALL, batch=1, workers=1))
    assert parts[0].pixels[0].shape == (0, 1, 16, 16)
    assert sum(len(part.names) for part in parts) == 36


def test_nothing_but_damaged_images(tmp_path):
    Image.new("L", (50, 50)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    images = open_images(tmp_path, role="unlabelled")
    for attempt in (
        lambda: decode(images, [SMALL], workers=1),
        lambda: list(stream(images, SMALL, batch=2, workers=1)),
    ):
        with pytest.raises(InputError, match=r"none of the 1 images .* can be used \(a\.png: damaged"):
            attempt()


def test_the_fingerprint_follows_names_and_pixels(pixels):
    array = pixels(3, 9, 9)
    found = decode(open_images(array, role="normal"), [], workers=1)
    lines = "".join(f"{name}\0{each}\n" for name, each in zip(found.names, found.hashes, strict=True))
    assert found.fingerprint == hashlib.sha256(lines.encode()).hexdigest()
    array[1, 0, 0] ^= 1
    assert decode(open_images(array, role="normal"), [], workers=1).fingerprint != found.fingerprint


def test_native_size_survives_the_whole_way(pixels):
    array = pixels(30, 28, 28)
    images = open_images(array, role="normal")
    decoded = decode(images, [plan_preprocessing(survey(images), image_size=64)], workers=2)
    assert np.array_equal(decoded.pixels[0][:, 0], array)
