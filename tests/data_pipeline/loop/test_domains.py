"""Domains and URL patterns against hand-counted sites."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.loop.math_domains import (
    Domain,
    Pattern,
    Visit,
    accepted_paths,
    covers,
    pattern_paths,
    propose_patterns,
    read_domains,
    read_patterns,
    write_domains,
    write_patterns,
)
from data_pipeline.loop.mining_round import domains_of
from data_pipeline.loop.page_pool import PagePool
from data_pipeline.loop.run_settings import Settings
from tests.clock import stopwatch
from verifiers.input_error import InputError


def site(host: str, folder: str, pages: int, collected: int) -> list[Visit]:
    return [Visit(host, f"https://{host}{folder}{n}", n < collected) for n in range(pages)]


def domain_shares(visits: list[Visit]) -> list[Domain]:
    """Of pages that lie in two files."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for key, rows in (("a", visits[::2]), ("b", visits[1::2])):
            columns = {"host": [visit.host for visit in rows], "collected": pa.array([visit.collected for visit in rows], pa.bool_())}
            pq.write_table(pa.table(columns), folder / f"{key}.parquet")
        return list(domains_of(PagePool(folder, folder, ("a", "b"), len(visits), 0, ""), folder, Settings()))


def proposed(visits: list[Visit], **named: Any) -> list[Pattern]:
    """Those of the mathematical domains, one domain after the other."""
    wanted = {domain.host for domain in domain_shares(visits) if domain.mathematical}
    return list(propose_patterns(sorted((v for v in visits if v.host in wanted), key=lambda visit: visit.host), **named))


def test_a_domain_needs_more_than_its_share_and_enough_pages():
    visits = site("tenth.org", "/", 10, 1) + site("more.org", "/", 10, 2) + site("tiny.org", "/", 2, 2) + site("none.org", "/", 50, 0)
    found = {domain.host: domain for domain in domain_shares(visits)}
    assert {host: domain.mathematical for host, domain in found.items()} == {
        "tenth.org": False, "more.org": True, "tiny.org": False, "none.org": False,
    }  # fmt: skip
    assert (found["more.org"].pages, found["more.org"].collected, found["more.org"].share) == (10, 2, 0.2)


def test_domains_come_most_collected_first_and_in_one_order_whatever_the_order_of_the_pages():
    visits = site("b.org", "/", 5, 3) + site("a.org", "/", 5, 3) + site("c.org", "/", 5, 4)
    assert [domain.host for domain in domain_shares(visits)] == ["c.org", "a.org", "b.org"]
    assert domain_shares(visits) == domain_shares(list(reversed(visits)))


def test_a_page_without_a_host_makes_no_mathematical_domain():
    assert not domain_shares([Visit("", "x", True)] * 5)[0].mathematical


def test_the_highest_folder_that_was_mostly_collected_is_taken():
    visits = site("ask.org", "/questions/", 10, 8) + site("ask.org", "/users/", 30, 0)
    patterns = proposed(visits)
    assert [(p.path, p.pages, p.collected, p.accept) for p in patterns] == [("/questions/", 10, 8, True)]
    assert patterns[0].examples == ("https://ask.org/questions/8", "https://ask.org/questions/9")


def test_a_whole_domain_is_one_pattern():
    visits = site("math.org", "/a/", 10, 8) + site("math.org", "/b/", 10, 5)
    assert [(p.path, p.accept) for p in proposed(visits)] == [("/", True)]


def test_a_folder_about_something_else_is_left_out_even_where_the_domain_was_mostly_collected():
    visits = site("ask.org", "/questions/", 30, 28) + site("ask.org", "/users/", 10, 1) + site("ask.org", "/help/", 3, 0)
    assert [(p.path, p.accept) for p in proposed(visits)] == [("/questions/", True)]


def test_what_is_below_the_bar_is_proposed_but_not_accepted():
    visits = site("mixed.org", "/", 10, 3)
    assert [(p.path, p.share, p.accept) for p in proposed(visits)] == [("/", 0.3, False)]


def test_patterns_of_domains_that_are_not_mathematical_are_not_proposed():
    visits = site("news.org", "/science/", 3, 3) + site("news.org", "/", 97, 0)
    assert proposed(visits) == []


def test_a_pattern_needs_support():
    visits = site("ask.org", "/questions/", 2, 2) + site("ask.org", "/users/", 8, 0)
    assert [p.path for p in proposed(visits, pages=3)] == ["/"]
    assert not any(p.accept for p in proposed(visits, pages=3))


def test_the_board_of_a_forum_is_a_pattern():
    visits = [Visit("forum.org", f"https://forum.org/viewtopic.php?t={n}&f={n % 4}", n % 4 == 2) for n in range(40)]
    patterns = proposed(visits)
    assert [(p.path, p.collected, p.accept) for p in patterns] == [("/viewtopic.php?f=2", 10, True)]
    places = accepted_paths(patterns)
    assert covers(places, "forum.org", "https://forum.org/viewtopic.php?f=2&t=99")
    assert not covers(places, "forum.org", "https://forum.org/viewtopic.php?f=3&t=99")


def test_a_pattern_covers_whole_path_segments_of_its_own_host_only():
    places = accepted_paths([Pattern("ask.org", "/questions/", 5, 5, True), Pattern("ask.org", "/users/", 5, 5, False)])
    assert covers(places, "ask.org", "https://ask.org/questions/1/why")
    assert not covers(places, "ask.org", "https://ask.org/questions-of-style/1")
    assert not covers(places, "ask.org", "https://ask.org/users/1")
    assert not covers(places, "other.org", "https://other.org/questions/1")


def test_the_paths_of_a_url_by_hand():
    assert list(pattern_paths("https://a.org")) == ["/"]
    assert list(pattern_paths("https://a.org/wiki/Group")) == ["/", "/wiki/", "/wiki/Group"]
    assert list(pattern_paths("https://a.org/x/y/?cat=3")) == ["/", "/x/", "/x/y/"]
    assert list(pattern_paths("https://a.org/p.php?x=1&cat=3")) == ["/", "/p.php", "/p.php?cat=3"]
    assert list(pattern_paths("https://[bad/x")) == ["/"]


def test_hostile_urls_cost_little():
    took = stopwatch()
    deep = "https://a.org/" + "x/" * 500_000 + "?" + "f=&" * 500_000
    visits = [Visit("a.org", deep + str(n), True) for n in range(5)]
    assert [p.path for p in proposed(visits)] == ["/"]
    assert took() < 2.0


def test_a_persons_verdict_on_patterns_is_read_back(tmp_path):
    file = tmp_path / "patterns.json"
    write_patterns([Pattern("a.org", "/x/", 4, 2, True, ("https://a.org/x/ü",)), Pattern("b.org", "/", 9, 2, False)], file)
    assert read_patterns(file) == [Pattern("a.org", "/x/", 4, 2, True, ("https://a.org/x/ü",)), Pattern("b.org", "/", 9, 2, False)]
    rows = json.loads(file.read_text())
    rows["patterns"][1]["accept"] = True
    rows["patterns"].append({"host": "c.org", "path": "/notes/", "accept": True})
    file.write_text(json.dumps(rows))
    assert set(accepted_paths(read_patterns(file))) == {"a.org", "b.org", "c.org"}


@pytest.mark.parametrize("text", ["", "[]", '{"patterns": [{}]}', '{"patterns": [{"host": "a", "path": "/", "accept": "yes"}]}',
                                  '{"patterns": [{"host": "a", "path": "x", "accept": true}]}', '{"patterns": 3}'])  # fmt: skip
def test_a_damaged_patterns_file_is_one_line(tmp_path, text):
    file = tmp_path / "patterns.json"
    file.write_text(text)
    with pytest.raises(InputError, match="not a patterns file") as error:
        read_patterns(file)
    assert "\n" not in str(error.value)


def test_domains_are_read_back(tmp_path):
    found = domain_shares(site("a.org", "/", 5, 3) + site("b.org", "/", 5, 0))
    write_domains(found, tmp_path / "domains.json")
    assert [
        Domain(row["host"], row["pages"], row["collected"], row["mathematical"]) for row in read_domains(tmp_path / "domains.json")
    ] == found
