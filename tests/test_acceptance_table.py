"""The table of acceptance checks names tests that exist, for every check."""

import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS = re.findall(r"^\| ([^|]+?) \| [^|]+ \| ([^|]+) \|$", (HERE / "README.md").read_text(), flags=re.MULTILINE)


def test_every_check_has_tests_and_every_test_named_exists():
    named = {check: re.findall(r"`([^`:]+)::(\w+)`", tests) for check, tests in ROWS}
    assert [check for check in named if check.isdigit()] == [str(number) for number in range(1, 23)]
    for check, tests in named.items():
        if check not in ("", "---"):
            assert tests, check
        for path, name in tests:
            text = (HERE / path).read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", text, flags=re.MULTILINE), f"{check}: {path}::{name}"
