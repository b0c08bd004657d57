"""Privacy, encoding, languages, lengths, balance: each by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from whet.data import encoding, privacy
from whet.data.balance import imbalance, nearly_alike, prior_shift, too_rare
from whet.data.languages import language, script
from whet.data.lengths import characters, length_finding, summary


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jo.doe+x@mail.example.co.uk please", "e-mail"),
        ("card 4111 1111 1111 1111 exp 12/29", "card number"),
        ("5500-0000-0000-0004", "card number"),
        ("DE89 3704 0044 0532 0130 00", "IBAN"),
        ("iban GB82WEST12345698765432.", "IBAN"),
        ("call +44 20 7946 0958 now", "phone number"),
        ("(555) 123-4567", "phone number"),
        ("555-123-4567", "phone number"),
        ("ring 08001234567", "phone number"),
        ("from 203.98.113.77 at noon", "IP address"),
        ("key AKIAIOSFODNN7EXAMPLE", "API key"),
        ("ghp_" + "a1B2" * 9, "API key"),
        ("sk-proj-" + "a1B2" * 12, "API key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
    ],
)
def test_what_is_private(text, kind):
    assert [found for found, _, _ in privacy.found(text)] == [kind]
    assert list(privacy.hits(pa.array(["nothing", text]))) == [(1, kind)]
    assert f"[{kind}]" in privacy.masked(text)
    assert not privacy.found(privacy.masked(text))


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112",
        "order number 123456789012345",
        "DE89 3704 0044 0532 0130 01",
        "EC 3.4.21.4 and version 10.0.19041.1",
        "192.168.100.100 and 127.0.0.1",
        "in 1995-2001, 12.50 for 100 pieces",
        "@someone said a@b",
        "sk-learn and ghp_short",
        "0000000000000000",
        "2024-01-15 10:30:00",
        "tracking 00340434161094042557",
    ],
)
def test_what_only_looks_private(text):
    assert privacy.found(text) == []


def test_masking_leaves_the_rest():
    assert privacy.masked("to a@b.com or c@d.org!") == "to [e-mail] or [e-mail]!"


@given(st.text(alphabet="aZ09@.+- ()_", max_size=200))
def test_hits_are_those_of_looking_at_every_text(text):
    kinds = {kind for kind, _, _ in privacy.found(text)}
    assert {kind for _, kind in privacy.hits(pa.array([text]))} == kinds


@pytest.mark.parametrize("text", ["a" * 300_000, "1" * 300_000, "a@" * 100_000, "1.2." * 80_000, "eyJ" * 90_000])
def test_long_texts_take_no_long_time(text):
    import time

    begin = time.perf_counter()
    privacy.found(text)
    assert time.perf_counter() - begin < 8


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_luhn(number):
    assert privacy.passes_luhn(number)
    changed = str((int(number[-1]) + 1) % 10)
    assert not privacy.passes_luhn(number[:-1] + changed)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("cafÃ© crÃ¨me", [encoding.TWICE]),
        ("itâ€™s", [encoding.TWICE]),
        ("Â£20", [encoding.TWICE]),
        ("lost \ufffd here", [encoding.REPLACED]),
        ("bell \x07, cp1252 \x92", [encoding.CONTROL]),
        ("café «CAFÉ» naïve Ångström", []),
        ("tab\tand\nline\r\n", []),
        ("ÄÖÜ ß ñ ç — “quotes”…", []),
        ("日本語 русский", []),
    ],
)
def test_broken_encoding(text, kinds):
    assert encoding.found(text) == kinds
    assert [kind for _, kind in encoding.hits(pa.array([text]))] == kinds


@given(st.text(alphabet="éèüñçß£°“”’–€Я", min_size=1, max_size=5))
def test_text_decoded_with_the_wrong_encoding_is_found_and_repaired(text):
    broken = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())
    assert encoding.TWICE in encoding.found(broken)
    assert encoding.repaired(broken) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I would like to know where my order is and when it will be here", "English"),
        ("Ich habe meine Karte verloren und kann nicht mehr bezahlen", "German"),
        ("Je n'ai pas reçu la commande que vous avez envoyée dans le colis", "French"),
        ("No puedo entrar en mi cuenta y quiero cambiar la clave por favor", "Spanish"),
        ("Non riesco ad accedere al mio conto e vorrei sapere come posso fare", "Italian"),
        ("Não recebi o meu cartão e quero saber como posso pedir um novo", "Portuguese"),
        ("Ik heb mijn kaart niet ontvangen en ik wil graag een nieuwe", "Dutch"),
        ("Nie mogę zalogować się do konta i jest to dla mnie problem", "Polish"),
        ("Где мой заказ?", "Cyrillic"),
        ("注文はどこですか", "Japanese"),
        ("我的订单在哪里", "Chinese or Japanese"),
        ("order refund", None),
        ("12345 ???", None),
        ("lorem ipsum dolor sit amet consectetur", None),
    ],
)
def test_languages(text, expected):
    assert language(text) == expected


def test_a_script_needs_two_thirds_of_the_letters():
    assert script("abc абв") is None
    assert script("abcdef ж") == "Latin"


def test_lengths():
    texts, pairs = pa.array(["abc", "é😀", ""]), pa.array(["x", "", "yz"])
    assert characters(texts, None).tolist() == [3, 2, 0]
    assert characters(texts, pairs).tolist() == [4, 2, 2]
    assert summary([np.arange(1, 101, dtype=np.int32)]) == {"median": 50, "p95": 95, "max": 100}
    assert summary([]) == {"median": 0, "p95": 0, "max": 0}


@pytest.mark.parametrize(
    ("num_cut", "tokens_cut", "bin"), [(0, 0, "passed"), (1, 5, "tip"), (10, 5, "issue"), (1, 50, "issue")]
)
def test_the_length_finding(num_cut, tokens_cut, bin):
    found = length_finding(num_cut, 100, tokens_cut, 1000, 256)
    assert (found.code, found.bin) == ("A009", bin)
    assert "256 tokens" in found.message
    assert found.evidence["tokens_cut"] == tokens_cut


@pytest.mark.parametrize(
    ("num_windowed", "words"),
    [
        (None, "Nothing of the 201 rows is cut off; at most 512 tokens are read at once."),
        (0, "All 201 rows fit into 512 tokens."),
        (1, "Nothing of the 201 rows is cut off; 1 longer one is read in windows of up to 512 tokens."),
        (3, "Nothing of the 201 rows is cut off; 3 longer ones are read in windows of up to 512 tokens."),
    ],
)
def test_rows_that_are_read_in_windows_are_counted(num_windowed, words):
    found = length_finding(0, 201, 0, 9000, 512, num_windowed)
    assert (found.bin, found.message) == ("passed", words)
    assert found.evidence.get("windowed") == num_windowed


def counted(**splits):
    return {split: np.array(values) for split, values in splits.items()}


@pytest.mark.parametrize(
    ("train", "bin"), [([50, 50], "passed"), ([80, 8, 12], "tip"), ([95, 5], "issue"), ([99, 0], "issue")]
)
def test_imbalance(train, bin):
    found = imbalance(["a", "b", "c"][: len(train)], counted(train=train), sum(train))
    assert (found.bin, found.evidence["share"]) == (bin, train[0] / sum(train))


@pytest.mark.parametrize(
    ("train", "test", "bin", "rare"),
    [
        ([8, 9], [5, 5], "passed", {"train": {}, "test": {}}),
        ([8, 9], [5, 4], "tip", {"train": {}, "test": {"b": 4}}),
        ([7, 9], [0, 5], "issue", {"train": {"a": 7}, "test": {"a": 0}}),
    ],
)
def test_rare_labels(train, test, bin, rare):
    found = too_rare(["a", "b"], counted(train=train, test=test))
    assert (found.bin, found.evidence) == (bin, rare)


def test_prior_shift_by_hand():
    rows = {"train": 200, "test": 100}
    found = prior_shift(["a", "b"], counted(train=[100, 100], test=[70, 30]), rows, False)
    assert found.bin == "issue"
    assert found.evidence["test"]["distance"] == pytest.approx(0.2)
    assert found.evidence["test"]["p"] == pytest.approx(
        chi2_contingency([[100, 100], [70, 30]], correction=False).pvalue
    )
    assert (found.evidence["test"]["label"], found.evidence["test"]["difference"]) == ("a", pytest.approx(0.2))
    assert prior_shift(["a", "b"], counted(train=[100, 100], test=[52, 48]), rows, False).bin == "passed"
    assert prior_shift(["a", "b"], counted(train=[100, 100]), {"train": 200}, False).bin == "not_applicable"


def test_prior_shift_of_several_labels_is_corrected_for_their_number():
    rows = {"train": 200, "test": 100}
    found = prior_shift(["a", "b"], counted(train=[40, 100], test=[40, 50]), rows, True)
    p = chi2_contingency([[40, 160], [40, 60]], correction=False).pvalue
    assert found.evidence["test"]["p"] == pytest.approx(2 * p)
    assert found.evidence["test"]["distance"] == pytest.approx(0.2)


def test_a_large_shift_that_chance_explains_is_none():
    assert prior_shift(["a", "b"], counted(train=[5, 5], test=[4, 1]), {"train": 10, "test": 5}, False).bin == "passed"


def test_labels_nearly_alike():
    found = nearly_alike(["Ham", "ham ", "level 1", "level-1", "level 2", "C", "C++", "1-2", "12", "-1", "1"])
    assert (found.code, found.bin) == ("A015", "issue")
    assert found.evidence["groups"] == [["Ham", "ham "], ["level 1", "level-1"]]
    assert nearly_alike(["a", "b"]).bin == "passed"
