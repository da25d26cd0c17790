"""Arrays and text as they stand in an HTML file.

Belongs here: arrays as gzip and base64, JSON and scripts that no content can break out of. Does not belong here: what
is packed (``page``), unpacking (``page/data.js``).
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def packed(array: "np.ndarray", kind: str) -> str:
    """Pack an array's values in row order, little-endian, as numpy type ``kind`` (``float32`` or ``int32``)."""
    import numpy as np

    data = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<")).tobytes()
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def packed_columns(matrix: "np.ndarray") -> str:
    """Pack each column of a matrix by itself as float32, one a line, so that one can be unpacked alone."""
    return "\n".join(packed(column, "float32") for column in matrix.T)


def as_json(value: Any) -> str:
    """JSON that is inert inside any HTML element: ``<`` and its like are escaped, NaN is refused."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data_element(name: str, content: str) -> str:
    """Hold base64 or JSON in a page as ``data-<name>``: an element that browsers neither show nor run."""
    return f'<script type="application/octet-stream" id="data-{name}">{content}</script>\n'


def policy(scripts: Iterable[str]) -> str:
    """Content security policy of a page that runs these scripts, and asks nobody for anything."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
