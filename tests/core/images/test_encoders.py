import subprocess
import sys
from dataclasses import replace

import pytest

from gr2st_core.errors import SettingsError
from gr2st_core.images.encoders import encoder_names, encoder_spec


def test_every_name_gives_a_description_of_that_name():
    assert encoder_names()[:5] == (
        "color_texture",
        "efficientnet_lite0",
        "efficientnet_lite0_309um",
        "efficientnet_lite0_rot",
        "efficientnet_lite0_309um_rot",
    )
    for name in encoder_names():
        spec = encoder_spec(name)
        assert spec.name == name
        assert spec.facts["licence"]
        assert spec.um_per_px == spec.span_um / spec.input_px


def test_spans_are_in_micrometres():
    assert encoder_spec("color_texture").span_um == 154.0
    assert encoder_spec("efficientnet_lite0").um_per_px == pytest.approx(0.6875)
    assert encoder_spec("efficientnet_lite0_309um").um_per_px == pytest.approx(309 / 224)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite0_309um"])
def test_an_encoder_averaged_over_rotations_is_another_encoder_of_equal_patches(name):
    plain, averaged = encoder_spec(name), encoder_spec(f"{name}_rot")
    assert (averaged.span_um, averaged.input_px, averaged.width) == (plain.span_um, plain.input_px, plain.width)
    assert replace(averaged, name=name).digest != plain.digest


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SettingsError, match="no such encoder") as caught:
        encoder_spec("resnet")
    assert caught.value.context["found"] == "resnet"
    assert "color_texture" in caught.value.context["expected"]


def test_a_copy_makes_no_sense_for_a_built_in_encoder(tmp_path):
    with pytest.raises(SettingsError, match="no hub repository"):
        encoder_spec("color_texture", copy=tmp_path)


@pytest.mark.parametrize("name", ["Phikon", "a-b", "", "a" * 65, "../x"])
def test_names_are_lower_case_digits_and_underscores(name):
    with pytest.raises(SettingsError, match="name must match"):
        replace(encoder_spec("color_texture"), name=name)


def test_the_digest_changes_with_every_fact():
    spec = encoder_spec("efficientnet_lite0")
    others = [replace(spec, span_um=309.0), replace(spec, mean=(0.4, 0.5, 0.5)), replace(spec, sha256="x")]
    assert len({spec.digest, *(other.digest for other in others)}) == 4
    assert spec.digest == encoder_spec("efficientnet_lite0").digest


def test_looking_up_encoders_imports_no_network_library():
    code = (
        "import sys; from gr2st_core.images.encoders import encoder_names, encoder_spec;"
        "[encoder_spec(n) for n in encoder_names()];"
        "print(sorted({'torch', 'timm', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
