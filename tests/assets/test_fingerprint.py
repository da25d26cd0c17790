"""Fingerprints change with everything that matters and with nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gr2st_assets import fingerprint as fingerprints
from gr2st_assets.fingerprint import code_version, fingerprint, imports, reached
from gr2st_core.errors import SettingsError

FACTS = {"asset": "a/b", "code_version": "c", "settings_hash": "s", "inputs": {"x": "1", "y": "2"}}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules whose import would fail."""
    folder = tmp_path / "sample_package" / "part"
    folder.mkdir(parents=True)
    for name in ("sample_package/__init__.py", "sample_package/part/__init__.py", "sample_package/part/inner.py"):
        (tmp_path / name).write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    _forget()
    yield folder
    _forget()


def _forget():
    for remembers in (
        code_version,
        *(getattr(fingerprints, f"_{of}") for of in ("imports_of", "is_module", "path", "sources", "text")),
    ):
        remembers.cache_clear()


def _changed_version(*modules):
    _forget()
    return code_version(*modules)


def test_the_order_of_inputs_does_not_matter():
    assert fingerprint(**FACTS) == fingerprint(**FACTS | {"inputs": {"y": "2", "x": "1"}})


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "a/c"}, {"code_version": "d"}, {"settings_hash": "t"}, {"inputs": {}},
        {"inputs": {"x": "2", "y": "1"}}, {"inputs": {"x": "1", "y": "2", "z": ""}},
    ],
)  # fmt: skip
def test_every_part_matters(change):
    assert fingerprint(**FACTS) != fingerprint(**FACTS | change)


def test_a_package_is_hashed_without_being_imported(package):
    assert len(code_version("sample_package.part")) == 64
    assert "sample_package" not in sys.modules


def test_a_changed_new_or_renamed_module_changes_the_version(package):
    seen = [_changed_version("sample_package.part")]
    (package / "inner.py").write_text("x = 1\n")
    seen.append(_changed_version("sample_package.part"))
    (package / "outer.py").write_text("")
    seen.append(_changed_version("sample_package.part"))
    (package / "outer.py").rename(package / "other.py")
    seen.append(_changed_version("sample_package.part"))
    assert len(set(seen)) == 4


def test_a_module_outside_the_named_package_does_not_matter(package):
    before = _changed_version("sample_package.part.inner")
    (package / "other.py").write_text("x = 1\n")
    (package / "inner.txt").write_text("x = 1\n")
    assert _changed_version("sample_package.part.inner") == before


def test_line_endings_do_not_matter(package):
    before = _changed_version("sample_package")
    (package / "inner.py").write_bytes(b"raise RuntimeError('imported')\r\n")
    assert _changed_version("sample_package") == before


def test_the_order_and_overlap_of_names_do_not_matter(package):
    assert code_version("sample_package.part", "sample_package") == code_version("sample_package")


@pytest.mark.parametrize("module", ["no_such_package", "sample_package.nothing", "sample_package.part.nothing"])
def test_an_unknown_module_is_an_error_naming_it(package, module):
    with pytest.raises(SettingsError) as caught:
        code_version(module)
    assert caught.value.context["found"] == module


def test_hashing_the_core_loads_none_of_it():
    script = (
        "import sys; from gr2st_assets.fingerprint import code_version; code_version('gr2st_core.models');"
        "print(sorted({'torch', 'numpy', 'gr2st_core.models'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_reached_are_those_imported_directly_or_not(package):
    (package / "inner.py").write_text(
        "def f():\n    from sample_package.part import outer\n    import sample_package.apart\n"
    )
    (package / "outer.py").write_text("from sample_package.part.inner import f\nimport json\n")
    (package.parent / "apart.py").write_text("")
    (package / "never.py").write_text("")
    assert reached(["sample_package.part.inner"], within=["sample_package"]) == (
        "sample_package.apart",
        "sample_package.part.inner",
        "sample_package.part.outer",
    )
    assert reached(["sample_package.part.inner"], within=["sample_package.part.inner"]) == (
        "sample_package.part.inner",
    )
    assert "sample_package" not in sys.modules


def test_no_import_that_the_parser_finds_is_missed():
    """In every module of both packages, and where a comment holds what looks like an end."""
    root = Path(fingerprints.__file__).parents[1]
    sources = [
        path.read_text("utf-8") for name in ("gr2st_core", "gr2st_assets") for path in (root / name).rglob("*.py")
    ]
    sources.append(
        "from gr2st_core import (\n    errors,  # the first (of two)\n    settings as own,\n)\nimport json as j, re\n"
    )
    assert len(sources) > 300
    for source in sources:
        expected = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                expected |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                members = [f"{node.module}.{alias.name}" for alias in node.names]
                expected |= {name if fingerprints._is_module(name) else node.module for name in members}
        assert expected <= imports(source)
    assert imports(sources[-1]) == {"gr2st_core.errors", "gr2st_core.settings", "json", "re"}


def test_a_reached_module_that_is_not_there_is_an_error(package):
    (package / "inner.py").write_text("import sample_package.nothing\n")
    with pytest.raises(SettingsError):
        reached(["sample_package.part.inner"], within=["sample_package"])
