"""Slots are safe paths, and heads survive their text form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from gr2st_assets.lake import Lake
from gr2st_assets.records import Head, Provenance, Slot
from gr2st_core.errors import DataError, SchemaError

PROVENANCE = Provenance("f", {"a": "1"}, "s", "c", "g", "run", 1.5, {"rows": 3})


def test_a_slot_reads_back_from_its_folder():
    slot = Slot("image/embeddings_x", (("cohort", "her2st"), ("section", "B4")))
    assert str(slot) == "image/embeddings_x/cohort=her2st/section=B4"
    assert Slot.parse(str(slot)) == slot
    assert Slot.parse("folds/fold_table") == Slot("folds/fold_table")


def test_the_order_of_keyword_arguments_does_not_make_another_slot(tmp_path):
    lake = Lake(tmp_path)
    one = lake.slot("models/m", seed=0, fold="section-B4", target="per_spot", cohort="her2st", panel="fold_safe")
    assert str(one) == "models/m/cohort=her2st/fold=section-B4/panel=fold_safe/target=per_spot/seed=0"


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a\\b", "a=b", "a b", "ä", "a\n", "x" * 65, "a.b", "\0"])
def test_a_value_that_is_no_plain_name_is_refused(tmp_path, value):
    with pytest.raises(SchemaError) as caught:
        Lake(tmp_path).slot("raw/slides", cohort="c", section=value)
    assert caught.value.context == {"field": "section", "found": repr(value)}


@pytest.mark.parametrize(
    "table", ["", "raw", "raw/", "/x", "../x", "raw/../x", "Raw/x", "raw/x/y", "_manifests/x", ".a/b"]
)
def test_a_table_that_is_not_group_and_name_is_refused(table):
    with pytest.raises(SchemaError) as caught:
        Slot(table)
    assert caught.value.context["field"] == "table"


@pytest.mark.parametrize("names", [("section", "cohort"), ("cohort", "cohort"), ("cohort", "colour")])
def test_unknown_doubled_or_unordered_keys_are_refused(names):
    with pytest.raises(SchemaError) as caught:
        Slot("raw/slides", tuple((name, "x") for name in names))
    assert caught.value.context["found"] == list(names)


@given(st.text())
def test_no_text_addresses_anything_outside_the_lake(value):
    try:
        slot = Slot("raw/slides", (("cohort", value),))
    except SchemaError:
        return
    assert UPath("/lake", str(slot)).parts[1:] == ("lake", "raw", "slides", f"cohort={value}")


def test_a_head_survives_its_document():
    head = Head(Slot("raw/slides"), "0" * 16, PROVENANCE, finished=2.25)
    document = head.to_document()
    assert document["finished"] == "1970-01-01T00:00:02.250000+00:00"
    assert Head.from_document(head.slot, document, UPath("x")) == head


@pytest.mark.parametrize("change", [{"digest": ...}, {"inputs": ...}, {"started": "yesterday"}])
def test_a_head_with_a_missing_or_odd_field_is_refused_naming_the_file(change):
    document = Head(Slot("raw/slides"), "0" * 16, PROVENANCE, finished=2.25).to_document() | change
    document = {name: value for name, value in document.items() if value is not ...}
    with pytest.raises(DataError) as caught:
        Head.from_document(Slot("raw/slides"), document, UPath("/lake/_head.json"))
    assert caught.value.context["file"] == UPath("/lake/_head.json")
