import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import ImageError
from gr2st_core.images.slides import open_slide
from gr2st_core.images.stain import REFERENCE_MEAN, REFERENCE_STD, fit_stain, rgb_to_lab, stain_map


def stained(shift, seed=0):
    rng = np.random.default_rng(seed)
    base = np.array([170, 110, 160]) + shift
    return np.clip(base + rng.normal(0, 12, (80, 80, 3)) + rng.normal(0, 15, (80, 80, 1)), 20, 235).astype(np.uint8)


@pytest.mark.parametrize("shift", [0, 25, -30])
def test_tissue_gets_the_references_mean_and_standard_deviation(shift):
    image = stained(shift)
    everywhere = np.ones(image.shape[:2], dtype=bool)
    lab = rgb_to_lab(fit_stain(image, everywhere)(image)).reshape(-1, 3)
    # Clipping to 0-255 and rounding take a little away from an exact match.
    assert lab.mean(axis=0) == pytest.approx(REFERENCE_MEAN, abs=0.08)
    assert lab.std(axis=0) == pytest.approx(REFERENCE_STD, rel=0.25)


def test_two_stainings_of_one_tissue_become_alike():
    pale, dark = stained(30, seed=3), stained(-25, seed=3)
    everywhere = np.ones(pale.shape[:2], dtype=bool)
    before = np.abs(pale.astype(int) - dark).mean()
    after = np.abs(fit_stain(pale, everywhere)(pale).astype(int) - fit_stain(dark, everywhere)(dark)).mean()
    assert before > 50
    assert after < before / 4


def test_lab_of_grey_has_no_colour():
    grey = np.array([[10, 10, 10], [100, 100, 100], [250, 250, 250]], dtype=np.uint8)
    lab = rgb_to_lab(grey)
    assert np.abs(lab[:, 1:]).max() < 0.01
    assert lab[:, 0] == pytest.approx(np.sqrt(3) * np.log([10, 100, 250]), abs=0.01)


def test_black_is_finite():
    assert np.isfinite(rgb_to_lab(np.zeros((2, 3), dtype=np.uint8))).all()


def test_only_tissue_is_measured():
    image = stained(0)
    framed = np.full((160, 160, 3), 245, dtype=np.uint8)
    framed[40:120, 40:120] = image
    tissue = np.zeros((160, 160), dtype=bool)
    tissue[40:120, 40:120] = True
    alone = fit_stain(image, np.ones((80, 80), dtype=bool))
    assert fit_stain(framed, tissue).gain == pytest.approx(alone.gain)


def test_differences_between_spots_survive_because_the_map_is_the_sections():
    slide = np.concatenate([stained(20, seed=1), stained(-20, seed=2)], axis=1)
    recolour = fit_stain(slide, np.ones(slide.shape[:2], dtype=bool))
    left, right = recolour(slide[:, :80]), recolour(slide[:, 80:])
    assert left.mean() - right.mean() > 20


def test_a_slide_is_normalised_by_its_own_tissue_and_none_changes_nothing(tmp_path):
    framed = np.full((160, 160, 3), 245, dtype=np.uint8)
    framed[40:120, 40:120] = stained(0)
    Image.fromarray(framed).save(tmp_path / "a.png")
    slide = open_slide(tmp_path / "a.png", max_megapixels=1)
    patch = framed[60:100, 60:100]
    assert stain_map("none", slide)(patch) is patch
    lab = rgb_to_lab(stain_map("reinhard", slide)(patch)).reshape(-1, 3)
    assert lab.mean(axis=0) == pytest.approx(REFERENCE_MEAN, abs=0.15)


def test_a_blank_slide_cannot_be_normalised(tmp_path):
    Image.fromarray(np.full((60, 60, 3), 245, dtype=np.uint8)).save(tmp_path / "a.png")
    slide = open_slide(tmp_path / "a.png", max_megapixels=1, section="x/A1")
    with pytest.raises(ImageError, match="stain cannot be measured") as caught:
        stain_map("reinhard", slide)
    assert caught.value.context["section"] == "x/A1"
