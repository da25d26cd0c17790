"""Loss, gradients, edges, training and prediction against a second computation, one spot at a time, from the text.

Nothing of the package is used in it but the names of the parameters. It runs in float64.
"""

import math

import numpy as np
import pytest
import torch

from gr2st_core.models.gr2st_published import attention
from gr2st_core.models.gr2st_published.learner import weighted
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor

N_HEADS, K = 4, 20


def layer(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def projection_head(p, name, x):
    u = layer(p, f"{name}.project", x)
    return norm(p, f"{name}.norm", u + layer(p, f"{name}.correct", gelu(u)))


def spot_inputs(p, expression, grid, classes):
    rows = []
    for spot in range(len(expression)):
        kind = p["spot.cell_class.0.weight"][classes[spot]]
        kind = norm(p, "spot.cell_class.3", layer(p, "spot.cell_class.1", kind).clamp(min=0))
        place = p["spot.column.weight"][grid[spot][0]] + p["spot.row.weight"][grid[spot][1]]
        rows.append(expression[spot] + place + kind)
    return torch.stack(rows)


def functional_pairs(profile, similarity, classes):
    """Pairs (source, target): the source chooses."""
    n, pairs = len(similarity), set()
    for i in range(n):
        if profile == "r1":
            a = [float(similarity[i, j].detach()) + 0.3 * (classes[i] == classes[j]) for j in range(n)]
            top = [math.exp(v - max(a)) / sum(math.exp(w - max(a)) for w in a) for v in a]
            # equal shares far down the softmax are told apart by what they came from
            pairs |= {(i, j) for j in sorted(range(n), key=lambda j: (-top[j], -a[j]))[:K]}
        else:
            for j in range(n):
                a = 0.7 / (1 + math.exp(-float(similarity[i, j].detach()))) + 0.3 * (classes[i] == classes[j])
                if a > 0.6 or i == j:
                    pairs.add((i, j))
    return pairs


def spatial_pairs(profile, grid):
    n, pairs = len(grid), set()
    for i in range(n):
        distance = [math.dist(grid[i], grid[j]) for j in range(n)]
        if profile == "r1":
            pairs |= {(i, j) for j in sorted(range(n), key=lambda j: (distance[j], grid[j][1], grid[j][0]))[:K]}
        else:
            pairs |= {(i, j) for j in range(n) if distance[j] < 3.0}
    return pairs


def gat(p, name, x, pairs):
    """Sparse attention; returns messages and -mean over edges of sum over heads of a log(a + 1e-9)."""
    n, width = len(x), p[f"{name}.sender"].shape[1]
    values = (x @ p[f"{name}.values.weight"].T).view(n, N_HEADS, width)
    pairs = pairs | {(i, i) for i in range(n)}
    messages, terms = [], []
    for j in range(n):
        sources = sorted(i for i, target in pairs if target == j)
        logits = []
        for i in sources:
            e = (values[i] * p[f"{name}.sender"]).sum(1) + (values[j] * p[f"{name}.receiver"]).sum(1)
            logits.append(torch.where(e > 0, e, 0.2 * e))
        raised = [(e - torch.stack(logits).max()).exp() for e in logits]
        shares = [e / sum(raised) for e in raised]
        messages.append(sum(a[:, None] * values[i] for a, i in zip(shares, sources, strict=True)).flatten())
        terms += [(a * (a + 1e-9).log()).sum() for a in shares]
    return torch.stack(messages) + p[f"{name}.bias"], -sum(terms) / len(terms), pairs


def contrast(z_spot, z_img):
    n = len(z_spot)
    rows = [[(z_spot[i] * z_img[j]).sum() for j in range(n)] for i in range(n)]
    logits = torch.stack([torch.stack(row) for row in rows])
    by_row = sum(logits[i].logsumexp(0) - logits[i, i] for i in range(n)) / n
    by_column = sum(logits[:, i].logsumexp(0) - logits[i, i] for i in range(n)) / n
    return (by_row + by_column) / 2


def regression_terms(p, z_img, expression, classes):
    gate = layer(p, "head.gate.2", layer(p, "head.gate.0", z_img).clamp(min=0))
    width, predicted = z_img.shape[1], 0.0
    for c in range(6):
        rows = slice(c * width, (c + 1) * width)
        hidden = gelu(z_img @ p["head.hidden.weight"][rows].T + p["head.hidden.bias"][rows])
        expert = hidden @ p["head.out"][c] + p["head.bias"][c]
        predicted = predicted + gate.softmax(1)[:, c : c + 1] * expert
    ce = -sum(gate[i].log_softmax(0)[classes[i]] for i in range(len(z_img))) / len(z_img)
    return ((predicted - expression) ** 2).mean(), ce


def straightforward(profile, p, features, expression, grid, classes):
    z_img = projection_head(p, "image", features)
    s = spot_inputs(p, expression, grid, classes)
    functional = functional_pairs(profile, layer(p, "spot.head", s) @ layer(p, "spot.tail", s).detach().T, classes)
    one, first, functional = gat(p, "spot.functional", layer(p, "spot.head", s), functional)
    two, second, spatial = gat(p, "spot.spatial", layer(p, "spot.place", s), spatial_pairs(profile, grid))
    fused = norm(p, "spot.fusion.2", layer(p, "spot.fusion.0", one + two).clamp(min=0))
    loss = contrast(projection_head(p, "spot.projection", fused), z_img)
    if profile == "r2":
        mse, ce = regression_terms(p, z_img, expression, classes)
        loss = loss + 50 * mse + 1.0 * ce + 0.01 * (first + second)
    return loss, functional, spatial


@pytest.mark.parametrize(("n_spots", "dense_from"), [(44, 2.0), (56, 0.0)], ids=["by edge", "by matrix"])
def test_loss_gradients_and_edges_equal_a_straightforward_computation(
    profile, n_spots, dense_from, typed_section, make_learner, monkeypatch
):
    monkeypatch.setattr(attention, "DENSE_FROM", dense_from)
    section = typed_section("A1", n_spots=n_spots)
    learner = make_learner(profile, section, dropout=0.0, n_heads=N_HEADS, d_embedding=32)
    network, batch = learner.network, learner.batches[0]
    with torch.no_grad():
        for parameter in network.parameters():  # biases start at zero; let them take part
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    loss = weighted(network.loss_terms(batch), learner.settings)
    loss.backward()
    loss = loss.detach()

    p = {name: v.detach().double().requires_grad_() for name, v in network.named_parameters()}
    grid, classes = section.image.array_xy.astype(int).tolist(), batch.classes.tolist()
    assert len(set(classes)) > 2
    expected, functional, spatial = straightforward(
        profile, p, batch.features.double(), batch.expression.double(), grid, classes
    )
    expected.backward()
    expected = expected.detach()

    spots = network.spot.describe(batch.expression, batch.positions, batch.classes)
    found = network.spot.functional_edges(spots, network.spot.head(spots), batch.classes)
    assert pairs_of(found) == functional
    assert pairs_of(batch.spatial) == spatial
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for name, parameter in network.named_parameters():
        if name.startswith("spot.tail."):
            assert parameter.grad is None
            continue
        scale = p[name].grad.abs().max()
        assert scale > 0, name
        assert (parameter.grad - p[name].grad).abs().max() <= 1e-4 * scale, name


def pairs_of(edges):
    """Pairs (source, target) of the package's edges, whose three forms must agree."""
    receiver, sender = edges.mask.nonzero(as_tuple=True)
    assert torch.equal(receiver, edges.receiver)
    assert torch.equal(sender, edges.sender)
    assert edges.first.tolist() == np.searchsorted(receiver.numpy(), np.arange(len(edges.mask))).tolist()
    return set(zip(sender.tolist(), receiver.tolist(), strict=True))


class PlainAdam:
    """Adam with L2 decay in the gradient, written out; parameters without a gradient stay."""

    def __init__(self, p):
        self.p, self.t = p, 0
        self.m, self.v = ({name: torch.zeros_like(v) for name, v in p.items()} for _ in range(2))

    def step(self, rate):
        self.t += 1
        for name, value in self.p.items():
            if value.grad is None:
                continue
            g = value.grad + 1e-3 * value.detach()
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g**2
            m, v = self.m[name] / (1 - 0.9**self.t), self.v[name] / (1 - 0.999**self.t)
            with torch.no_grad():
                value -= rate * m / (v.sqrt() + 1e-8)
            value.grad = None


def straightforward_fit(profile, p, data, *, epochs, late_epoch, rate):
    """Whole-section steps; R1 makes its optimiser anew in each epoch, R2 has one and slows down late."""
    adam = PlainAdam(p)
    for epoch in range(epochs):
        adam = PlainAdam(p) if profile == "r1" else adam
        loss, _, _ = straightforward(profile, p, *data)
        loss.backward()
        adam.step(1e-5 if profile == "r2" and epoch >= late_epoch else rate)


def straightforward_prediction(profile, p, data, query, top_k):
    """Weighted mean of the nearest spots by cosine, by 1 / L1^2; in R2 0.4 of it and 0.6 of the head."""
    _, expression, grid, classes = data
    s = spot_inputs(p, expression, grid, classes)
    functional = functional_pairs(profile, layer(p, "spot.head", s) @ layer(p, "spot.tail", s).T, classes)
    one, _, _ = gat(p, "spot.functional", layer(p, "spot.head", s), functional)
    two, _, _ = gat(p, "spot.spatial", layer(p, "spot.place", s), spatial_pairs(profile, grid))
    fused = norm(p, "spot.fusion.2", layer(p, "spot.fusion.0", one + two).clamp(min=0))
    keys, rows = projection_head(p, "spot.projection", fused), []
    for q in projection_head(p, "image", query):
        cosine = [float(q @ key / q.norm() / key.norm()) for key in keys]
        near = sorted(range(len(keys)), key=lambda k: -cosine[k])[:top_k]
        weights = torch.tensor([1 / (float((q - keys[k]).abs().sum()) ** 2 + 1e-8) for k in near])
        rows.append(sum(w * expression[k] for w, k in zip(weights / weights.sum(), near, strict=True)))
    if profile == "r1":
        return torch.stack(rows)
    embedded, mixed = projection_head(p, "image", query), 0.0
    gate = layer(p, "head.gate.2", layer(p, "head.gate.0", embedded).clamp(min=0)).softmax(1)
    for c in range(6):
        part = slice(c * embedded.shape[1], (c + 1) * embedded.shape[1])
        hidden = gelu(embedded @ p["head.hidden.weight"][part].T + p["head.hidden.bias"][part])
        mixed = mixed + gate[:, c : c + 1] * (hidden @ p["head.out"][c] + p["head.bias"][c])
    return 0.4 * torch.stack(rows) + 0.6 * mixed


def test_a_whole_fit_and_its_predictions_equal_a_straightforward_computation(
    profile, tiny, typed_section, planted_request, make_learner
):
    changes = {"dropout": 0.0, "n_heads": N_HEADS, "epochs": 3, **({"late_epoch": 2} if profile == "r2" else {})}
    section, query = typed_section("A1", n_spots=30), typed_section("B2", n_spots=24).image
    learner = make_learner(profile, section, **changes)  # for the same first weights, and the section as numbers
    p = {name: v.detach().double().requires_grad_() for name, v in learner.network.named_parameters()}
    batch, grid = learner.batches[0], section.image.array_xy.astype(int).tolist()
    seen = section.image.features["tiny"].astype(float)
    assert np.allclose(batch.features, (seen - seen.mean(0)) / seen.std(0), atol=1e-4)
    data = batch.features.double(), batch.expression.double(), grid, batch.classes.tolist()
    straightforward_fit(profile, p, data, epochs=3, late_epoch=2, rate=learner.settings.learning_rate)

    fitted = PublishedPredictor(("tiny",), learner.settings).fit(planted_request(section))
    moved = max(float((p[name] - v).detach().abs().max()) for name, v in learner.network.named_parameters())
    assert moved > 2 * learner.settings.learning_rate
    for name, trained in fitted.network.named_parameters():
        assert (trained - p[name]).abs().max() <= 2e-3 * p[name].detach().abs().max().clamp(min=1), name
    with torch.no_grad():
        rows = torch.from_numpy((query.features["tiny"] - seen.mean(0)) / seen.std(0))
        expected = straightforward_prediction(profile, p, data, rows, learner.settings.top_k).numpy()
    found = fitted.predict(query).values
    assert np.ptp(found, axis=0).min() > 0.01
    # weights and bank are stored as float16, which may exchange the last of a query's neighbours
    assert (np.abs(found - expected).max(axis=1) < 1e-3).sum() >= query.n_spots - 2
    assert np.abs(found - expected).max() < 0.1
