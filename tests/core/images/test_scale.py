import math

import pytest

from gr2st_core.images.scale import declared_um_per_px, square_um_per_px


def ome(attributes):
    return f'<?xml version="1.0"?><OME><Image><Pixels ID="Pixels:0" SizeX="9" {attributes}/></Image></OME>'


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('PhysicalSizeX="0.25" PhysicalSizeY="0.25"', 0.25),
        ('PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="0.25"', 0.25),
        ('PhysicalSizeXUnit="\N{MICRO SIGN}m" PhysicalSizeX="0.5"', 0.5),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"', None),
        ('PhysicalSizeX="many"', None),
        ('PhysicalSizeX="0.25" PhysicalSizeY="0.5"', None),
        ("", None),
    ],
)
def test_ome_metadata_give_the_resolution_in_their_unit(attributes, expected):
    assert declared_um_per_px(ome(attributes), (None, None), 1) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((20_000, 20_000), 3, 0.5),
        ((50_800, 50_800), 2, 0.5),
        ((72, 72), 2, None),
        ((300, 300), 2, None),
        ((20_000, 20_000), 1, None),
        ((0, 0), 3, None),
        ((math.nan, math.nan), 3, None),
        ((None, None), 3, None),
    ],
)
def test_tiff_tags_are_believed_where_a_microscope_could_have_made_them(resolution, unit, expected):
    assert declared_um_per_px("", resolution, unit) == (expected and pytest.approx(expected))


def test_pixels_that_are_nearly_square_have_one_resolution():
    assert square_um_per_px(0.2527, 0.2528) == pytest.approx(0.25275)
    assert square_um_per_px(0.25, 0.26) is None
