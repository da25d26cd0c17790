"""Ridge on EfficientNet-Lite0 features of the five real sections: what it reaches, and what shuffling does to it."""

from dataclasses import replace

import numpy as np
import pytest

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.evaluation.metrics import mean_of_defined, pearson_per_gene
from gr2st_core.expression.panels import panel_from_file
from gr2st_core.expression.targets import to_target
from gr2st_core.images.encode import encode_section
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.slides import open_slide
from gr2st_core.models.ridge import RidgePredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Settings
from gr2st_core.types import ImageSection, Panel, TrainSection

pytestmark = [pytest.mark.real, pytest.mark.slow]

ENCODER = "efficientnet_lite0"
N_PERMUTATIONS = 20
RIDGE = RidgePredictor((ENCODER,), Settings().ridge, profile="m224")


def train_section(reader, entry) -> TrainSection:
    raw = reader.read(entry)
    slide = open_slide(entry.image_path, max_megapixels=250)
    spec = encoder_spec(ENCODER)
    features = encode_section(slide, raw.pixel_xy, raw.um_per_px, spec, stain="none", batch_size=64)
    image = ImageSection(
        raw.key, raw.patient_id, raw.spot_ids, raw.array_xy, raw.pixel_xy, raw.um_per_px, raw.pitch_px,
        {ENCODER: features},
    )  # fmt: skip
    return TrainSection(image, raw.counts)


@pytest.fixture(scope="module")
def sections(shared) -> list[TrainSection]:
    """The five sections with an image."""
    reader = Her2stReader()
    entries, _ = reader.entries("her2st", shared / "her2st")
    return [train_section(reader, entry) for entry in entries if entry.image_path]


@pytest.fixture(scope="module")
def panel(shared) -> Panel:
    """The published panel."""
    return panel_from_file(shared / "panels" / "her2st_785.txt")


@pytest.fixture(scope="module")
def folds(sections, panel):
    """Held-out section and the ridge trained on the other four, per_spot, published panel."""
    return [
        (held, to_target(held.counts, panel, "per_spot"), RIDGE.fit(FitRequest(rest, panel, "per_spot")))
        for held in sections
        for rest in [[section for section in sections if section is not held]]
    ]


def score(section: ImageSection, truth, fitted) -> float:
    return mean_of_defined(pearson_per_gene(truth, fitted.predict(section).values))


def test_ridge_reaches_what_was_measured_before(folds):
    scores = [score(held.image, truth, fitted) for held, truth, fitted in folds]
    assert len(scores) == 5
    assert 0.18 <= np.mean(scores) <= 0.21


def test_patches_shuffled_within_the_section_score_nothing(folds):
    rng = np.random.default_rng(0)
    scores = []
    for held, truth, fitted in folds:
        shuffled = [with_shuffled_patches(held.image, rng) for _ in range(N_PERMUTATIONS)]
        scores += [score(image, truth, fitted) for image in shuffled]
    assert len(scores) == 5 * N_PERMUTATIONS
    assert abs(np.mean(scores)) < 0.02


def test_training_on_shuffled_pairs_of_patch_and_counts_teaches_nothing(sections, panel):
    rng = np.random.default_rng(0)
    scores = []
    for held in sections:
        pairs = with_shuffled_pairs([s for s in sections if s is not held], rng)
        fitted = RIDGE.fit(FitRequest(pairs, panel, "per_spot"))
        scores.append(score(held.image, to_target(held.counts, panel, "per_spot"), fitted))
    # a fit follows one chance direction for all genes: the means of six drawings of all folds have an sd of 0.018
    assert abs(np.mean(scores)) < 0.05


def with_shuffled_pairs(sections: list[TrainSection], rng) -> list[TrainSection]:
    """Exchange patches over all sections: within them alone, what tells the sections apart would still be learnt."""
    patches = np.concatenate([section.image.features[ENCODER] for section in sections])
    rng.shuffle(patches)
    parts = np.split(patches, np.cumsum([section.image.n_spots for section in sections])[:-1])
    return [
        replace(section, image=replace(section.image, features={ENCODER: part}))
        for section, part in zip(sections, parts, strict=True)
    ]


def with_shuffled_patches(image: ImageSection, rng) -> ImageSection:
    order = rng.permutation(image.n_spots)
    return replace(image, features={name: block[order] for name, block in image.features.items()})
