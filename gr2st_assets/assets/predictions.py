"""Groups ``models`` and ``predictions``: one model and one predictions asset per method, and the observed values.

Belongs here: training on a fold's training sections, predicting its test sections. Does not belong here: methods
(``gr2st_core.models``); a method of the registry is in the graph by being there.
"""

from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import fold_asset
from gr2st_assets.model_costs import N_WEIGHTS, cost_facts
from gr2st_assets.models import (
    fit,
    load_fitted,
    method_code,
    model_id,
    section_tables,
    settings_digest,
    starting_weights,
    training_roles,
)
from gr2st_assets.steps import Product
from gr2st_assets.tables import table_spec
from gr2st_assets.work import FoldWork
from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.registry import METHODS, MethodSpec

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.types import Prediction


COMPARATOR_GROUP = "comparators"
"""Of their models and predictions in the UI, which are more than all others."""


def _group(spec: MethodSpec) -> str:
    return COMPARATOR_GROUP if spec in COMPARATORS else ""


def model_asset(spec: MethodSpec) -> dg.AssetsDefinition:
    """Make the model asset of a method."""

    def model(work: FoldWork) -> Product:
        from gr2st_core.training.checkpoint import save_state, state_digest

        trained = fit(work, spec)
        state = trained.fitted.state()
        identity = state_digest(state)
        history = state.history
        table = (
            history.assign(**work.run_columns, model_id=identity) if len(history) else _no_rows(spec, "models/model_")
        )
        numbers = {
            "model_id": identity,
            N_WEIGHTS: sum(array.size for array in state.weights.values()),
            **cost_facts(trained.cost, is_resumed=trained.is_resumed),
        }
        return Product(
            table,
            numbers,
            pictures.loss_curves(history, work.fold.fold_id) if len(history) else None,
            write_files=lambda folder: save_state(state, folder),
        )

    model.__doc__ = f"{spec.description}: trained on the fold's training sections; its history is the table."
    return fold_asset(
        f"models/model_{spec.name}",
        section_tables=section_tables(spec, query=False),
        roles=training_roles(spec),
        fold_tables=("expression/panel",),
        after=tuple(f"models/model_{name}" for name in spec.components),
        code=method_code(spec),
        settings_hash=partial(settings_digest, spec),
        files=lambda work: starting_weights(spec, work.settings),
        kinds=frozenset({"torch"}),
        pool="gpu",
        group=_group(spec),
    )(model)


def _no_rows(spec: MethodSpec, prefix: str) -> "pd.DataFrame":
    from gr2st_assets.schema import arrow_schema

    return arrow_schema(table_spec(prefix + spec.name)).empty_table().to_pandas()


def predictions_asset(spec: MethodSpec) -> dg.AssetsDefinition:
    """Make the predictions asset of a method."""

    def predictions(work: FoldWork) -> Product:
        import pandas as pd

        fitted, identity, genes = load_fitted(work, spec.name), model_id(work, spec.name), work.panel().genes
        sections = work.test_sections(spec.features, pixels=spec.pixels)
        found = [fitted.predict(section) for section in sections]
        columns = {**work.run_columns, "method": spec.method, "profile": spec.profile, "model_id": identity}
        tables = [_long(prediction).assign(**columns) for prediction in found]
        table = pd.concat(tables) if tables else _no_rows(spec, "predictions/predictions_")
        expected = {section.key.section_id: section.n_spots for section in sections}
        constant = spec.name == "null_training_mean"
        return Product(
            table,
            {"n_rows": len(table), "model_id": identity},
            findings=[
                domain.predictions_complete(table, expected, len(genes)),
                domain.predictions_vary(table, constant_by_design=constant),
            ],
        )

    predictions.__doc__ = f"{spec.description}: expression of the fold's held-out sections, predicted from the image."
    return fold_asset(
        f"predictions/predictions_{spec.name}",
        section_tables=section_tables(spec, query=True),
        roles=("test",),
        fold_tables=("expression/panel", f"models/model_{spec.name}"),
        code=method_code(spec),
        checks=("predictions_complete", "predictions_vary"),
        settings_hash=partial(settings_digest, spec),
        kinds=frozenset({"torch"}),
        group=_group(spec),
    )(predictions)


def _long(prediction: "Prediction") -> "pd.DataFrame":
    """One row a spot and gene, spots outer."""
    import numpy as np
    import pandas as pd

    n_spots, n_genes = prediction.values.shape
    parts = {name: prediction.components.get(name) for name in ("relative", "retrieval", "regression")}
    return pd.DataFrame(
        {
            "cohort": prediction.key.cohort,
            "section_id": prediction.key.section_id,
            "spot_id": pd.Categorical(np.repeat(prediction.spot_ids, n_genes)),
            "gene": pd.Categorical(np.tile(np.asarray(prediction.genes, dtype=object), n_spots)),
            "predicted": prediction.values.ravel(),
            **{name: np.float32(np.nan) if part is None else part.ravel() for name, part in parts.items()},
            "weight": np.nan if prediction.weight is None else prediction.weight,
        }
    )


@fold_asset(
    "predictions/observed",
    section_tables=("raw/slides", "raw/spots", "raw/counts"),
    roles=("test",),
    fold_tables=("expression/panel",),
    code=("gr2st_core.expression.targets",),
    kinds=frozenset({"python"}),
)
def observed(work: FoldWork) -> Product:
    """Measured expression of the held-out sections in target units: what predictions are scored against."""
    import numpy as np
    import pandas as pd

    from gr2st_core.expression.targets import to_target

    panel = work.panel()
    variant = work.variant
    columns = {"fold_id": work.fold.fold_id, "panel": variant.panel, "target": variant.target}
    tables = []
    for section in work.truth_sections():
        values = to_target(section.counts, panel, variant.target)
        tables.append(
            pd.DataFrame(
                {
                    **columns,
                    "cohort": section.key.cohort,
                    "section_id": section.key.section_id,
                    "spot_id": pd.Categorical(np.repeat(section.image.spot_ids, len(panel))),
                    "gene": pd.Categorical(np.tile(np.asarray(panel.genes, dtype=object), len(values))),
                    "observed": values.ravel(),
                }
            )
        )
    if not tables:
        from gr2st_assets.schema import arrow_schema

        return Product(arrow_schema(table_spec("predictions/observed")).empty_table())
    return Product(pd.concat(tables), {"n_rows": sum(map(len, tables))})


MODELS = [model_asset(spec) for spec in METHODS.values()]
PREDICTIONS = [predictions_asset(spec) for spec in METHODS.values()]
