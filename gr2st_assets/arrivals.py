"""Cohorts that arrive by themselves: the sensor of the inbox and the job that takes a cohort in.

Belongs here: what Dagster sees of an arrival. Does not belong here: which folders are finished (``inbox``), what is
done with one (``ingest``), features (``features``), training (``retraining``).
"""

from collections.abc import Callable, Iterator

import dagster as dg

from gr2st_assets.inbox import Arrival, arrivals, inbox, local_folder, wrong_checksums
from gr2st_assets.ingest import take_in
from gr2st_assets.resources import LakeResource
from gr2st_core.errors import Gr2stError

INTERVAL_S = 30


class CohortName(dg.Config):
    """Which cohort of the inbox to take in."""

    cohort: str


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Inspect a cohort of the inbox, register its good sections, list what is wrong with the others.",
)
def take_in_cohort(context: dg.OpExecutionContext, config: CohortName, lake: LakeResource) -> None:
    """Do for a cohort of the inbox what ``gr2st cohort add`` does for a folder.

    Raises
    ------
    Failure
        The cohort is not in the inbox, has no known layout, or no section of it can be used.
    """
    from gr2st_assets.assets.quarantine import show_refused
    from gr2st_core.settings import load_settings

    store = lake.open()
    try:
        folder = local_folder(_arrival(config.cohort))
        wrong = {fault.context["file"]: fault for fault in wrong_checksums(folder)}
        found = take_in(
            store, context.instance, config.cohort, folder, load_settings(), _logged(context),
            is_from_inbox=True, distrusted=wrong, waits=True,
        )  # fmt: skip
    except Gr2stError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    show_refused(store, context.instance)
    for fault in found.faults:
        context.log.warning(f"refused: {fault}")
    if not found.cohort.entries:
        raise dg.Failure(f"no section of {config.cohort} can be used: {len(found.faults)} faults", allow_retries=False)
    context.add_output_metadata(
        {"sections": len(found.cohort.entries), "faults": len(found.faults), "layout": found.cohort.layout}
    )


def _arrival(name: str) -> Arrival:
    found, waiting = arrivals(inbox())
    for arrival in found:
        if arrival.name == name:
            return arrival
    raise dg.Failure(f"{name} is not finished in {inbox()}: {waiting}", allow_retries=False)


def _logged(context: dg.OpExecutionContext) -> Callable[[str, int, int], None]:
    return lambda label, done, total: context.log.info(f"{done}/{total} {label}")


@dg.job(description="Take in one cohort of the inbox.", executor_def=dg.in_process_executor)
def ingest() -> None:
    """Take in one cohort."""
    take_in_cohort()


@dg.sensor(job=ingest, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def inbox_sensor() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Take in every cohort folder of the inbox that is finished, and again when its files change."""
    found, waiting = arrivals(inbox())
    for arrival in found:
        config = dg.RunConfig(ops={"take_in_cohort": CohortName(cohort=arrival.name)})
        yield dg.RunRequest(run_key=f"{arrival.name}:{arrival.state}", run_config=config, tags={"cohort": arrival.name})
    if not found:
        yield dg.SkipReason("; ".join(waiting) or f"nothing in {inbox()}")
