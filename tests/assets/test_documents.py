"""The JSON of the lake: stable bytes, and clear refusals."""

import pytest
from upath import UPath

from gr2st_assets.documents import FORMAT_VERSION, decode, encode
from gr2st_core.errors import DataError, SchemaError

FILE = UPath("/lake/_head.json")


def test_key_order_does_not_change_the_bytes():
    assert encode({"b": 1, "a": "µ"}) == encode({"a": "µ", "b": 1})
    assert encode({"a": "µ"}).endswith(b"}\n")
    assert "µ".encode() in encode({"a": "µ"})


def test_what_was_encoded_reads_back():
    assert decode(encode({"a": [1, None]}), FILE) == {"a": [1, None], "format_version": FORMAT_VERSION}


def test_nan_never_reaches_a_document():
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"score": float("nan")})


def test_a_newer_format_is_refused_naming_both_versions():
    with pytest.raises(SchemaError) as caught:
        decode(encode({"format_version": FORMAT_VERSION + 1}), FILE)
    assert caught.value.context["found"] == FORMAT_VERSION + 1
    assert caught.value.context["expected"] == FORMAT_VERSION
    assert caught.value.context["file"] == FILE


def test_a_missing_field_is_reported_with_the_file():
    with pytest.raises(DataError) as caught:
        decode(encode({"a": 1}), FILE, "a", "b")
    assert caught.value.context == {"file": FILE, "field": ["b"], "found": ["a", "format_version"]}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b'{"a": 1}', b'{"format_version": "x"}', b"\xff\xfe"])
def test_damage_is_reported_with_the_file(data):
    with pytest.raises(DataError) as caught:
        decode(data, FILE)
    assert caught.value.context["file"] == FILE
