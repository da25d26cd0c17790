"""YAML text from strangers.

Belongs here: reading it as plain values whose size is that of the text. Does not belong here: what they mean.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError

_LONGEST = 2_000  # longer numbers cannot even be shown


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few of them, nested, stand for gigabytes
            raise ComposerError(None, None, "aliases are not read", None)
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST:
            raise ComposerError(None, None, "a value is too long", node.start_mark)
        return node


def read_yaml(text: str) -> object:
    """Read plain YAML: no aliases, no tags but YAML's own.

    Raises
    ------
    yaml.YAMLError
        It is none, or a value is not what its tag says.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 a safe loader
    except (ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # what PyYAML lets through of values such as 2024-13-45, !!int '' or !!timestamp x
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error
