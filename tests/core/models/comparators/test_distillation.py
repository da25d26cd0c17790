"""Changed passes are combined by learnt weights, and patches are changed alike over a section."""

from __future__ import annotations

import pytest
import torch

from gr2st_core.models.comparators.distillation import SelfDistillation, changed, without_colour


def test_the_loss_is_the_squared_distance_to_the_weighted_mean_of_passes() -> None:
    torch.manual_seed(0)
    distillation = SelfDistillation(4)
    embeddings, predictions, clean = list(torch.randn(3, 2, 4)), list(torch.randn(3, 2, 5)), torch.randn(2, 5)
    squared = 0.0
    for spot in range(2):
        scores = [distillation.score(embedding[spot]).exp().item() for embedding in embeddings]
        mean = sum(score * rows[spot] for score, rows in zip(scores, predictions, strict=True)) / sum(scores)
        squared += float(((mean - clean[spot]) ** 2).sum())
    assert distillation(embeddings, predictions, clean).item() == pytest.approx(squared / 10, rel=1e-5)


def test_the_gradient_reaches_scores_passes_and_the_clean_prediction() -> None:
    torch.manual_seed(0)
    distillation, clean = SelfDistillation(4), torch.randn(2, 5, requires_grad=True)
    predictions = [torch.randn(2, 5, requires_grad=True) for _ in range(3)]
    distillation(list(torch.randn(3, 2, 4)), predictions, clean).backward()
    reached = [clean, *predictions, *distillation.parameters()]
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in reached[:-1])


def test_a_draw_serves_the_whole_section_and_comes_from_the_seed() -> None:
    patch = torch.randint(0, 256, (1, 3, 6, 6), dtype=torch.uint8)
    section, seen = patch.expand(4, -1, -1, -1), set()
    for seed in range(60):
        torch.manual_seed(seed)
        first = changed(section)
        torch.manual_seed(seed)
        assert torch.equal(first, changed(section))
        assert (first == first[:1]).all()
        seen.add(bytes(first[0].flatten().tolist()))
    assert len(seen) > 8, "turns, mirror images and grey patches"


def test_patches_are_turned_mirrored_or_made_grey_and_nothing_else() -> None:
    torch.manual_seed(0)
    patches = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8)
    turned = [source.rot90(turns, (2, 3)) for source in (patches, without_colour(patches)) for turns in range(4)]
    allowed = [image for one in turned for image in (one, one.flip(3))]
    for _ in range(60):
        out = changed(patches)
        assert out.dtype == torch.uint8
        assert any(torch.equal(out, image) for image in allowed)


def test_a_patch_without_colour_has_its_brightness_in_every_channel() -> None:
    patches = torch.tensor([200, 100, 50], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert without_colour(patches).flatten().tolist() == [124] * 12
