"""mclSTExp: its size, what each part returns, its loss, its look-up, and what it may not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from torchvision.models.densenet import DenseNet
from torchvision.transforms.v2 import functional

from gr2st_core.comparator_settings.mclstexp import SMALL, MclStExpSettings
from gr2st_core.errors import CheckpointError, LeakageError
from gr2st_core.expression.targets import to_target
from gr2st_core.models.comparators.image_weights import load_image_weights
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.mclstexp import augmentation
from gr2st_core.models.comparators.mclstexp.network import MclStExpNetwork
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.models.training_spots import TrainingSpots
from gr2st_core.predictor import FitRequest
from gr2st_core.retrieval.references import LooksUp
from gr2st_core.settings import Settings
from gr2st_core.training.checkpoint import load_state, save_state
from gr2st_core.types import Counts
from samples.pictured import quick, with_pixels

FEATURES, PIXELS = "mclstexp_features_small", "mclstexp_published_small"
TINY = SMALL.model_copy(update={"input_px": 32, "block_config": (1, 1), "d_embedding": 8, "n_positions": 10})
DENSENET121 = 6_953_856
N_GENES = 12


@pytest.fixture
def pictured(planted_section):
    """Builder of planted sections with an image, and features of it."""
    return lambda name: with_pixels(planted_section(name, encoders=M224))


@pytest.fixture
def batch():
    """Builder of the inputs and the truth of 9 spots."""

    def build(spots):
        draw = torch.Generator().manual_seed(0)
        grid = torch.stack([torch.arange(9) % 3, torch.arange(9) // 3], dim=1)
        expression = torch.rand(9, N_GENES, generator=draw)
        return SectionInputs(spots, grid, grid.float()), SectionTruth(expression, expression, torch.ones(9))

    return build


def patches(n: int, px: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, px, px), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_the_published_setting_has_the_published_size() -> None:
    with torch.device("meta"):
        pixels = MclStExpNetwork(MclStExpSettings(), (3, 224, 224), 785)
        features = MclStExpNetwork(MclStExpSettings(), (1280,), 785)

    def size(module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert size(pixels.encoder) == DENSENET121
    assert pixels.encoder.d_out == 1024
    projection = {width: (width * 256 + 256) + (256 * 256 + 256) + 2 * 256 for width in (785, 1024, 1280)}
    block = 2 * 2 * 785 + 3 * 785 * 512 + (512 * 785 + 785) + 2 * (785 * 785 + 785)
    spot = 2 * 64 * 785 + 2 * block + projection[785]
    assert size(pixels.spot) == spot
    assert size(pixels) == DENSENET121 + projection[1024] + spot == 13_341_810
    assert size(features) == projection[1280] + spot


def test_every_part_returns_its_shape() -> None:
    network = MclStExpNetwork(TINY, (3, 32, 32), N_GENES).eval()
    grid = torch.zeros(5, 2, dtype=torch.int64)
    assert network.encoder(patches(5)).shape == (5, network.encoder.d_out)
    assert network.embed_images(patches(5)).shape == (5, 8)
    assert network.spot.place(grid).shape == network.spot.blocks(torch.rand(5, N_GENES)).shape == (5, N_GENES)
    assert network.spot(torch.rand(5, N_GENES), grid).shape == (5, 8)
    assert MclStExpNetwork(TINY, (10,), N_GENES).embed_images(torch.rand(5, 10)).shape == (5, 8)


@torch.no_grad()
def test_the_image_encoder_is_torchvisions_without_its_classifier() -> None:
    torch.manual_seed(0)
    encoder = MclStExpNetwork(TINY, (3, 32, 32), N_GENES).eval().encoder
    theirs = DenseNet(TINY.growth_rate, TINY.block_config, TINY.n_init_features).eval()
    theirs.classifier = torch.nn.Identity()
    theirs.load_state_dict(encoder.state_dict(), strict=False)
    torch.testing.assert_close(encoder(patches(5)), theirs(patches(5).float() / 255))


@torch.no_grad()
def test_a_spot_is_its_expression_and_place_through_attention_and_projection(batch) -> None:
    torch.manual_seed(0)
    tower = MclStExpNetwork(TINY, (10,), N_GENES).eval().spot
    inputs, truth = batch(torch.rand(9, 10))
    column, row = inputs.grid.T
    rows = truth.expression + tower.place.x.weight[column] + tower.place.y.weight[row]
    for block in tower.blocks:
        rows = rows + block.attention(block.norm_attention(rows))
        rows = rows + block.mlp(block.norm_mlp(rows))
    head = tower.projection
    narrow = rows @ head.project.weight.T + head.project.bias
    expected = head.norm(narrow + head.correct(torch.nn.functional.gelu(narrow)))
    torch.testing.assert_close(tower(truth.expression, inputs.grid), expected)


@pytest.mark.parametrize("spots", [torch.rand(9, 10), patches(9)])
def test_every_parameter_learns(batch, spots) -> None:
    torch.manual_seed(0)
    network = MclStExpNetwork(TINY, tuple(spots.shape[1:]), N_GENES)
    network.train().loss_terms(*batch(spots))["total"].backward()
    assert [name for name, own in network.named_parameters() if own.grad is None or not own.grad.any()] == []


def test_decay_is_part_of_the_gradient() -> None:
    predictor = METHODS["mclstexp_published"].build(Settings())
    optimiser = predictor.optimiser(MclStExpNetwork(TINY, (10,), N_GENES))
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.defaults["weight_decay"] == 1e-3


def test_the_loss_is_symmetric_cross_entropy_to_identity(batch) -> None:
    torch.manual_seed(0)
    settings = TINY.model_copy(update={"temperature": 2.0})
    network = MclStExpNetwork(settings, (10,), N_GENES)
    inputs, truth = batch(torch.rand(9, 10))
    with torch.no_grad():
        terms = network.loss_terms(inputs, truth)
        spots = network.spot(truth.expression, inputs.grid).double().numpy()
        images = network.embed_images(inputs.spots).double().numpy()
    logits = spots @ images.T / 2.0
    expected = 0.0
    for table in (logits, logits.T):
        for own, row in enumerate(table):
            expected -= np.log(np.exp(row[own]) / np.exp(row).sum()) / 9 / 2
    assert float(terms["total"]) == pytest.approx(expected, rel=1e-4)
    assert terms["total"] is terms["contrastive"]
    assert float(terms["contrastive_chance"]) == pytest.approx(np.log(9))


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (augmentation.brightened, functional.adjust_brightness),
        (augmentation.contrasted, functional.adjust_contrast),
        (augmentation.saturated, functional.adjust_saturation),
    ],
)
def test_colours_change_as_torchvision_changes_them(own, theirs) -> None:
    pixels, factors = patches(4).float() / 255, torch.tensor([0.5, 0.9, 1.2, 1.5])
    expected = torch.stack([theirs(one, float(factor)) for one, factor in zip(pixels, factors, strict=True)])
    torch.testing.assert_close(own(pixels, factors), expected, atol=2e-4, rtol=0)


def test_patches_turn_as_torchvision_turns_them() -> None:
    pixels, degrees = patches(4).float() / 255, torch.tensor([-170.0, 12.0, 33.0, 90.0])
    expected = torch.stack([functional.rotate(one, float(by)) for one, by in zip(pixels, degrees, strict=True)])
    differs = (augmentation.turned(pixels, degrees) != expected).any(dim=1).float().mean()
    assert differs < 0.01, "but for pixels halfway between two"


def test_only_training_changes_patches_and_its_draws_are_the_global_generators() -> None:
    encoder = MclStExpNetwork(TINY, (3, 32, 32), N_GENES).eval().encoder
    state = torch.random.get_rng_state()
    with torch.no_grad():
        assert torch.equal(encoder(patches(6)), encoder(patches(6)))
        assert torch.equal(torch.random.get_rng_state(), state)
        encoder.train()
        torch.manual_seed(3)
        one, other = encoder(patches(6)), encoder(patches(6))
        torch.manual_seed(3)
        assert torch.equal(encoder(patches(6)), one)
    assert not torch.equal(one, other)
    still = augmentation.augmented(patches(6).float() / 255, 0.0, 0.0)
    assert all(
        torch.equal(own, pixels) or torch.equal(own, pixels.flip(-1))
        for own, pixels in zip(still, patches(6).float() / 255, strict=True)
    )


def test_imagenets_weights_have_the_encoders_names(tmp_path) -> None:
    from safetensors.torch import save_file
    from torchvision.models import densenet121

    save_file(densenet121(weights=None).state_dict(), tmp_path / "densenet121.safetensors")
    network = MclStExpNetwork(MclStExpSettings(), (3, 224, 224), N_GENES)
    assert "were given" in load_image_weights(network.encoder, str(tmp_path / "densenet121.safetensors"))


def test_where_the_encoder_starts_is_told(pictured, planted_request) -> None:
    request = planted_request(*map(pictured, ("A1", "A2", "B1")))
    notes = {name: quick(name, epochs=1).fit(request).state().config["notes"] for name in (PIXELS, FEATURES)}
    assert any("random weights" in note for note in notes[PIXELS])
    assert not any("image encoder" in note for note in notes[FEATURES])
    with pytest.raises(CheckpointError, match="cannot be read"):
        quick(PIXELS, image_weights="missing.safetensors").fit(request)


@pytest.fixture
def fitted(pictured, planted_request):
    """mclSTExp trained on three sections, looking 20 spots up."""
    return quick(FEATURES, top_k=20).fit(planted_request(*map(pictured, ("A1", "A2", "B1"))))


def test_a_prediction_is_the_average_of_training_spots_by_closeness(fitted, pictured) -> None:
    image = pictured("C1").image
    with torch.no_grad():
        queries = fitted.network.embed_images(fitted.reader(image)).numpy().astype(float)
    keys, expression = (array.astype(float) for array in (fitted.bank.embeddings, fitted.bank.expression))
    for query, predicted in zip(queries, fitted.predict(image).values, strict=True):
        cosine = [key @ query / np.linalg.norm(key) / np.linalg.norm(query) for key in keys]
        nearest = sorted(range(len(keys)), key=lambda row: -cosine[row])[:20]
        closeness = {row: 1 / sum(abs(keys[row] - query)) ** 2 for row in nearest}
        mean = sum(weight * expression[row] for row, weight in closeness.items()) / sum(closeness.values())
        np.testing.assert_allclose(predicted, mean, atol=1e-3)


def test_what_was_looked_up_is_named(fitted, pictured) -> None:
    assert isinstance(fitted, LooksUp)
    image = pictured("C1").image
    found, prediction = fitted.references(image, 50), fitted.predict(image)
    assert (found.part, found.share, found.weights.shape) == ("values", 1.0, (48, 20))
    spots = zip(fitted.bank.section_keys.tolist(), fitted.bank.spot_ids.tolist(), strict=True)
    row = {place: number for number, place in enumerate(spots)}
    chosen = [
        [row[place] for place in zip(*pair, strict=True)]
        for pair in zip(found.section_keys.tolist(), found.spot_ids.tolist(), strict=True)
    ]
    mean = np.einsum("qk,qkg->qg", found.weights, fitted.bank.expression.astype(np.float32)[np.array(chosen)])
    np.testing.assert_allclose(mean, prediction.values, atol=1e-5)


def test_the_bank_holds_the_training_target_of_the_training_spots(fitted, pictured) -> None:
    sections = [pictured(name) for name in ("A1", "A2", "B1")]
    expected = np.concatenate([to_target(section.counts, fitted.panel, "per_spot") for section in sections])
    np.testing.assert_array_equal(fitted.bank.expression, expected.astype(np.float16))
    spots = TrainingSpots.from_arrays(fitted.state().bank, len(expected))
    assert spots.section_keys.tolist() == [str(section.key) for section in sections for _ in range(48)]


def test_a_training_section_is_not_predicted(fitted, pictured, tmp_path) -> None:
    save_state(fitted.state(), tmp_path)
    loaded = quick(FEATURES, top_k=20).load(load_state(tmp_path))
    for method in (fitted, loaded):
        for ask in (method.predict, lambda image, own=method: own.references(image, 3)):
            with pytest.raises(LeakageError, match="reference bank"):
                ask(pictured("A2").image)


def test_the_bank_of_a_section_depends_on_no_other_and_not_on_the_order_of_its_spots(fitted, pictured) -> None:
    from gr2st_core.models.comparators.lazy import LazySections
    from gr2st_core.models.comparators.mclstexp.look_up import build_bank

    def keys(*sections) -> dict[tuple[str, str], np.ndarray]:
        options = {"n_positions": 64, "device": torch.device("cpu")}
        bank = build_bank(fitted.network, LazySections(sections, fitted.reader, fitted.panel, "per_spot", **options))
        names = zip(bank.section_keys.tolist(), bank.spot_ids.tolist(), strict=True)
        return dict(zip(names, bank.embeddings.astype(np.float32), strict=True))

    one, other = pictured("A1"), pictured("B1")
    noise = np.random.default_rng(0).integers(0, 99, other.counts.matrix.shape)
    changed = replace(other, counts=Counts(sparse.csr_matrix(noise), other.counts.genes))
    shuffled = one.rows(np.random.default_rng(1).permutation(48))
    expected = keys(one, other)
    for found in (keys(one), keys(changed, one), keys(shuffled, changed)):
        for place, key in found.items():
            if place[0] == str(one.key):
                np.testing.assert_allclose(key, expected[place], atol=2e-3)  # float16 of values up to 3


def test_a_bank_of_another_width_is_refused(fitted) -> None:
    state = fitted.state()
    for name in ("embeddings", "expression"):
        wrong = replace(state, bank={**state.bank, name: state.bank[name][:, 1:]})
        with pytest.raises(CheckpointError, match="does not fit the model"):
            quick(FEATURES).load(wrong)


def test_neither_place_nor_other_spots_of_a_query_matter(fitted, pictured) -> None:
    image = pictured("C1").image
    whole = fitted.predict(image).values
    alone = image.rows(np.array([7]))
    moved = replace(alone, array_xy=alone.array_xy + 3, pixel_xy=alone.pixel_xy + 3)
    np.testing.assert_allclose(fitted.predict(moved).values[0], whole[7], atol=1e-5)


def test_batches_are_all_spots_of_a_section_once_and_of_like_size(pictured, planted_request, monkeypatch) -> None:
    from gr2st_core.models.comparators.mclstexp.learner import MclStExpLearner

    seen: list[np.ndarray] = []
    plain = MclStExpLearner.update

    def update(self, inputs, truth):
        seen.append(inputs.grid.numpy())
        return plain(self, inputs, truth)

    monkeypatch.setattr(MclStExpLearner, "update", update)
    fitted = quick(FEATURES, batch_spots=20, epochs=1).fit(planted_request(*map(pictured, ("A1", "B1"))))
    assert [len(grid) for grid in seen] == [16] * 9, "3 batches for the inner section, 6 for both"
    for first in (0, 3, 6):
        visited = np.concatenate(seen[first : first + 3])
        assert len(np.unique(visited, axis=0)) == 48
    assert fitted.state().config["n_steps"] == 6


def test_an_interrupted_training_continues_to_the_same_bytes(pictured, planted_request, tmp_path) -> None:
    sections = [pictured(name) for name in ("A1", "A2", "B1")]

    class StoppedError(Exception):
        pass

    def interrupt(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("inner", 1):
            raise StoppedError

    with pytest.raises(StoppedError):
        quick(PIXELS).fit(planted_request(*sections, workdir=tmp_path, progress=interrupt))
    resumed = quick(PIXELS).fit(planted_request(*sections, workdir=tmp_path)).state()
    straight = quick(PIXELS).fit(planted_request(*sections)).state()
    for part in ("weights", "bank"):
        own, other = getattr(resumed, part), getattr(straight, part)
        assert {name: array.tobytes() for name, array in own.items()} == {
            name: array.tobytes() for name, array in other.items()
        }


def test_mclstexp_learns_what_is_planted(pictured, planted_request) -> None:
    query = pictured("C1")
    request: FitRequest = planted_request(*map(pictured, ("A1", "A2", "B1", "B2")))
    fitted = METHODS[FEATURES].build(Settings()).fit(request)
    predicted, truth = fitted.predict(query.image).values, to_target(query.counts, request.panel, "per_spot")
    scores = [np.corrcoef(own, real)[0, 1] for own, real in zip(predicted.T, truth.T, strict=True)]
    assert np.mean(scores) > 0.3
