"""Each change of a study changes what it says, and nothing else."""

import pytest

from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import COLOR
from gr2st_core.models.spec import M224
from gr2st_core.settings import Gr2stSettings, Settings, StudySettings
from gr2st_core.studies.changes import LABELS, Base, ablations, sensitivities
from gr2st_core.training.folds import Fold
from gr2st_core.types import Panel

OWN = Gr2stSettings()
BASE = Base(n_genes=785, n_sections=5, top_k=200, retrieval_weight=0.4)
PANEL = Panel("p", tuple(f"G{i}" for i in range(785)))
KEYS = tuple(SectionKey("toy", name) for name in ("A1", "A2", "B1", "B2", "C1"))
FOLD = Fold("toy/section-D1", "section", (SectionKey("toy", "D1"),), KEYS, (), {
    key: key.section_id[0] for key in (*KEYS, SectionKey("toy", "D1"))
})  # fmt: skip


def flat(settings: Gr2stSettings) -> dict:
    values = settings.model_dump()
    return {**{f"graph.{name}": value for name, value in values.pop("graph").items()}, **values}


def changed(settings: Gr2stSettings) -> dict:
    """What differs from the defaults."""
    before = flat(OWN)
    return {name: value for name, value in flat(settings).items() if value != before[name]}


def of(parameter: str, settings: Settings | None = None):
    return [c for c in sensitivities(settings or Settings(), BASE) if c.parameter == parameter]


def test_the_ablation_is_the_base_and_eight_trainings() -> None:
    found = ablations()
    assert [c.parameter for c in found if c.is_base] == ["base"]
    assert [c.parameter for c in found if c.needs_training] == list(LABELS)[:8]
    assert len({(c.parameter, c.setting) for c in found}) == len(found) == 9


@pytest.mark.parametrize(
    ("parameter", "settings", "features"),
    [
        ("base", {}, None),
        ("cell_types", {"cell_types": False}, None),
        ("functional_graph", {"functional_graph": False}, None),
        ("spatial_graph", {"spatial_graph": False}, None),
        ("contrastive_term", {"contrastive_weight": 0.0}, None),
        ("regression_head", {"retrieval_weights": (1.0,), "mse_weight": 0.0, "gate_weight": 0.0}, None),
        ("retrieval", {"retrieval_weights": (0.0,)}, None),
        ("context", {}, M224),
        ("encoder", {}, COLOR),
    ],
)
def test_an_ablation_changes_exactly_its_part(parameter, settings, features) -> None:
    (change,) = [c for c in ablations() if c.parameter == parameter]
    assert changed(change.applied_to(OWN)) == settings
    assert change.features == features
    assert change.panel_of(PANEL) is PANEL
    assert change.fold_of(FOLD) is FOLD


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("max_degree", "graph.max_degree"),
        ("radius_pitches", "graph.radius_pitches"),
        ("min_threshold", "graph.min_threshold"),
        ("similarity_temperature", "similarity_temperature"),
        ("retrieval_temperature", "retrieval_temperature"),
    ],
)
def test_a_varied_setting_takes_each_value_and_no_other_changes(parameter, name) -> None:
    found = of(parameter)
    assert [c.value for c in found] == sorted({c.value for c in found})
    assert [c.value for c in found if c.is_base] == [flat(OWN)[name]]
    for change in found:
        assert changed(change.applied_to(OWN)) == ({} if change.is_base else {name: change.value})
        assert change.needs_training == (not change.is_base and parameter != "retrieval_temperature")


def test_shares_and_neighbours_are_asked_of_the_trained_base() -> None:
    shares, neighbours = of("retrieval_weight"), of("top_k")
    assert [c.setting for c in shares] == ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]
    assert not any(c.needs_training for c in (*shares, *neighbours))
    assert [c.setting for c in shares if c.is_base] == ["0.4"]
    assert [c.setting for c in neighbours if c.is_base] == ["200"]
    for change in shares:
        assert changed(change.applied_to(OWN)) == ({} if change.is_base else {"retrieval_weights": (change.value,)})
    for change in neighbours:
        assert changed(change.applied_to(OWN)) == ({} if change.is_base else {"top_ks": (change.value,)})


def test_what_training_may_choose_is_among_the_values_in_every_fold() -> None:
    settings = Settings(gr2st={"top_ks": (7,), "retrieval_weights": (0.25,)})
    assert 7 in [c.value for c in of("top_k", settings)]
    assert 0.25 in [c.value for c in of("retrieval_weight", settings)]


def test_fewer_genes_and_sections_are_the_first_ones() -> None:
    genes, sections = of("n_genes"), of("n_training_sections")
    assert [(c.value, c.is_base) for c in genes] == [(50, False), (200, False), (785, True)]
    assert [(c.value, c.is_base) for c in sections] == [(1, False), (2, False), (3, False), (4, False), (5, True)]
    assert [c.panel_of(PANEL).genes for c in genes] == [PANEL.genes[:50], PANEL.genes[:200], PANEL.genes]
    assert [c.fold_of(FOLD).train for c in sections] == [KEYS[:n] for n in (1, 2, 3, 4, 5)]
    for change in (*genes, *sections):
        assert changed(change.applied_to(OWN)) == {}
    assert all(c.fold_of(FOLD) is FOLD for c in genes)
    assert all(c.panel_of(PANEL) is PANEL for c in sections)


def test_values_that_are_the_bases_own_are_tried_once() -> None:
    settings = Settings(studies=StudySettings(max_degrees=(64, 8, 8), min_thresholds=()))
    assert [(c.value, c.is_base) for c in of("max_degree", settings)] == [(8, False), (64, True)]
    assert [(c.value, c.is_base) for c in of("min_threshold", settings)] == [(0.6, True)]


def test_every_parameter_has_a_label() -> None:
    parameters = {c.parameter for c in (*ablations(), *sensitivities(Settings(), BASE))}
    assert parameters - set(LABELS) == {"base"}
    assert set(LABELS) < parameters


def test_the_number_of_trainings_stays_modest() -> None:
    assert sum(c.needs_training for c in sensitivities(Settings(), BASE)) == 2 + 2 + 3 + 2 + 2 + 4
