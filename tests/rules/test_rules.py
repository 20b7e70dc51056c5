import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import Rule
from traffik.rules.paths import normal_path, readings
from traffik.rules.rule import PendingPredicates, RuleSet, rule_set


def matches(pattern, path, **options):
    return Rule(pattern, **options).matches("GET", path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/"),
        ("/items", "/items"),
        ("/items", "/items/"),
        ("/items/", "/items"),
        ("/items/*", "/items/7"),
        ("/items/*", "/items/7/"),
        ("/v*/items", "/v2/items"),
        ("/v*/items", "/v/items"),
        ("/*.js", "/a.b.js"),
        ("/*a*b*", "/xaxbx"),
        ("/**", "/"),
        ("/**", "/a/b"),
        ("/api/**", "/api"),
        ("/api/**", "/api/"),
        ("/api/**", "/api/a/b"),
        ("/**/edit", "/edit"),
        ("/**/edit", "/a/b/edit"),
        ("/a/**/b/*/**/c", "/a/b/x/b/y/b/z/c"),
        ("/a/**/**/b", "/a/b"),
        ("/é (1)+", "/é (1)+"),
        ("/a/*", "/a/\n"),
        ("/a/**", "/a/x\ny"),
        ("/**/a/**/b/**/c", "/x/a/y/b/z/c"),
        (re.compile(r"/items/\d+"), "/items/7"),
        (re.compile(r"/ITEMS", re.IGNORECASE), "/items"),
    ],
)
def test_a_pattern_matches(pattern, path):
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/a"),
        ("/items", "/items7"),
        ("/items", "/x/items"),
        ("/items", "/Items"),
        ("/items/*", "/items"),
        ("/items/*", "/items/"),
        ("/items/*", "/items/7/8"),
        ("/items/*/*", "/items//7"),
        ("/v*/items", "/v2/x/items"),
        ("/*.js", "/a.jsx"),
        ("/api/**", "/apis"),
        ("/**/edit", "/a/edited"),
        ("/a/**/b/*/**/c", "/a/b/c"),
        ("/a.c", "/abc"),
        (re.compile(r"/items/\d+"), "/x/items/7"),
        (re.compile(r"/items/\d+"), "/items/7/8"),
    ],
)
def test_a_pattern_is_anchored_and_otherwise_literal(pattern, path):
    assert not matches(pattern, path)


def test_methods_match_in_either_case_and_get_includes_head():
    rule = Rule(methods=["get", "POST"])
    assert [rule.matches(method, "/") for method in ("GET", "HEAD", "post", "PUT")] == [True, True, True, False]
    assert not Rule(methods=["HEAD"]).matches("GET", "/")


def test_path_and_method_have_to_match():
    rule = Rule("/a", methods=["POST"])
    assert [rule.matches(*each) for each in (("POST", "/a"), ("GET", "/a"), ("POST", "/b"))] == [True, False, False]


@pytest.mark.parametrize("path", ["//a/b", "/a//b", "/a/./b", "/x/../a/b", "/a/b//", "/../a/b", "/a/b/.", "a/b"])
@pytest.mark.parametrize("pattern", ["/a/b", "/a/b/", re.compile("/a/b"), re.compile("/a/b/")])
def test_another_spelling_does_not_escape_a_limit(pattern, path):
    assert matches(pattern, path)


@pytest.mark.parametrize(
    "path", ["/a%2Fb", "/a%2fb", "/a\\b", "/x/%2f/../a", "/a/b\n", "/a\n", "/x/../c", "/..", "/a%2f.."]
)
@pytest.mark.parametrize("pattern", ["/a/b", re.compile("/a/b")])
def test_spellings_for_file_servers_and_routes_do_not_escape_a_limit(pattern, path):
    assert matches(pattern, path)
    assert not matches(pattern, path, bypass=True)


def test_a_dot_in_the_expression_of_a_limit_matches_a_newline():
    assert matches(re.compile("/items/.*"), "/items/a\nb")
    assert not matches(re.compile("/items/.*"), "/items/a\nb", bypass=True)
    assert matches(re.compile("(?i)/items/[^/]*"), "/ITEMS/a\nb", bypass=True)


@pytest.mark.parametrize("path", ["/a/b%", "/a/.b", "/a/b..", "/a/b%20c", "/a\nb"])
def test_an_unusual_path_with_one_reading_may_be_bypassed(path):
    assert matches(path, path, bypass=True)


def test_a_limit_matches_the_path_as_it_was_sent():
    assert matches(re.compile("/files//.*"), "/files//x")
    assert matches("/a/*/b/**", "/a/x/b/../../..")


@pytest.mark.parametrize("path", ["/health/../admin", "/admin/../health", "//health", "/health/."])
def test_another_spelling_does_not_win_a_bypass(path):
    assert not matches("/health", path, bypass=True)
    assert not matches(re.compile(r"/health.*"), "/health/../admin", bypass=True)
    assert not matches("/health/**", "/health/../admin", bypass=True)


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_a_bypass_matches_with_and_without_a_slash_at_the_end(path):
    assert matches("/health", path, bypass=True)
    assert matches(re.compile(path), path, bypass=True)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", "/"),
        ("*", "/*"),
        ("/a/../../b", "/b"),
        ("/a/b/../c", "/a/c"),
        ("/", "/"),
        ("//", "/"),
        ("/a/", "/a"),
        ("/a//../b", "/b"),
        ("/a/...", "/a/..."),
        ("/a/..", "/"),
        ("/..", "/"),
        ("/.a/..b", "/.a/..b"),
        ("/a;x=1/b", "/a;x=1/b"),
    ],
)
def test_a_path_has_a_normal_form(path, normal):
    assert normal_path(path) == normal


@pytest.mark.parametrize(
    ("path", "forms"),
    [
        ("/", {""}),
        ("/a/b/", {"/a/b"}),
        ("/a/.b", {"/a/.b"}),
        ("//a/./b//", {"//a/./b/", "/a/b"}),
        ("/a%2Fb", {"/a%2Fb", "/a/b"}),
        ("/a\\b", {"/a\\b", "/a/b"}),
        ("/a/\nb", {"/a/\nb"}),
        ("", {""}),
        ("*", {"*", "/*"}),
        ("/a/b\n", set()),
        ("/a/../b", set()),
        ("/a%2f..%2fb", set()),
        ("/a\\..", set()),
    ],
)
def test_a_path_has_readings(path, forms):
    assert set(readings(path)) == forms


@given(st.text("ab./", max_size=12))
def test_the_normal_form_of_a_normal_form_is_the_same(path):
    normal = normal_path(path)
    assert normal_path(normal) == normal
    assert normal == "/" or (normal.startswith("/") and not normal.endswith("/"))
    assert not {"", ".", ".."} & set(normal.split("/")[1:]) or normal == "/"


def fits_segment(pattern, segment):
    """A slow model of a pattern for one segment."""
    if pattern in {"", "*"}:
        return pattern == segment or (pattern == "*" and segment != "")
    if pattern[0] == "*":
        return any(fits_rest(pattern[1:], segment[cut:]) for cut in range(len(segment) + 1))
    return segment[:1] == pattern[0] and fits_rest(pattern[1:], segment[1:])


def fits_rest(pattern, segment):
    return True if pattern == "*" else fits_segment(pattern, segment)


def fits(pattern, segments):
    """A slow model of a pattern: tries every assignment of segments."""
    if not pattern:
        return not segments
    if pattern[0] == "**":
        return any(fits(pattern[1:], segments[cut:]) for cut in range(len(segments) + 1))
    return bool(segments) and fits_segment(pattern[0], segments[0]) and fits(pattern[1:], segments[1:])


PARTS = st.one_of(
    st.just("**"), st.just("*"), st.text("ab*", min_size=1, max_size=4).filter(lambda part: "**" not in part)
)


@given(st.lists(PARTS, min_size=1, max_size=6), st.lists(st.text("ab", min_size=1, max_size=4), max_size=6))
def test_patterns_match_as_their_slow_model_does(pattern, segments):
    expected = fits(pattern, segments)
    for end in ("", "/"):
        path = "/" + "/".join(segments) + end * bool(segments)
        assert matches("/" + "/".join(pattern), path) == expected
        assert matches("/" + "/".join(pattern), path, bypass=True) == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/**/a/**/a/**/a/**/a/**/b", "/a" * 20_000),
        ("/*a*a*a*a*a*b", "/" + "a" * 40_000),
        ("/**/*a*a*a/**/*a*a*a/**/x", "/aaaa" * 8_000),
        ("/*a/*a/**/c", "/" + "a" * 20_000 + "/" + "a" * 20_000),
    ],
)
def test_a_long_path_takes_time_in_proportion(pattern, path):
    begun = time.process_time()
    assert not matches(pattern, path)
    assert time.process_time() - begun < 1  # backtracking would take hours


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        (None, {}, ValueError, r"a rule is about a path, a route, methods or a predicate"),
        (None, {"bypass": True}, ValueError, r"disable\(\) switches it off"),
        ("items", {}, ValueError, r"'items' does not begin with a slash.*'/items'"),
        ("", {}, ValueError, r"does not begin with a slash"),
        ("/a**", {}, ValueError, r"\*\* is a part of 'a\*\*'"),
        ("/***", {}, ValueError, r"\*\* is a part of '\*\*\*'"),
        ("/a//b", {}, ValueError, r"'/a//b'; write '/a/b'"),
        ("/a//", {}, ValueError, r"write '/a'"),
        ("/a/../b", {}, ValueError, r"write '/b'"),
        ("/a/{id:int}/b", {}, ValueError, r"write '/a/\*/b', or give it as a route"),
        ("/a/<int:id>", {}, ValueError, r"write '/a/\*'"),
        (7, {}, TypeError, r"a path is a pattern .* not 7"),
        (re.compile(b"/a"), {}, TypeError, r"the regular expression is too"),
        ("/a", {"bypass": "no"}, TypeError, r"bypass is True or False, not 'no'"),
        (None, {"route": 7}, TypeError, r"a route is the template of one, such as '/users/{id}/orders', not 7"),
        (None, {"methods": "GET"}, TypeError, r"methods are several, such as \['GET', 'POST'\], not 'GET'"),
        (None, {"methods": 7}, TypeError, r"not 7"),
        (None, {"methods": ["G T"]}, ValueError, r"'G T' is no method"),
        (None, {"methods": [7]}, ValueError, r"7 is no method"),
        (None, {"when": 7}, TypeError, r"the predicate of a rule 7 cannot be called"),
    ],
)
def test_an_invalid_rule_is_an_error(path, options, error, words):
    with pytest.raises(error, match=words):
        Rule(path, **options)


@pytest.mark.parametrize("bypass", [False, True])
def test_a_rule_by_route_matches_that_route_in_every_spelling(bypass):
    rule = Rule(route="/users/{id}", bypass=bypass)
    routes = ("/users/{id}", "/users/{name}", "/users/7", None)
    assert [rule.matches("GET", "/x/..//y", route) for route in routes] == [True, False, False, False]


def test_a_route_a_path_and_a_method_have_to_match_together():
    rule = Rule("/users/7", route="/users/{id}", methods=["GET"])
    asked = (("GET", "/users/7"), ("GET", "/users/8"), ("PUT", "/users/7"))
    assert [rule.matches(*each, "/users/{id}") for each in asked] == [True, False, False]
    assert not rule.matches("GET", "/users/7")


def test_a_predicate_is_offered_the_connection_and_the_context():
    rule = Rule("/a", when=lambda connection=None, context=None: (connection, context))
    assert rule.predicate.call(1, 2) == (1, 2)


def test_rules_are_values():
    assert Rule("/a", methods=["get"]).methods == {"GET"}
    assert Rule("/a", methods=["get"]) == Rule("/a", methods=("GET",))
    assert hash(Rule("/a")) == hash(Rule("/a"))
    assert Rule("/a") != Rule("/a", bypass=True)
    assert Rule(route="/a") != Rule(route="/b")
    assert "/a" in repr(Rule("/a"))


def yes():
    return True


def no():
    return False


@pytest.mark.parametrize("given", ["/api/**", 7])
def test_other_objects_are_no_rules(given):
    with pytest.raises(TypeError, match=r"rules are made as Rule\('/api/\*\*'\), not "):
        rule_set(given)


class TestASet:
    def test_it_is_made_of_one_rule_or_several(self):
        one, other = Rule("/a"), Rule("/b")
        assert rule_set(one) == rule_set([one]) == RuleSet((one,))
        assert rule_set(each for each in (one, other)) == RuleSet((one,)).with_rule(other)
        assert rule_set([]) is None

    def test_without_rules_it_matches_everything(self):
        assert RuleSet().judge("GET", "/a") is True

    def test_with_only_bypasses_it_matches_all_other_requests(self):
        rules = RuleSet((Rule("/a", bypass=True), Rule(methods=["OPTIONS"], bypass=True)))
        asked = (("GET", "/a"), ("OPTIONS", "/b"), ("GET", "/b"))
        assert [rules.judge(*each) for each in asked] == [False, False, True]
        rules = RuleSet((Rule(re.compile("/a/"), bypass=True), Rule(route="/b/{id}", bypass=True)))
        asked = (("GET", "/a/"), ("GET", "/a"), ("GET", "/b/7", "/b/{id}"), ("GET", "/b/7"))
        assert [rules.judge(*each) for each in asked] == [False, True, False, True]

    def test_it_matches_if_one_rule_does_and_no_bypass(self):
        rules = RuleSet((Rule("/a/**"), Rule("/b"), Rule("/a/x", bypass=True)))
        assert [rules.judge("GET", path) for path in ("/a", "/b", "/c", "/a/x")] == [True, True, False, False]

    def test_it_calls_no_more_predicates_than_necessary(self):
        rules = RuleSet((Rule("/a/**", when=yes), Rule("/a/x"), Rule("/a/y", when=no, bypass=True)))
        ask = rules.rules[0].predicate, rules.rules[2].predicate
        assert rules.judge("GET", "/b") is False
        assert rules.judge("GET", "/a/x") is True
        assert rules.judge("GET", "/a/z") == PendingPredicates((), (ask[0],))
        assert rules.judge("GET", "/a/y") == PendingPredicates((ask[1],), (ask[0],))

    def test_it_asks_all_predicates_of_rules_that_match(self):
        rules = RuleSet(tuple(Rule("/a", when=when, bypass=bypass) for when in (yes, no) for bypass in (False, True)))
        ask = [rule.predicate for rule in rules.rules]
        assert rules.judge("GET", "/a") == PendingPredicates((ask[1], ask[3]), (ask[0], ask[2]))
        assert rules.with_rule(Rule("/a")).judge("GET", "/a") == PendingPredicates((ask[1], ask[3]), ())

    def test_it_knows_whether_it_needs_the_route(self):
        assert RuleSet((Rule("/a"), Rule(route="/b/{id}"))).by_route
        assert not RuleSet((Rule("/a"),)).by_route

    def test_each_method_path_and_route_has_its_own_result(self):
        rules = RuleSet((Rule("/a", methods=["GET"]), Rule(route="/b/{id}")))
        asked = (("GET", "/a", None), ("PUT", "/a", None), ("PUT", "/a", "/b/{id}"), ("GET", "/b/7", "/b/{id}"))
        for _ in range(2):
            assert [rules.judge(*each) for each in asked] == [True, False, True, True]

    def test_it_caches_a_bounded_number_of_results(self):
        rules, sizes = RuleSet((Rule("/a/**"),)), set()
        for number in range(2_000):
            assert rules.judge("GET", f"/a/{number}") is True
            assert rules.judge("GET", f"/b/{number:0200}") is False
            sizes.add(len(rules._verdicts))
        assert sizes == {*range(1, 513)}

    def test_it_caches_results_of_paths_of_usual_length(self):
        rules = RuleSet((Rule("/**", when=yes),))
        kept = [rules.judge("GET", path) is rules.judge("GET", path) for path in ("/" * 157, "/" * 158)]
        assert kept == [True, False]

    def test_each_rule_is_kept_once_in_order(self):
        rules = RuleSet((Rule("/b"), Rule("/a"))).with_rule(Rule("/b"))
        assert rules.rules == (Rule("/b"), Rule("/a"))
        assert rules.without_rule(Rule("/b")) == RuleSet((Rule("/a"),))
        assert RuleSet((Rule("/a"),)).without_rule(Rule("/a")) is None

    def test_objects_that_are_no_rules_are_an_error(self):
        with pytest.raises(TypeError, match=r"rules are made as Rule\('/api/\*\*'\), not '/a'"):
            RuleSet(("/a",))
