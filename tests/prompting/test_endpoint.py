from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from whet.errors import UserError
from whet.prompting.asking import pause
from whet.prompting.budget import Prices
from whet.prompting.endpoint import Endpoint
from whet.recipe.evidence import JudgeRecipe, PromptingRecipe

from .served import Answer, echo, refused, said, service, slowly, user

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_LOG"):
        monkeypatch.delenv(name, raising=False)


def code_of(error: pytest.ExceptionInfo[UserError]) -> str:
    assert len(error.value.problems) == 1
    return error.value.problems[0].code


# --- what is asked and what comes back ------------------------------------------------------------------


def test_replies_come_in_the_order_of_the_prompts():
    def answers(body: dict[str, Any], number: int) -> Answer:
        threading.Event().wait(0.05 if number % 2 == 0 else 0.0)
        return echo(body, number)

    told: list[int] = []
    with service(answers) as there:
        speaker = Endpoint(there.url, "m", requests_at_once=4)
        replies = speaker.say([user(f"text {n}") for n in range(12)], max_tokens=5, progress=told.append)
    assert [reply.text for reply in replies] == [f"TEXT {n}" for n in range(12)]
    assert all(reply.finished and not reply.cached and reply.seconds > 0 for reply in replies)
    assert list(dict.fromkeys(told)) == list(range(13))
    assert there.most_at_once <= 4
    assert set(there.paths) == {"/v1/chat/completions"}


def test_no_more_requests_at_once_than_allowed():
    with service(slowly(echo, 0.03)) as there:
        Endpoint(there.url, "m", requests_at_once=3).say([user(str(n)) for n in range(9)], max_tokens=5)
    assert there.most_at_once == 3


def test_the_request_says_what_is_wanted_and_nothing_of_our_own():
    prompt = [
        {"role": "system", "content": "short", "weight": None, "name": None},
        {"role": "prompt", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 1.0, "tool_calls": "[]"},
        {"role": "user", "content": "c"},
    ]
    with service() as there:
        Endpoint(there.url, "some-model").say([prompt], max_tokens=7, stop=["\n"])
    assert there.asked == [
        {
            "model": "some-model",
            "messages": [
                {"role": "system", "content": "short"},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "max_tokens": 7,
            "temperature": 0.0,
            "stop": ["\n"],
        }
    ]


def test_an_answer_without_its_thinking_its_blanks_and_what_follows_a_stop():
    told = {"a": "<think>first</think>\n\n yes ", "b": "no END more", "c": "<think>on and on", "d": None}
    with service(lambda body, _: said(told[body["messages"][-1]["content"]])) as there:
        replies = Endpoint(there.url, "m").say([user(one) for one in told], max_tokens=5, stop=["END"])
    assert [reply.text for reply in replies] == ["yes", "no", "", ""]


def test_more_stop_texts_than_a_service_takes():
    with service(lambda *_: said("one six two")) as there:
        (reply,) = Endpoint(there.url, "m").say([user("a")], max_tokens=5, stop=["1", "2", "3", "4", "six"])
    assert reply.text == "one" and reply.finished
    assert there.asked[0]["stop"] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("finish", "finished"), [("stop", True), ("length", False), ("content_filter", False)])
def test_why_an_answer_ends(finish: str, finished: bool):
    with service(lambda *_: said("x", finish)) as there:
        (reply,) = Endpoint(there.url, "m").say([user("a")], max_tokens=5)
    assert reply.finished == finished


def test_tokens_are_estimated_where_the_service_does_not_count():
    with service(lambda *_: said("eight so", usage=None)) as there:
        speaker = Endpoint(there.url, "m")
        (reply,) = speaker.say([user("twelve chars")], max_tokens=5)
    assert (reply.tokens_in, reply.tokens_out) == (4 + 3, 2)
    assert speaker.count(user("twelve chars")) == 7
    assert speaker.count(user("ñandú")) == 4 + 1 + 2


def test_what_no_database_takes_is_left_out():
    with service(lambda *_: said("a\x00b\ud800c")) as there:
        first, second = (Endpoint(there.url, "m").say([user("a")], max_tokens=5)[0] for _ in range(2))
    assert first.text == second.text == "ab?c"


def test_no_prompts_no_requests():
    with service() as there:
        assert Endpoint(there.url, "m").say([], max_tokens=5) == []
    assert there.asked == []


def test_settings_that_a_model_does_not_take():
    def answers(body: dict[str, Any], number: int) -> Answer:
        if "max_tokens" in body:
            return refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in body:
            return refused(400, "Unsupported value: 'temperature' does not support 0 with this model.")
        return echo(body, number)

    with service(answers) as there:
        speaker = Endpoint(there.url, "m", requests_at_once=1, retries=0)
        assert [one.text for one in speaker.say([user("a"), user("b")], max_tokens=5)] == ["A", "B"]
        speaker.say([user("c")], max_tokens=5)
    assert len(there.asked) == 5  # two refusals, once
    assert there.asked[-1]["max_completion_tokens"] == 5
    assert len(speaker.remarks) == 1 and "temperature" in speaker.remarks[0]


# --- replies are kept -----------------------------------------------------------------------------------


def test_nothing_is_asked_twice():
    prompts = [user("a"), user("b"), user("a")]
    with service() as there:
        first = Endpoint(there.url, "m", prices=Prices(1.0, 1.0))
        replies = first.say(prompts, max_tokens=5)
        assert [reply.cached for reply in replies] == [False, False, True]
        told: list[int] = []
        later = Endpoint(there.url, "m", prices=Prices(1.0, 1.0))
        again = later.say([*prompts, user("c")], max_tokens=5, progress=told.append)
    assert [one.text for one in again] == ["A", "B", "A", "C"]
    assert [one.cached for one in again] == [True, True, True, False]
    assert [one.seconds for one in again[:3]] == [one.seconds for one in replies]
    assert told == [3, 4]
    assert sorted(there.prompts) == ["a", "b", "c"]
    assert (first.spent().requests, first.spent().cached) == (2, 1)
    assert (later.spent().requests, later.spent().cached) == (1, 3)
    assert later.spent().price == pytest.approx(12 / 1e6)


def test_other_settings_are_other_questions():
    with service() as there:
        for model, tokens, stop in (("m", 5, ()), ("n", 5, ()), ("m", 6, ()), ("m", 5, ("x",)), ("m", 5, ())):
            Endpoint(there.url, model).say([user("a")], max_tokens=tokens, stop=stop)
        Endpoint(there.url + "/chat/completions/", "m").say([user("a")], max_tokens=5)  # the same place
    assert len(there.asked) == 4


def test_replies_survive_an_error():
    def answers(body: dict[str, Any], number: int) -> Answer:
        return refused(400, "too long") if body["messages"][-1]["content"] == "2" else slowly(echo, 0.02)(body, number)

    prompts = [user(str(n)) for n in range(4)]
    with service(answers) as there:
        speaker = Endpoint(there.url, "m", requests_at_once=2)
        with pytest.raises(UserError, match="prompt 3: status 400: too long") as caught:
            speaker.say(prompts, max_tokens=5)
        assert code_of(caught) == "P023"
        answered = speaker.spent().requests
        assert 1 <= answered <= 3
        there.answers = echo
        replies = Endpoint(there.url, "m").say(prompts, max_tokens=5)
    assert [one.text for one in replies] == ["0", "1", "2", "3"]
    assert sum(one.cached for one in replies) == answered


def test_replies_under_way_survive_an_interruption():
    def stop(done: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with service(slowly(echo, 0.05)) as there:
        speaker = Endpoint(there.url, "m", requests_at_once=3)
        with pytest.raises(KeyboardInterrupt):
            speaker.say([user(str(n)) for n in range(20)], max_tokens=5, progress=stop)
        made = len(there.asked)
        assert 3 <= made <= 6 and speaker.spent().requests == made
        replies = Endpoint(there.url, "m").say([user(str(n)) for n in range(20)], max_tokens=5)
    assert sum(one.cached for one in replies) == made and len(there.asked) == 20


def test_asking_can_be_stopped_while_no_reply_comes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whet.prompting.session.PULSE", 0.02)
    told: list[int] = []

    def stop(done: int) -> None:
        told.append(done)
        if len(told) == 4:
            raise KeyboardInterrupt

    with service(lambda *_: refused(503, "busy", {"retry-after": "60"})) as there:
        speaker = Endpoint(there.url, "m", requests_at_once=2)
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            speaker.say([user(str(n)) for n in range(9)], max_tokens=5, progress=stop)
        assert time.monotonic() - started < 10
    assert told == [0, 0, 0, 0] and len(there.asked) == 2


# --- the key --------------------------------------------------------------------------------------------


def test_the_key_goes_to_the_service_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("WHET_STORE", f"sqlite:///{tmp_path}/runs.sqlite")
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)

    def answers(body: dict[str, Any], number: int) -> Answer:
        asked = body["messages"][-1]["content"]
        if asked == "bad":
            return refused(401, f"wrong key: Bearer {KEY}")
        return refused(503, f"busy with {KEY}") if asked == "busy" else said(f"you sent {KEY}")

    shown = []
    with service(answers) as there:
        speaker = Endpoint(there.url, "m", "MY_KEY", retries=1)
        shown.append(speaker.say([user("good")], max_tokens=5)[0].text)
        for asked in ("bad", "busy"):
            with pytest.raises(UserError) as caught:
                speaker.say([user(asked)], max_tokens=5)
            shown += [str(caught.value), repr(caught.value.problems)]
            assert caught.value.__cause__ is None
    assert {one["authorization"] for one in there.headers} == {f"Bearer {KEY}"}
    shown += [repr(speaker), repr(vars(speaker)), repr(speaker.spent()), caplog.text, *capfd.readouterr()]
    assert "***" in shown[0] and "P023" in shown[1] and "MY_KEY" in shown[1]
    assert not any(KEY in one for one in shown)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not any(KEY.encode() in path.read_bytes() for path in files)


def test_no_key_no_request(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="MY_KEY holds no key") as caught:
        Endpoint("https://api.example.com/v1", "m", "MY_KEY")
    assert code_of(caught) == "P021"
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(UserError) as caught:
        Endpoint("https://api.example.com/v1", "m", "MY_KEY")
    assert code_of(caught) == "P021" and "two words" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]", "[::1]:8000", "models.localhost:1"])
def test_a_service_on_this_machine_may_go_without_a_key(host: str):
    speaker = Endpoint(f"http://{host}/v1", "m")
    assert speaker.name == f"m at {host}" and not speaker.weighs and speaker.longest is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_service_that_wants_a_key_where_there_is_none(status: int, monkeypatch: pytest.MonkeyPatch):
    with service(lambda *_: refused(status, "no such key")) as there:
        for value, state in ((None, "is not set"), (" ", "is empty")):
            if value is not None:
                monkeypatch.setenv("MY_KEY", value)
            with pytest.raises(UserError) as caught:
                Endpoint(there.url, "m", "MY_KEY").say([user("a")], max_tokens=5)
            told = str(caught.value)
            assert f"status {status}: no such key. The environment variable MY_KEY {state}" in told
            assert told.endswith(".")
        monkeypatch.setenv("MY_KEY", KEY)
        with pytest.raises(UserError, match=r"no such key\. Look at the key in the environment variable MY_KEY"):
            Endpoint(there.url, "m", "MY_KEY").say([user("a")], max_tokens=5)


@pytest.mark.parametrize(("words", "told"), [("late", "late. "), ("late.", "late. "), ("Why?", "Why? ")])
@pytest.mark.parametrize("status", [400, 503])
def test_sentences_end_once(words: str, told: str, status: int):
    with service(lambda *_: refused(status, words)) as there, pytest.raises(UserError) as caught:
        Endpoint(there.url, "m", retries=0).say([user("a")], max_tokens=5)
    assert f": {told}Replies so far are kept" in str(caught.value)


# --- trouble --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_trouble_that_passes_is_waited_out(status: int):
    with service(lambda body, n: refused(status, "busy") if n < 2 else echo(body, n)) as there:
        (reply,) = Endpoint(there.url, "m", retries=2).say([user("a")], max_tokens=5)
    assert reply.text == "A" and len(there.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(status: int):
    with (
        service(lambda *_: refused(status, "this will not do")) as there,
        pytest.raises(UserError, match=f"status {status}: this will not do") as caught,
    ):
        Endpoint(there.url, "m").say([user("a")], max_tokens=5)
    assert code_of(caught) == "P023" and len(there.asked) == 1


def test_an_account_without_money_is_not_waited_for():
    with (
        service(lambda *_: refused(429, "You exceeded your quota", code="insufficient_quota")) as there,
        pytest.raises(UserError, match="You exceeded your quota"),
    ):
        Endpoint(there.url, "m").say([user("a")], max_tokens=5)
    assert len(there.asked) == 1


def test_trouble_that_does_not_pass():
    with (
        service(lambda *_: refused(503, "overloaded")) as there,
        pytest.raises(UserError, match="no answer after 3 tries: status 503: overloaded") as caught,
    ):
        Endpoint(there.url, "m", retries=2).say([user("a")], max_tokens=5)
    assert code_of(caught) == "P024" and len(there.asked) == 3


def test_a_service_that_wants_to_be_left_alone_for_long():
    with (
        service(lambda *_: refused(429, "later", {"retry-after": "3600"})) as there,
        pytest.raises(UserError, match="asks to wait 3,600 seconds"),
    ):
        Endpoint(there.url, "m").say([user("a")], max_tokens=5)
    assert len(there.asked) == 1


def test_waits_double_where_the_service_asks_for_none():
    assert [pause(tries) for tries in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_service_that_is_late():
    with service(lambda body, n: slowly(echo, 0.6 if n == 0 else 0)(body, n)) as there:
        speaker = Endpoint(there.url, "m", timeout_seconds=0.2, retries=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("whet.prompting.asking.FIRST_WAIT", 0.01)
            assert speaker.say([user("a")], max_tokens=5)[0].text == "A"
            there.answers = slowly(echo, 0.6)
            with pytest.raises(UserError, match="no answer in time"):
                speaker.say([user("b")], max_tokens=5)


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whet.prompting.asking.FIRST_WAIT", 0.001)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(UserError, match="no connection") as caught:
        Endpoint(f"http://127.0.0.1:{port}/v1", "m", retries=2).say([user("a")], max_tokens=5)
    assert code_of(caught) == "P024" and "after 3 tries" in str(caught.value)


@pytest.mark.parametrize("found", ["<html>hello</html>", {"hello": 1}, {"choices": []}, {"choices": [{}]}])
def test_what_is_no_reply(found: Any):
    with service(lambda *_: (200, {}, found)) as there, pytest.raises(UserError) as caught:
        Endpoint(there.url, "m").say([user("a")], max_tokens=5)
    assert code_of(caught) == "P027"


@pytest.mark.parametrize(
    "found", [{"detail": "no such model"}, {"message": "no such model"}, {"error": "no such model"}, "no such model"]
)
def test_the_words_of_servers_of_all_kinds(found: Any):
    with service(lambda *_: (404, {}, found)) as there, pytest.raises(UserError) as caught:
        Endpoint(there.url, "mm").say([user("a")], max_tokens=5)
    assert "status 404: no such model" in str(caught.value) and "'mm'" in str(caught.value)


def test_what_stands_in_no_address():
    for url in ("", "api.example.com", "ftp://x/v1", "http://", "http://x:y/v1"):
        with pytest.raises(UserError) as caught:
            Endpoint(url, "m")
        assert code_of(caught) == "P020"
    for url in (f"https://me:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"https://host/v1#{KEY}"):
        with pytest.raises(UserError) as caught:
            Endpoint(url, "m")
        assert code_of(caught) == "P020" and KEY not in str(caught.value)


def test_the_package_is_an_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=re.escape("pip install 'whet[endpoint]'")) as caught:
        Endpoint("http://localhost/v1", "m")
    assert code_of(caught) == "P022"


def test_likelihoods_are_not_offered():
    with pytest.raises(UserError) as caught:
        Endpoint("http://localhost/v1", "m").weigh([user("a")], ["x"])
    assert code_of(caught) == "P031"


# --- money ----------------------------------------------------------------------------------------------


def test_what_is_spent():
    with service(lambda *_: said("x", usage=(1000, 50))) as there:
        free, priced = Endpoint(there.url, "m"), Endpoint(there.url, "n", prices=Prices(2.0, 8.0))
        for speaker in (free, priced):
            speaker.say([user("a"), user("b")], max_tokens=50)
    assert free.spent().price is None
    spent = priced.spent()
    assert (spent.requests, spent.tokens_in, spent.tokens_out) == (2, 2000, 100)
    assert spent.price == pytest.approx((2000 * 2 + 100 * 8) / 1e6)
    assert spent.seconds > 0


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_spending_limit_is_never_crossed(at_once: int):
    # a token that is written costs 0.001, one that is read nothing: at most 0.01 a request, in truth 0.004
    with service(slowly(lambda *_: said("x", usage=(9, 4)), 0.005)) as there:
        speaker = Endpoint(there.url, "m", prices=Prices(0.0, 1000.0), max_cost=0.0301, requests_at_once=at_once)
        with pytest.raises(UserError) as caught:
            speaker.say([user(str(n)) for n in range(20)], max_tokens=10)
        # the seventh does not fit: 6 are 0.024, and 0.024 + 0.01 is more than there is
        assert len(there.asked) == 6
        assert speaker.spent().price == pytest.approx(0.024)
        assert code_of(caught) == "P025"
        assert "0.024 is spent" in str(caught.value) and "14 of 20 prompts" in str(caught.value)
        richer = Endpoint(there.url, "m", prices=Prices(0.0, 1000.0), max_cost=1.0)
        replies = richer.say([user(str(n)) for n in range(20)], max_tokens=10)
    assert sum(one.cached for one in replies) == 6
    assert richer.spent().price == pytest.approx(14 * 0.004)


def test_a_limit_below_one_request():
    with service() as there, pytest.raises(UserError, match="0 is spent; 1 of 1"):
        Endpoint(there.url, "m", prices=Prices(0.0, 1000.0), max_cost=0.005).say([user("a")], max_tokens=10)
    assert there.asked == []


def test_the_limit_holds_over_calls():
    with service(lambda *_: said("x", usage=(9, 10))) as there:
        speaker = Endpoint(there.url, "m", prices=Prices(0.0, 1000.0), max_cost=0.02)
        speaker.say([user("a")], max_tokens=10)
        speaker.say([user("b")], max_tokens=10)
        with pytest.raises(UserError):
            speaker.say([user("c")], max_tokens=10)
        assert len(speaker.say([user("a"), user("b")], max_tokens=10)) == 2  # known, so free
    assert len(there.asked) == 2


def test_requests_that_were_never_answered_count_against_the_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whet.prompting.asking.FIRST_WAIT", 0.001)
    with service(slowly(echo, 0.4)) as there:
        speaker = Endpoint(there.url, "m", prices=Prices(0.0, 1000.0), max_cost=0.025, timeout_seconds=0.1, retries=9)
        with pytest.raises(UserError, match=r"0 is spent, and up to 0.02 for requests without a reply") as caught:
            speaker.say([user("a")], max_tokens=10)
    assert code_of(caught) == "P025" and len(there.asked) == 2
    assert speaker.spent().price == 0.0


def test_an_upper_estimate_counts_every_byte_of_the_prompt():
    with service(lambda *_: said("x", usage=(200, 0))) as there:
        speaker = Endpoint(there.url, "m", prices=Prices(1000.0, 0.0), max_cost=0.2)
        with pytest.raises(UserError):
            speaker.say([user("ä" * 100)], max_tokens=10)  # 200 bytes, and what is around them
    assert there.asked == []


def test_a_limit_without_prices_is_refused():
    with pytest.raises(UserError) as caught:
        Endpoint("http://localhost/v1", "m", max_cost=1.0)
    assert code_of(caught) == "P026"
    asked = PromptingRecipe(endpoint="http://localhost/v1", price_input=1.0)
    with pytest.raises(UserError) as caught:
        Endpoint.of(asked, "m")
    assert code_of(caught) == "P026"


def test_an_endpoint_as_the_recipe_says():
    with service() as there:
        for part in (PromptingRecipe, JudgeRecipe):
            asked = part(endpoint=there.url, price_input=1.0, price_output=2.0, max_cost=1.0, requests_at_once=2)
            speaker = Endpoint.of(asked, "m")
            assert speaker.say([user("a")], max_tokens=5)[0].text == "A"
    assert len(there.asked) == 1 and "OPENAI_API_KEY" not in os.environ
