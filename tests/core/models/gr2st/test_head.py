"""The branched head: what the gate can and cannot change."""

import torch

from gr2st_core.models.gr2st.head import BranchedHead


def _head() -> BranchedHead:
    torch.manual_seed(0)
    head = BranchedHead(d_embedding=8, n_branches=6, directions=torch.randn(5, 3), dropout=0.0)
    with torch.no_grad():
        head.out.normal_()
        head.bias.normal_()
    return head


def _branch(head: BranchedHead, embedded: torch.Tensor, branch: int) -> torch.Tensor:
    hidden = torch.nn.functional.gelu(head.hidden(embedded))[:, 8 * branch : 8 * (branch + 1)]
    return hidden @ head.out[branch] @ head.directions.T + head.bias[branch]


def test_gate_rows_sum_to_one_and_the_mix_is_their_weighted_sum():
    head, embedded, context = _head(), torch.randn(4, 8), torch.randn(4, 8)
    predicted, logits = head(embedded, context)
    gate = logits.softmax(1)
    expected = sum(gate[:, c : c + 1] * _branch(head, embedded, c) for c in range(6))
    assert torch.allclose(gate.sum(1), torch.ones(4))
    assert torch.allclose(predicted, expected, atol=1e-5)


def test_a_one_hot_gate_returns_its_branch():
    head, embedded = _head(), torch.randn(4, 8)
    for branch in range(6):
        gate = torch.nn.functional.one_hot(torch.full((4,), branch), 6).float()
        assert torch.allclose(head.mix(embedded, gate), _branch(head, embedded, branch), atol=1e-5)


def test_branches_with_shared_weights_make_the_gate_irrelevant():
    head, embedded = _head(), torch.randn(4, 8)
    with torch.no_grad():
        head.hidden.weight.copy_(head.hidden.weight[:8].repeat(6, 1))
        head.hidden.bias.copy_(head.hidden.bias[:8].repeat(6))
        head.out.copy_(head.out[:1].expand_as(head.out))
        head.bias.copy_(head.bias[:1].expand_as(head.bias))
    one, other = (head.mix(embedded, torch.rand(4, 6).softmax(1)) for _ in range(2))
    assert torch.allclose(one, other, atol=1e-5)


def test_a_new_head_predicts_the_mean_and_its_directions_are_its_own():
    directions = torch.randn(5, 3)
    head = BranchedHead(d_embedding=8, n_branches=6, directions=directions, dropout=0.0)
    assert torch.equal(head(torch.randn(4, 8), torch.randn(4, 8))[0], torch.zeros(4, 5))
    with torch.no_grad():
        head.directions.zero_()
    assert directions.abs().min() > 0


def test_deviations_lie_along_the_directions_but_for_the_offsets():
    head, embedded = _head(), torch.randn(20, 8)
    with torch.no_grad():
        head.bias.zero_()
        predicted, _ = head(embedded, embedded)
    assert torch.linalg.matrix_rank(predicted) == 3
    basis = torch.linalg.qr(head.directions.detach())[0]
    assert torch.allclose(predicted @ basis @ basis.T, predicted, atol=1e-5)


def test_the_gate_sees_the_context():
    head, embedded = _head(), torch.randn(4, 8)
    assert not torch.allclose(head(embedded, torch.zeros(4, 8))[1], head(embedded, torch.ones(4, 8))[1])
