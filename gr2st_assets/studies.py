"""Both studies of GR2ST in one fold: train each change, or ask the base's model, and score.

Belongs here: from a change to the rows of its table. Does not belong here: which changes there are
(``gr2st_core.studies``), averages over folds and Dagster (``assets.studies``).

A change that takes a training keeps its finished model in the folder of its job, so that a study that was stopped, or
another fold that trains on the same sections, goes on from there.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from gr2st_assets.models import job_facts, load_fitted, section_tables
from gr2st_assets.selection import STUDIED, STUDIED_FEATURES
from gr2st_assets.work import FoldWork
from gr2st_core.models.registry import MethodSpec, method

if TYPE_CHECKING:
    import numpy as np

    from gr2st_core.keys import SectionKey
    from gr2st_core.models.gr2st.fitted import FittedGr2st
    from gr2st_core.predictor import FitRequest, Predictor
    from gr2st_core.settings import Settings
    from gr2st_core.studies.changes import Change, Study
    from gr2st_core.types import ImageSection, TrainSection

BASE = method(STUDIED)
SPEC = replace(BASE, features=STUDIED_FEATURES)
"""The base, reading all that any change reads."""
SECTION_TABLES = section_tables(SPEC, query=False)


def studies_digest(settings: "Settings") -> str:
    """Digest of the settings of the base and of the values tried."""
    return settings.gr2st.digest + settings.studies.digest


@dataclass(frozen=True)
class FoldStudy:
    """A fold with its base: sections are read once, and the base predicts once.

    Attributes
    ----------
    base_pearson
        The base's correlation per gene in panel order, per held-out section.
    """

    work: FoldWork
    base: "FittedGr2st"
    train: "Sequence[TrainSection]"
    queries: "Sequence[ImageSection]"
    truths: "Sequence[TrainSection]"
    base_pearson: "dict[SectionKey, np.ndarray]"

    @classmethod
    def open(cls, work: FoldWork) -> "FoldStudy":
        """Read the fold's sections and its base."""
        from gr2st_core.evaluation.metrics import pearson_per_gene

        base = cast("FittedGr2st", load_fitted(work, BASE.name))
        queries, truths = work.test_sections(SPEC.features), work.truth_sections()
        known = {
            query.key: pearson_per_gene(_observed(truth, base), base.predict(query).values)
            for query, truth in zip(queries, truths, strict=True)
        }
        return cls(work, base, work.train_sections(SPEC.features), queries, truths, known)

    def changes(self, study: "Study") -> "list[Change]":
        """All changes of a study, the base among them."""
        from gr2st_core.studies.changes import Base, ablations, sensitivities

        if study == "ablation":
            return ablations()
        mix = self.base.mix
        own = Base(len(self.base.panel), len(self.train), mix.top_k, mix.weight)
        return sensitivities(self.work.settings, own)

    def rows(self, change: "Change", label: str) -> Iterator[dict[str, Any]]:
        """Rows of a change, one a held-out section; trains it first where that is needed."""
        fitted = self._trained(change, label) if change.needs_training else self._asked(change)
        fold = change.fold_of(self.work.fold)
        for query, truth in zip(self.queries, self.truths, strict=True):
            yield {
                **self.work.run_columns,
                "split_unit": fold.split_unit,
                "study": change.study,
                "parameter": change.parameter,
                "setting": change.setting,
                "value": change.value,
                "is_base": change.is_base,
                "cohort": query.key.cohort,
                "section_id": query.key.section_id,
                "patient_id": query.patient_id,
                "patient_in_training": fold.patient_in_training(query.key),
                "n_training_sections": len(fold.train),
                "n_training_patients": len({(key.cohort, fold.patients[key]) for key in fold.train}),
                **self._scores(fitted, query, truth),
            }

    def _scores(self, fitted: "FittedGr2st", query: "ImageSection", truth: "TrainSection") -> dict[str, Any]:
        import numpy as np

        from gr2st_core.evaluation.metrics import mean_of_defined, pearson_per_gene

        prediction, observed = fitted.predict(query), _observed(truth, fitted)
        pearson = pearson_per_gene(observed, prediction.values)
        parts = {
            f"pearson_{name}": mean_of_defined(pearson_per_gene(observed, prediction.components[name]))
            for name in ("retrieval", "regression")
        }
        return {
            "n_genes": len(fitted.panel),
            "n_undefined": int(np.isnan(pearson).sum()),
            "pearson": mean_of_defined(pearson),
            "pearson_base": mean_of_defined(self.base_pearson[query.key][: len(fitted.panel)]),
            **parts,
            "retrieval_weight": fitted.mix.weight,
            "top_k": fitted.mix.top_k,
            "pearson_inner": _inner_score(fitted),
        }

    def _asked(self, change: "Change") -> "FittedGr2st":
        """The base's model, retrieving otherwise."""
        settings, mix = change.applied_to(self.base.settings), self.base.mix
        if "top_ks" in change.settings:
            mix = replace(mix, top_k=settings.top_ks[0])
        if "retrieval_weights" in change.settings:
            mix = replace(mix, weight=settings.retrieval_weights[0])
        return replace(self.base, settings=settings, mix=mix)

    def _trained(self, change: "Change", label: str) -> "FittedGr2st":
        from filelock import FileLock

        from gr2st_core.training.checkpoint import load_state, save_state

        work, spec, predictor = self._job(change)
        panel = change.panel_of(self.base.panel)
        facts = {**job_facts(work, spec), "panel": panel.sha256}
        folder = work.training_folder("evaluation/studies", facts)
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (folder / "model").exists():
                request = self._request(change, label)
                fitted = predictor.fit(replace(request, workdir=folder / "steps"))
                save_state(fitted.state(), folder / "unfinished")
                (folder / "unfinished").rename(folder / "model")
                shutil.rmtree(folder / "steps")
            state = load_state(folder / "model")
        return cast("FittedGr2st", predictor.load(state))

    def _job(self, change: "Change") -> "tuple[FoldWork, MethodSpec, Predictor]":
        """Fold, method and predictor with the change in them."""
        from gr2st_core.models.gr2st.predictor import Gr2stPredictor

        settings = self.work.settings
        settings = settings.model_copy(update={"gr2st": change.applied_to(settings.gr2st)})
        work = replace(self.work, settings=settings, fold=change.fold_of(self.work.fold))
        if change.features is None:
            return work, BASE, BASE.build(settings)
        spec = replace(BASE, features=change.features)
        return work, spec, Gr2stPredictor(change.features, settings.gr2st, profile=BASE.profile)

    def _request(self, change: "Change", label: str) -> "FitRequest":
        from gr2st_core.predictor import FitRequest

        variant = self.work.variant

        def progress(stage: str, done: int, total: int) -> None:
            self.work.progress(f"{label} {stage}", done, total)

        return FitRequest(
            sections=self.train[: change.n_sections],
            panel=change.panel_of(self.base.panel),
            target=variant.target,
            seed=variant.seed,
            progress=progress,
            split_unit=self.work.fold.split_unit,
        )


def _observed(truth: "TrainSection", fitted: "FittedGr2st") -> "np.ndarray":
    """Measured expression as the model predicts it: its genes, its target."""
    from gr2st_core.expression.targets import to_target

    return to_target(truth.counts, fitted.panel, fitted.target)


def _inner_score(fitted: "FittedGr2st") -> float:
    """Highest score on inner splits, by which the number of epochs was chosen; NaN if none was defined."""
    return max((score for score in fitted.config["inner"]["curve"] if score is not None), default=float("nan"))
