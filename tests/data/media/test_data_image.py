import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_media import encoded, picture, png

from harken.data.media import image
from harken.data.media.limits import MediaError


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 9), width=st.integers(1, 9))
def test_png_round_trip_is_exact_and_deterministic(seed, height, width):
    pixels = picture(seed, height, width)
    data = image.encode_png(pixels)
    assert data == image.encode_png(pixels.copy())
    np.testing.assert_array_equal(image.decode(data), pixels)


def test_png_takes_pixels_that_lie_askew_in_memory():
    pixels = picture(1, 5, 6)[::-1, ::2]
    np.testing.assert_array_equal(image.decode(image.encode_png(pixels)), pixels)


def test_png_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no pixels"):
        image.encode_png(np.zeros((0, 3, 3), np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_what_a_person_sees(orientation):
    stored = picture(2, 3, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    # EXIF: where the 0th row and the 0th column of the stored picture belong in the seen one.
    seen = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    np.testing.assert_array_equal(image.decode(encoded(Image.fromarray(stored), exif=exif.tobytes())), seen)


def test_transparency_is_flattened_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 128, 255]
    seen = image.decode(encoded(Image.fromarray(rgba)))
    assert seen[0, 0].tolist() == [255, 255, 255]
    assert abs(int(seen[0, 1, 0]) - 127) <= 1
    assert seen[0, 2].tolist() == [0, 0, 0]


def test_palette_with_a_transparent_colour():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    seen = image.decode(encoded(palette, "PNG", transparency=0))
    assert seen.tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    deep = np.array([[0, 257, 32_896, 65_535]], np.uint16)
    assert image.decode(encoded(Image.fromarray(deep)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_grey_with_a_transparent_value():
    deep = np.array([[0, 32_896]], np.uint16)
    assert image.decode(encoded(Image.fromarray(deep), "PNG", transparency=0))[0, :, 2].tolist() == [255, 128]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_png_mode_becomes_three_channels(mode):
    assert image.decode(encoded(Image.new(mode, (4, 3)))).shape == (3, 4, 3)


def test_cmyk_jpeg_becomes_its_colour():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    seen = image.decode(encoded(red, "JPEG", quality=95)).mean(axis=(0, 1))
    assert seen[0] > 230
    assert seen[1:].max() < 40


FORMATS = {
    "PNG": {},
    "JPEG": {},
    "JPEG progressive": {"progressive": True},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_picture_is_refused_or_has_lost_no_pixel(kind):
    data = encoded(Image.fromarray(picture(3, 6, 7)), kind.split()[0], **FORMATS[kind])
    assert image.header(data).format == kind.split()[0]
    whole = image.decode(data)
    refused = 0
    for length in range(len(data)):
        try:
            np.testing.assert_array_equal(image.decode(data[:length]), whole)
        except MediaError:
            refused += 1
    assert refused >= len(data) - 20


@settings(max_examples=150)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), kind=st.sampled_from(sorted(FORMATS)))
def test_a_damaged_picture_raises_nothing_but_media_errors(at, value, kind):
    data = bytearray(encoded(Image.fromarray(picture(4, 6, 7)), kind.split()[0], **FORMATS[kind]))
    data[at % len(data)] = value
    try:
        assert image.decode(bytes(data)).shape[-1] == 3
    except MediaError as error:
        assert str(error)


@settings(max_examples=100)
@given(
    data=st.binary(max_size=200), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM"])
)
def test_noise_is_no_picture(data, head):
    with pytest.raises(MediaError):
        image.decode(head + data)


def test_an_svg_is_named_as_what_it_is():
    with pytest.raises(MediaError, match="SVG"):
        image.decode(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>")


def test_tiff_is_refused_though_pillow_reads_it():
    with pytest.raises(MediaError, match="not a picture"):
        image.decode(encoded(Image.new("RGB", (2, 2)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_header_tells_moving_pictures(kind):
    frames = [Image.fromarray(picture(n, 8, 8)) for n in range(3)]
    assert image.header(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).animated
    assert not image.header(encoded(frames[0], kind)).animated


def test_the_header_of_a_plain_picture():
    assert image.header(png(0, 3, 4)) == image.Header("PNG", 4, 3, False)
