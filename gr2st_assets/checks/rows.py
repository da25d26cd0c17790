"""What a check found, as a row of ``catalog/check_results``.

Belongs here: the row. Does not belong here: any check.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One expectation and what came of it; fields are columns of ``catalog/check_results``.

    Attributes
    ----------
    n_found
        Violations, None where they cannot be counted.
    found
        JSON: numbers and examples of what was found.
    asset, partition_key, variant
        Where it was found; filled in by whoever runs the check on a partition.
    """

    check_name: str
    expectation: str
    passed: bool
    severity: Literal["critical", "warning"] = "critical"
    is_blocking: bool = False
    n_found: int | None = None
    found: str = "{}"
    asset: str = ""
    partition_key: str = ""
    variant: str = ""
