import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from gr2st_core.images.encode import encode_section
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.patches import patch_facts
from gr2st_core.images.slides import open_slide, require_on_image, tissue_mask

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def spots(shared):
    table = pd.read_csv(shared / "her2st/data/ST-spotfiles/B4_selection.tsv", sep="\t")
    return table[["pixel_x", "pixel_y"]].to_numpy(dtype=float)


@pytest.fixture(scope="module")
def slide(shared):
    return open_slide(shared / "her2st/data/ST-imgs/B/B4/BT10737_D2_HE.jpg", max_megapixels=250, section="her2st/B4")


def um_per_px(spots):
    neighbours, _ = cKDTree(spots).query(spots, k=5)
    pitch = np.median(neighbours[:, 1:][np.abs(neighbours[:, 1:] - 290) < 40])
    return 200 / pitch


def test_b4_opens_at_its_published_size_with_every_spot_on_it(slide, spots):
    assert slide.size_px == (9272, 9923)
    require_on_image(spots, slide.size_px, np.arange(len(spots)).astype(str), slide.section)


def test_a_patch_of_154_um_is_the_published_224_px_and_none_crosses_the_border(slide, spots):
    facts = patch_facts(slide.size_px, spots, um_per_px=um_per_px(spots), span_um=154.0, input_px=224)
    assert abs(facts.patch_px - 224) <= 1
    assert facts.n_padded == 0
    assert facts.magnification == pytest.approx(1.0, abs=0.01)


def test_spots_lie_on_tissue_and_the_corners_of_the_glass_do_not(slide, spots):
    thumbnail = slide.thumbnail(1024)
    mask = tissue_mask(thumbnail)
    scale = mask.shape[1] / slide.size_px[0]
    x, y = (spots * scale).astype(int).T
    around = np.array([mask[b - 4 : b + 5, a - 4 : a + 5].mean() for a, b in zip(x, y, strict=True)])
    assert (around > 0.1).mean() > 0.9
    assert 0.1 < mask.mean() < 0.4
    assert not mask[-20:, -20:].any()


@pytest.mark.parametrize("stain", ["none", "reinhard"])
def test_features_of_real_spots_differ_between_spots(slide, spots, stain):
    features = encode_section(
        slide, spots[::20], um_per_px(spots), encoder_spec("color_texture"), stain=stain, batch_size=16
    )
    assert (features.std(axis=0) > 0).mean() > 0.9
