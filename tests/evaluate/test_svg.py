import pytest

from harken.evaluate.svg import SVG, check_svg, tidy

WHOLE = f'<svg xmlns="{SVG}" viewBox="0 0 1 1">{{}}</svg>'


@pytest.mark.parametrize(
    "inner", ['<path d="M 0 0" style="fill: #fff"/>', '<use href="#a"/>', "<text>url(x) onclick</text>"]
)
def test_a_plain_drawing_passes_as_it_is(inner):
    assert check_svg(WHOLE.format(inner)) == WHOLE.format(inner)


@pytest.mark.parametrize(
    "inner",
    [
        "<script>1</script>",
        '<path onload="1"/>',
        '<use href="http://x/y#z"/>',
        '<a href="#x"><path/></a>',
        '<image href="#x"/>',
        "<style>* {}</style>",
        "<foreignObject/>",
        '<path style="fill: URL(http://x)"/>',
        '<path fill="url(#ok) url(x)"/>',
        "<!-- <!ENTITY a> -->",
        "<path>",
    ],
)
def test_what_could_run_or_fetch_is_refused(inner):
    with pytest.raises(ValueError, match="SVG"):
        check_svg(WHOLE.format(inner))


@pytest.mark.parametrize("text", ["<div/>", "<svg/>", "", '<?xml version="1.0"?>' + WHOLE])
def test_what_is_no_svg_is_refused(text):
    with pytest.raises(ValueError, match="SVG"):
        check_svg(text)


def test_tidying_takes_what_is_global_and_keeps_words_that_look_like_it():
    words = 'id="a" url(#a) href="#a"'
    found = tidy(
        WHOLE.format(
            f'<metadata/><defs><style>x</style><path id="a"/></defs><use href="#a" clip-path="url(#a)"/>'
            f'<text style="font-size: 9px; font-family: X, sans-serif; fill: red">{words}</text>'
        ),
        "a <name>",
    )
    assert "metadata" not in found and "<style" not in found and "font-family: system-ui" in found
    assert words in found and "fill: red" in found and "a &lt;name&gt;" in found
    mark = found.split('id="', 1)[1].split("-", 1)[0]
    assert f'href="#{mark}-a"' in found and f"url(#{mark}-a)" in found and f'id="{mark}-a"' in found
    assert check_svg(found) == found
