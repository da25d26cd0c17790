"""Settings: overrides by name, and clear refusals."""

from typing import get_args

import pytest

from gr2st_core.errors import SettingsError
from gr2st_core.keys import TARGETS
from gr2st_core.models.registry import METHODS
from gr2st_core.settings import ServingSettings, Settings, load_settings


def test_a_file_overrides_by_name_and_the_rest_stays(tmp_path):
    file = tmp_path / "own.yml"
    file.write_text("gr2st:\n  epochs: 3\n")
    settings = load_settings(file)
    assert settings.gr2st.epochs == 3
    assert settings.ridge == Settings().ridge
    assert settings.digest != Settings().digest
    file.write_text("# nothing\n")
    assert load_settings(file) == load_settings() == Settings()


@pytest.mark.parametrize(
    "part", [name for name in Settings.model_fields if hasattr(getattr(Settings(), name), "epochs")]
)
def test_one_value_of_a_part_leaves_the_others_as_they_are_shipped(tmp_path, part):
    file, shipped = tmp_path / "own.yml", getattr(Settings(), part)
    file.write_text(f"{part}:\n  epochs: 3\n")
    assert getattr(load_settings(file), part) == shipped.model_copy(update={"epochs": 3})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gr2st:\n  epoch: 3\n", "gr2st.epoch"),
        ("gr2st:\n  epochs: 0\n", "gr2st.epochs"),
        ("- 1\n", "valid"),
        ("[]\n", "valid"),
        ("false\n", "valid"),
        ("a: [", "YAML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, said):
    file = tmp_path / "own.yml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said) as error:
        load_settings(file)
    assert error.value.context["file"] == file


def test_what_competes_to_be_served_are_methods_and_targets_of_the_core():
    assert set(ServingSettings().methods) <= set(METHODS)
    assert get_args(ServingSettings.model_fields["target"].annotation) == TARGETS
