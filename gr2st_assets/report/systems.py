"""Third chapter: the published systems beside their own figures, what is recalled, what methods cost.

Belongs here: blocks made of the queries that the page of results has too. Does not belong here: these queries
(``results``, ``comparator_results``), the scoreboard (``verdict``).

Seconds and memory differ from run to run, and the report gives equal bytes for equal inputs: it shows the query alone.
"""

from gr2st_assets import comparator_results, results
from gr2st_assets.report.answers import Asking
from gr2st_assets.report.blocks import Block, Chapter

_PUBLISHED = (
    "ours_small is a system made small for two cores, ours_full in its published size. A published figure is like ours "
    "only where target, what was held out, genes, and whether anything was chosen on test sections agree."
)
_COSTS = (
    "Parameters, seconds a fold and peak memory of every training are in the view model_costs. They differ from run to "
    "run, so this page has the query and not the answer."
)


def chapter(asking: Asking) -> Chapter:
    """Published figures beside ours, mates beside strangers at equal numbers of spots, and where costs are."""
    published, recalled = asking(comparator_results.BESIDE_PUBLISHED), asking(results.RECALL.query)
    return Chapter(
        "Published systems, recall, cost",
        [
            Block("published", "Published figures beside ours", _PUBLISHED, published,
                  empty="No published system was run on this cohort, and none has published figures of it."),
            Block("recall", results.RECALL.text.replace("`", ""),
                  "How much of a score is owed to the patient's other sections.", recalled, empty="Not measured."),
            Block("costs", "Size and cost of every method", _COSTS, code=asking.text(comparator_results.COSTS)),
        ],
    )  # fmt: skip
