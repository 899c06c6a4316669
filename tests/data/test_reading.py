import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from feint.data.reading import MEGAPIXEL_LIMIT, UnreadableImageError, checked_pixels, read_header, read_pixels

ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: bytes, *, width: int, height: int, depth: int, colour: int, between: bytes = b"") -> bytes:
    """Write a PNG by hand, so that what is read does not depend on Pillow's own writer."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + between + data + chunk(b"IEND", b"")


def lines(array: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in array)


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "TIFF", "webp"])
@pytest.mark.parametrize("shape", [(10, 14), (10, 14, 3)])
def test_lossless_formats_come_back_exactly(tmp_path, pixels, suffix, shape):
    image, path = pixels(*shape), tmp_path / f"a.{suffix}"
    Image.fromarray(image).save(path, lossless=True)
    read = read_pixels(path)
    if suffix == "webp" and len(shape) == 2:  # WebP knows no grey
        assert (read == image[..., None]).all()
    else:
        assert np.array_equal(read, image)
    assert read.dtype == np.uint8
    header = read_header(path)
    assert (header.height, header.width, header.frames) == (10, 14, 1)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG"])
def test_jpeg_comes_back_nearly(tmp_path, suffix):
    ramp = np.add.outer(np.arange(32), 2 * np.arange(48)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / f"a.{suffix}", "JPEG", quality=95)
    assert np.abs(read_pixels(tmp_path / f"a.{suffix}").astype(int) - ramp).max() <= 3


def test_png_written_by_hand_in_16_bits(tmp_path):
    image = np.arange(8 * 9, dtype=np.uint16).reshape(8, 9) * 900
    (tmp_path / "a.png").write_bytes(png(lines(image.astype(">u2")), width=9, height=8, depth=16, colour=0))
    read = read_pixels(tmp_path / "a.png")
    assert read.dtype == np.uint16
    assert np.array_equal(read, image)


def test_png_written_by_hand_in_1_bit(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (9, 16), np.uint8)
    (tmp_path / "a.png").write_bytes(png(lines(np.packbits(bits, axis=1)), width=16, height=9, depth=1, colour=0))
    assert np.array_equal(read_pixels(tmp_path / "a.png"), bits * 255)


def test_palette_written_by_hand(tmp_path):
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    index = np.random.default_rng(1).integers(0, 256, (8, 11), np.uint8)
    data = png(lines(index), width=11, height=8, depth=8, colour=3, between=chunk(b"PLTE", palette.tobytes()))
    (tmp_path / "a.png").write_bytes(data)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), palette[index])


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])) + chunk(b"tRNS", bytes([255, 0]))
    index = np.tile(np.array([[0, 1]], np.uint8), (8, 4))
    (tmp_path / "a.png").write_bytes(png(lines(index), width=8, height=8, depth=8, colour=3, between=palette))
    read = read_pixels(tmp_path / "a.png")
    assert read[0, 0].tolist() == [10, 20, 30]
    assert read[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(tmp_path, pixels, mode):
    image = pixels(12, 9, len(mode))
    Image.fromarray(image, mode=None).save(tmp_path / "a.png") if mode == "RGBA" else Image.merge(
        "LA", [Image.fromarray(image[..., i]) for i in range(2)]
    ).save(tmp_path / "a.png")
    alpha = image[..., -1:] / 255
    expected = image[..., :-1] * alpha + 255 * (1 - alpha)
    read = read_pixels(tmp_path / "a.png")
    assert read.ndim == {"RGBA": 3, "LA": 2}[mode]
    assert np.abs(read.reshape(expected.shape) - expected).max() <= 1


def test_opaque_alpha_changes_nothing(tmp_path, pixels):
    image = pixels(9, 9, 4)
    image[..., 3] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(read_pixels(tmp_path / "a.png"), image[..., :3])


def test_cmyk_becomes_rgb(tmp_path, pixels):
    image = pixels(10, 10, 4)
    Image.frombytes("CMYK", (10, 10), image.tobytes()).save(tmp_path / "a.tif")
    expected = 255 * (1 - image[..., :3] / 255) * (1 - image[..., 3:] / 255)
    assert np.abs(read_pixels(tmp_path / "a.tif") - expected).max() <= 1
    assert read_header(tmp_path / "a.tif").mode == "CMYK"


@pytest.mark.parametrize(("dtype", "native"), [("<u2", "u2"), (">u2", "u2"), ("<i4", "u2"), ("<f4", "f4")])
def test_deep_tiff(tmp_path, dtype, native):
    image = (np.arange(80).reshape(8, 10) * 800).astype(dtype)
    mode = {"<u2": "I;16", ">u2": "I;16B", "<i4": "I", "<f4": "F"}[dtype]
    Image.frombytes(mode, (10, 8), image.tobytes()).save(tmp_path / "a.tif")
    read = read_pixels(tmp_path / "a.tif")
    assert read.dtype == np.dtype(native)
    assert np.array_equal(read, image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_exif_orientation(tmp_path, suffix, orientation):
    image = np.full((24, 40, 3), 30, np.uint8)
    image[:12, :10] = 220
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    read = read_pixels(tmp_path / f"a.{suffix}")
    expected = ORIENTED[orientation](image)
    assert read.shape == expected.shape
    assert np.median(np.abs(read.astype(int) - expected)) <= 3
    assert np.mean(np.abs(read.astype(int) - expected)) < 8
    header = read_header(tmp_path / f"a.{suffix}")
    assert (header.height, header.width) == expected.shape[:2]


def test_orientation_of_16_bits(tmp_path):
    image = np.arange(8 * 10, dtype=np.uint16).reshape(8, 10) * 800
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), np.rot90(image, -1))


def test_the_first_of_several_frames(tmp_path, pixels):
    frames = [Image.fromarray(pixels(10, 10, seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert np.array_equal(read_pixels(tmp_path / "a.tif"), pixels(10, 10, seed=0))
    assert read_header(tmp_path / "a.tif").frames == 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_files_have_a_reason_and_stay_quiet(tmp_path, pixels, capfd, suffix, share):
    whole = io.BytesIO()
    compression = {"compression": "tiff_lzw"} if suffix == "tif" else {}
    Image.fromarray(pixels(64, 64, 3)).save(
        whole, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **compression
    )
    (tmp_path / f"a.{suffix}").write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    with pytest.raises(UnreadableImageError, match=r"^(damaged: |not a PNG)"):
        read_pixels(tmp_path / f"a.{suffix}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", b"", r"^empty file \(0 bytes\)$"),
        ("text.png", b"these are not pixels", "^not a PNG, JPEG, BMP, TIFF or WebP image$"),
        ("bomb.png", png(b"", width=60000, height=60000, depth=8, colour=0), "^declares 3,600 megapixels: the limit"),
        ("large.png", png(b"", width=11000, height=10000, depth=8, colour=0), "^declares 110 megapixels: the limit"),
        ("dot.png", png(b"\0\0", width=1, height=1, depth=8, colour=0), "^1 x 1 pixels: a side is under 8$"),
        ("thin.png", png(b"\0" * 8 * 7, width=7, height=8, depth=8, colour=0), "^8 x 7 pixels"),
    ],
)
@pytest.mark.parametrize("reader", [read_pixels, read_header])
def test_what_cannot_be_used_has_a_reason(tmp_path, name, content, reason, reader, capfd):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason) as caught:
        reader(tmp_path / name)
    assert caught.value.reason == str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_image_just_within_the_limit_is_opened(tmp_path):
    side = int((MEGAPIXEL_LIMIT * 1_000_000) ** 0.5)
    (tmp_path / "a.png").write_bytes(png(b"", width=side, height=side, depth=8, colour=0))
    assert read_header(tmp_path / "a.png").width == side


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path, pixels):
    Image.fromarray(pixels(9, 9)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(UnreadableImageError, match="cannot be opened: Permission denied"):
        read_pixels(tmp_path / "a.png")


def test_a_missing_file(tmp_path):
    with pytest.raises(UnreadableImageError, match="cannot be opened: No such file"):
        read_header(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.array([[0.5, np.nan]] * 8).repeat(8, 1), "not finite"),
        (np.linspace(-1, 1, 64).reshape(8, 8), "negative pixels, down to -1"),
        (np.full((8, 8), 70000, np.int32), "up to 70000, more than 16 bits"),
    ],
)
def test_deep_values_that_mean_nothing(image, reason):
    with pytest.raises(UnreadableImageError, match=reason):
        checked_pixels(image)


def test_slightly_negative_pixels_become_black():
    image = np.full((8, 8), 4000, np.int32)
    image[2, 3] = -1
    assert checked_pixels(image)[2, 3] == 0


def test_warnings_are_silenced_among_threads_and_filters_restored(tmp_path):
    path = tmp_path / "a.png"
    # Pillow warns above 89 million pixels, and our limit is higher.
    path.write_bytes(png(b"", width=9800, height=9800, depth=8, colour=0))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        headers = list(pool.map(lambda _: read_header(path), range(200)))
    assert {header.width for header in headers} == {9800}
    assert warnings.filters == before
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
