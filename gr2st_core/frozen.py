"""What all settings are: frozen, validated values with a digest.

Belongs here: the base class and the types that fields share. Does not belong here: any setting.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """Values that cannot change; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def digest(self) -> str:
        """SHA-256 of the values, keys sorted: the settings hash of a fingerprint."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
