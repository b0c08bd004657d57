"""Scripts and languages of a sample: only what is clear is counted, the rest is "not clear".

The script comes from the Unicode name of the letters. Within Latin script, frequent little words
tell eight languages apart: a text counts only with three of them or more, and twice as many as
for the second best.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

SAMPLED_ROWS = 20_000
"""Texts of a split that are looked at, evenly spaced."""

LOOKED_AT = 400
"""Characters of each."""

LEAST_WORDS = 5

_WORDS: dict[str, str] = {
    "English": "the and is are was were of to in that this it you i my for with have has not what how do does can "
    "would could should be been on at from they we he she there their please which who when where your will",
    "German": "der die das und ist sind war nicht ich du er sie wir ihr ein eine einen einem einer mit für auf von zu "
    "zum zur den dem des im es auch wie was wenn aber oder bitte kann mein meine habe hat haben noch nach bei",
    "French": "le la les et est sont dans je tu il elle nous vous ils un une des du de que qui pas ne pour avec sur "
    "mon ma mes ce cette ces au aux plus mais ou où comment merci suis avez être fait très c'est j'ai",
    "Spanish": "el la los las y es son en yo tú él ella nosotros un una unos del de que no por para con sobre mi mis "
    "este esta pero como cómo qué más muy hay está tengo tiene puedo gracias quiero fue ser se lo le me su al",
    "Italian": "il lo la gli le e è sono nel nella io tu lui lei noi voi un una uno del della di che non per con su "
    "mio mia questo questa ma come cosa più molto ho ha hanno posso grazie vorrei anche dei delle alla ci si",
    "Portuguese": "o a os as e é são em eu você ele ela nós um uma do da de que não por para com sobre meu minha este "
    "esta mas como mais muito há está tenho tem posso obrigado quero foi ser se no na dos das ao isso",
    "Dutch": "de het een en is zijn was niet ik jij hij zij wij jullie van te in dat die voor met op aan er maar ook "
    "als bij naar hoe wat kan mijn heb heeft hebben nog deze dit om uit geen wel door over graag",
    "Polish": "i w na z do nie się jest są to że jak co ja ty on ona my wy od po za o przez dla tego tej ten ta czy "
    "już tylko ale mam może proszę dziękuję mój moja był była będzie przy ich jego jej",
}
_BY_WORD: dict[str, list[str]] = {}
for _language, _line in _WORDS.items():
    for _word in _line.split():
        _BY_WORD.setdefault(_word, []).append(_language)

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "TAMIL", "THAI", "HANGUL")
_SCRIPTS_OF_CHINESE_AND_JAPANESE = {"CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}


@lru_cache(maxsize=4096)
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "").split(" ", 1)[0].split("-")[0]
    if name in _SCRIPTS:
        return name.capitalize()
    return _SCRIPTS_OF_CHINESE_AND_JAPANESE.get(name, "another script")


def script(text: str) -> str | None:
    """The script of at least two thirds of the letters, if there is one and there are three letters or more."""
    if text.isascii():
        return "Latin" if sum(map(str.isalpha, text[:LOOKED_AT])) >= 3 else None
    counts = Counter(found for found in map(_script, text[:LOOKED_AT]) if found)
    if counts.keys() & {"Japanese"} and counts.keys() <= {"Japanese", "Chinese or Japanese", "Latin"}:
        counts["Japanese"] += counts.pop("Chinese or Japanese", 0)
    if counts.total() < 3:
        return None
    name, most = counts.most_common(1)[0]
    return name if 3 * most >= 2 * counts.total() else None


def language(text: str) -> str | None:
    """``"German"``, or the script where it is not Latin; None where it is not clear."""
    written = script(text)
    if written != "Latin":
        return written
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text[:LOOKED_AT].lower())
    if len(words) < LEAST_WORDS:
        return None
    counts = Counter(name for word in set(words) for name in _BY_WORD.get(word, ()))
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < 3 or (len(ranked) > 1 and ranked[0][1] < 2 * ranked[1][1]):
        return None
    return ranked[0][0]
