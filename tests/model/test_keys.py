"""Partition keys: injective, bounded, printable, with one hash tag."""

from __future__ import annotations

import string
from enum import Enum, IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.model.errors import ConfigurationError
from traffik.model.keys import (
    MAX_LENGTH,
    as_text,
    check_pattern,
    check_uid,
    local_key,
    local_of,
    partition_key,
    seal,
    sealed,
    without_scope,
)

tricky = st.text(st.sampled_from("{}:%\0ihIH0123 aé\ud800\udfff"), max_size=6)
long = st.builds(
    lambda count, letter: letter * count, st.integers(MAX_LENGTH - 2, MAX_LENGTH + 2), st.sampled_from("ab:")
)
texts = tricky | long | st.text(st.characters(), max_size=8)
scopes = st.none() | texts
uids = texts.filter(lambda uid: 0 < len(uid) <= MAX_LENGTH)
parts = st.tuples(texts, uids, scopes, texts)


def key_of(namespace, uid, scope, identity):
    return partition_key(namespace, uid, local_key(scope, identity))


@given(parts, parts)
def test_different_parts_make_different_keys(one, two):
    assert (key_of(*one) == key_of(*two)) == (one == two)


@given(st.lists(st.sampled_from("{}:\0i1h2I"), max_size=8), st.data())
def test_different_ways_to_split_the_same_text_make_different_keys(letters, data):
    text = "".join(letters)
    cuts = st.integers(0, len(text))
    pairs = {(text[:cut], text[cut:]) for cut in data.draw(st.sets(cuts))} | {(None, text)}
    assert len({local_key(*pair) for pair in pairs}) == len(pairs)


@given(parts)
def test_keys_are_printable_ascii_with_exactly_one_hash_tag(part):
    key = key_of(*part)
    assert set(key) <= set(string.digits + string.ascii_letters + string.punctuation)
    assert (key.count("{"), key.count("}"), key[-1]) == (1, 1, "}")
    assert key.index("{") < key.index("}") - 1 or local_key(*part[2:]) == ""


@given(parts)
def test_the_hash_tag_is_never_empty(part):
    assert "{}" not in key_of(*part)


@pytest.mark.parametrize("scope", [None, "", "s" * 100_000, "\U0010ffff" * MAX_LENGTH])
@pytest.mark.parametrize("identity", ["", "i" * 100_000, "\U0010ffff" * MAX_LENGTH])
def test_keys_are_of_bounded_length(scope, identity):
    assert len(key_of("traffik", "\U0010ffff" * MAX_LENGTH, scope, identity)) <= 6000


@given(scopes, texts)
def test_local_keys_are_of_bounded_length(scope, identity):
    assert len(local_key(scope, identity)) <= 2 * MAX_LENGTH + 6


def test_long_texts_have_different_hashes_of_40_digits():
    ends = ["a", "b", "\udfff"]
    hashes = {local_key(None, "i" * MAX_LENGTH + end) for end in ends}
    assert len(hashes) == 3
    assert {len(each) for each in hashes} == {2 + 40}
    assert len({local_key("s" * MAX_LENGTH + end, "i") for end in ends}) == 3


@pytest.mark.parametrize("length", [MAX_LENGTH, MAX_LENGTH + 1])
@pytest.mark.parametrize("size", [0, 3, MAX_LENGTH, MAX_LENGTH + 1])
def test_every_form_of_a_local_key_loses_its_scope(length, size):
    identity = "\0" + "h" * (length - 1)
    assert without_scope(local_key("s" * size, identity)) == local_key(None, identity)


@pytest.mark.parametrize("identity", ["\x01", "A", "i" * MAX_LENGTH])
def test_an_identity_of_an_allowed_length_appears_as_it_is(identity):
    assert local_key(None, identity) == identity
    scope = "s" * MAX_LENGTH
    assert local_key(scope, identity) == f"\0I{MAX_LENGTH}:{scope}{identity}"


def test_a_plain_identity_is_its_own_local_key():
    assert local_key(None, "user:42") == "user:42"


def test_a_plain_key_is_readable():
    assert partition_key("traffik", "api:data", "203.0.113.7") == "traffik:api:data:{203.0.113.7}"


def test_all_keys_of_one_identity_have_the_same_hash_tag():
    tags = {partition_key(namespace, uid, "a").partition("{")[2] for namespace in "xy" for uid in ("u", "v")}
    assert tags == {"a}"}


@pytest.mark.parametrize("uid", [None, 5, b"uid"])
def test_a_uid_of_another_type_is_an_error(uid):
    with pytest.raises(TypeError, match="a uid is text"):
        check_uid(uid)


@pytest.mark.parametrize("uid", ["", "u" * (MAX_LENGTH + 1)])
def test_an_empty_or_too_long_uid_is_an_error(uid):
    with pytest.raises(ValueError, match="1 to 128 characters"):
        check_uid(uid)


@given(parts)
def test_a_local_key_is_read_back_from_a_key_and_loses_its_scope(part):
    namespace, uid, scope, identity = part
    local = local_key(scope, identity)
    assert local_of(partition_key(namespace, uid, local)) == local
    assert without_scope(local) == local_key(None, identity)


def test_a_sealed_text_depends_on_the_text_and_the_secret():
    keys = [seal("0123456789abcdef"), seal(b"another secret of bytes")]
    hashes = {sealed(text, key) for text in ("ada", "bob", "\udfff") for key in keys}
    assert {len(each) for each in hashes} == {40}
    assert len(hashes) == 6
    assert seal(b"0123456789abcdef") == keys[0]
    assert sealed("ada", keys[0]) == "d0ffe9a4213ab6ad00bf48cc8241b098348045e0"


@pytest.mark.parametrize("secret", ["0123456789abcde", b"", None, ["a list"] * 16], ids=repr)
def test_a_short_secret_is_an_error(secret):
    with pytest.raises(ConfigurationError, match="a secret is 16 bytes or more"):
        seal(secret)


@pytest.mark.parametrize("uid", ["u", "u" * MAX_LENGTH])
def test_a_uid_of_an_allowed_length_is_kept(uid):
    assert check_uid(uid) == uid


@pytest.mark.parametrize(("pattern", "error"), [("", ValueError), (b"*", TypeError)])
def test_a_pattern_of_uids_is_text(pattern, error):
    with pytest.raises(error, match="a group is a pattern of uids"):
        check_pattern(pattern)
    assert check_pattern("api:*") == "api:*"


class Plan(StrEnum):
    FREE = "free"


class OldPlan(str, Enum):  # noqa: UP042 - still written so in many programs
    FREE = "free"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (Plan.FREE, "free"),
        (OldPlan.FREE, "free"),
        (7, "7"),
        (Number.ONE, "1"),
        (UUID(int=7), str(UUID(int=7))),
    ],
)
def test_an_identity_is_plain_text(value, text):
    found = as_text(value, "the identity")
    assert (found, type(found)) == (text, str)


@pytest.mark.parametrize("value", [True, 1.5, b"a", None])
def test_an_identity_of_another_type_is_an_error(value):
    with pytest.raises(TypeError, match=f"^the scope is text, an integer or a UUID, not {value!r} "):
        as_text(value, "the scope")
