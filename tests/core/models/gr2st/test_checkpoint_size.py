"""A stored GR2ST of the published panel's size stays small."""

from dataclasses import replace

from scipy import sparse

from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.models.registry import M224_M448
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.checkpoint import save_state
from gr2st_core.types import Counts, Panel


def test_a_checkpoint_of_785_genes_is_below_25_megabytes(planted_section, tmp_path):
    genes = tuple(f"g{k}" for k in range(785))
    sections = []
    for name in ("A1", "B1"):
        section = planted_section(name, encoders=M224_M448)
        wide = sparse.csr_matrix(sparse.hstack([section.counts.matrix] * 66)[:, :785])
        sections.append(replace(section, counts=Counts(wide, genes)))
    request = FitRequest(sections, Panel("wide", genes), "per_spot")
    fitted = Gr2stPredictor(M224_M448, Gr2stSettings(epochs=1)).fit(request)
    save_state(fitted.state(), tmp_path)
    weights = [path for path in tmp_path.rglob("*") if path.is_file() and "bank" not in path.name]
    assert weights
    assert sum(path.stat().st_size for path in weights) < 25e6
