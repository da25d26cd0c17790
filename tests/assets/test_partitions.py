"""Partition keys and ranges of them."""

import dagster as dg

from gr2st_assets.partitions import SECTIONS, PartitionKey, contiguous_ranges, set_keys, shares


def test_a_key_is_taken_apart_at_its_slash():
    assert PartitionKey.parse("her2st/section-B4") == PartitionKey("her2st", "section-B4")


def test_neighbouring_keys_form_one_range_and_gaps_part_them():
    ordered = ["a", "b", "c", "d", "e"]
    assert contiguous_ranges(ordered, {"a", "b", "d"}) == [("a", "b"), ("d", "d")]
    assert contiguous_ranges(ordered, set(ordered)) == [("a", "e")]
    assert contiguous_ranges(ordered, set()) == []


def test_shares_of_a_range_cover_it_once_in_order():
    ordered = list("abcdefg")
    even = dict.fromkeys(ordered, 1.0)
    assert shares(ordered, ("b", "f"), 2, even) == [("b", "c"), ("d", "f")]
    assert shares(ordered, ("b", "f"), 1, even) == [("b", "f")]
    assert shares(ordered, ("c", "c"), 2, even) == [("c", "c")]


def test_shares_are_even_in_cost_not_in_number():
    ordered = list("abcdef")
    costs = {"a": 9.0, "b": 1.0, "c": 1.0, "d": 9.0, "e": 1.0, "f": 1.0}
    assert shares(ordered, ("a", "f"), 2, costs) == [("a", "c"), ("d", "f")]
    assert shares(ordered, ("a", "f"), 2, {**costs, "a": 90.0}) == [("a", "a"), ("b", "f")]


def test_registered_keys_become_the_given_ones_in_a_stable_order():
    with dg.DagsterInstance.ephemeral() as instance:
        set_keys(instance, SECTIONS, ["b/1", "a/1", "a/2"])
        set_keys(instance, SECTIONS, ["a/0", "a/2", "b/1"])
        assert instance.get_dynamic_partitions("sections") == ["b/1", "a/2", "a/0"]
