from __future__ import annotations

import json
from pathlib import Path

import pytest

from whet.errors import UserError
from whet.prompting.budget import Prices
from whet.prompting.endpoint import Endpoint
from whet.prompting.ledger import Ledger
from whet.prompting.speaker import Spent

from .served import echo, said, service, slowly, user

PRICES = Prices(0.0, 1000.0)
"""A token that is written costs 0.001, one that is read nothing."""


def endpoint(url: str, path: Path, max_cost: float | None, model: str = "m", at_once: int = 1) -> Endpoint:
    """As a process opens it that goes on with a run."""
    return Endpoint(url, model, prices=PRICES, max_cost=max_cost, requests_at_once=at_once, ledger=Ledger(path))


def test_what_is_noted_is_read_again(tmp_path: Path):
    spent = Spent(3, 2, 100, 10, 1.5, 0.25)
    Ledger(tmp_path / "x.json").note("a", spent, 0.5)
    again = Ledger(tmp_path / "x.json")
    assert again.spent("a") == (spent, 0.5)
    assert again.spent("b") == (Spent(), 0.0)
    again.note("b", Spent(1, 0, 7, 4), 0.0)
    assert Ledger(tmp_path / "x.json").others("c", PRICES) == pytest.approx(0.75 + 4 * 0.001)
    assert Ledger(tmp_path / "x.json").others("a", PRICES) == pytest.approx(4 * 0.001)


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_limit_holds_however_often_a_run_goes_on(tmp_path: Path, at_once: int):
    path = tmp_path / "spent" / "x.json"
    with service(slowly(lambda *_: said("x", usage=(9, 4)), 0.005)) as there:
        for _ in range(4):
            with pytest.raises(UserError, match=r"P025 .* 0\.024 is spent") as caught:
                endpoint(there.url, path, 0.0301, at_once=at_once).say([user(str(n)) for n in range(20)], max_tokens=10)
            assert "without a reply" not in str(caught.value)
            assert len(there.asked) == 6
        speaker = endpoint(there.url, path, 0.1, at_once=at_once)
        replies = speaker.say([user(str(n)) for n in range(20)], max_tokens=10)
    assert sum(one.cached for one in replies) == 6 and len(there.asked) == 20
    assert (speaker.spent().requests, speaker.spent().tokens_out) == (20, 80)
    assert speaker.spent().price == pytest.approx(0.08)
    (known,) = json.loads(path.read_text()).values()
    assert known["price"] == pytest.approx(0.08) and known["unsure"] == 0.0 and known["requests"] == 20


def test_a_limit_holds_over_models(tmp_path: Path):
    with service(lambda *_: said("x", usage=(9, 10))) as there:
        endpoint(there.url, tmp_path / "x.json", 0.02, "m").say([user("a")], max_tokens=10)
        other = endpoint(there.url, tmp_path / "x.json", 0.02, "n")
        other.say([user("a")], max_tokens=10)
        assert other.spent().price == pytest.approx(0.01)
        with pytest.raises(UserError, match=r"P025 .* 0\.02 is spent"):
            other.say([user("b")], max_tokens=10)


def test_before_a_request_it_stands_in_the_file(tmp_path: Path):
    """A process that is killed at any moment has noted all that it may have to pay."""
    path, noted = tmp_path / "x.json", []

    def answers(body, number):
        (known,) = json.loads(path.read_text()).values()
        noted.append(known["price"] + known["unsure"])
        return said("x", usage=(9, 4))

    with service(answers) as there:
        endpoint(there.url, path, 1.0).say([user(str(n)) for n in range(5)], max_tokens=10)
    assert noted == pytest.approx([0.004 * n + 0.01 for n in range(5)])


def test_requests_without_a_reply_count_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whet.prompting.asking.FIRST_WAIT", 0.001)
    path = tmp_path / "x.json"
    with service(slowly(echo, 0.4)) as there:
        for _ in range(3):
            speaker = endpoint(there.url, path, 0.025)
            speaker._timeout_seconds = 0.1
            with pytest.raises(UserError, match=r"0 is spent, and up to 0.02 for requests without a reply"):
                speaker.say([user("a")], max_tokens=10)
    assert len(there.asked) == 2


@pytest.mark.parametrize("limit", [None, 1.0])
def test_what_was_spent_is_kept_where_asking_is_stopped(tmp_path: Path, limit: float | None):
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    path = tmp_path / "x.json"
    with service(slowly(lambda *_: said("x", usage=(9, 4)), 0.02)) as there:
        with pytest.raises(KeyboardInterrupt):
            endpoint(there.url, path, limit).say([user(str(n)) for n in range(9)], max_tokens=10, progress=stop)
        made = len(there.asked)
        assert 2 <= made < 9
        spent = endpoint(there.url, path, limit).spent()
    assert spent.requests == made and spent.price == pytest.approx(0.004 * made)


def test_what_was_spent_without_prices_is_priced_later(tmp_path: Path):
    path = tmp_path / "x.json"
    with service(lambda *_: said("x", usage=(9, 10))) as there:
        free = Endpoint(there.url, "m", ledger=Ledger(path))
        free.say([user("a"), user("b")], max_tokens=10)
        assert free.spent().price is None
        with pytest.raises(UserError, match=r"P025 .* 0\.02 is spent"):
            endpoint(there.url, path, 0.02).say([user("c")], max_tokens=10)


def test_a_charged_reply_that_cannot_be_read_counts(tmp_path: Path):
    path = tmp_path / "x.json"
    broken = {"id": "x", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
    with service(lambda *_: (200, {}, broken)) as there:
        for code in ("P027", "P027", "P025"):
            with pytest.raises(UserError, match=code):
                endpoint(there.url, path, 0.025).say([user("a")], max_tokens=10)
    assert len(there.asked) == 2


def test_replies_that_the_run_has_paid_for_are_not_known_from_elsewhere(tmp_path: Path):
    prompts = [user(str(n)) for n in (*range(9), 0)]
    with service(lambda *_: said("x", usage=(9, 4))) as there:
        Endpoint(there.url, "m").say([user("0"), user("1")], max_tokens=10)  # another run
        with pytest.raises(UserError, match="P025"):
            endpoint(there.url, tmp_path / "x.json", 0.02).say(prompts, max_tokens=10)
        again = endpoint(there.url, tmp_path / "x.json", 1.0)
        assert again.spent().requests == 3
        again.go_on(Spent())
        again.say(prompts, max_tokens=10)
    assert (again.spent().requests, again.spent().cached) == (7, 3)  # two of elsewhere, and one that is asked twice


def test_what_is_spent_without_a_limit_is_noted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whet.prompting.endpoint.NOTED_EVERY", 0.0)
    path, noted = tmp_path / "x.json", []

    def note(done: int) -> None:
        noted.append(Ledger(path).spent(speaker.name)[0].requests)

    with service() as there:
        speaker = endpoint(there.url, path, None)
        speaker.say([user(str(n)) for n in range(4)], max_tokens=10, progress=note)
    assert list(dict.fromkeys(noted)) == [0, 1, 2, 3, 4]
