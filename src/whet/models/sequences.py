"""What a model that reads sources and writes targets expects around them: how a target begins and ends, languages.

A target is what the decoder reads, with the last label at its end::

    T5, mT5, Marian        <pad>                tokens  </s>
    BART                   </s>  <s>            tokens  </s>
    M2M100, mBART-50       </s>  language code  tokens  </s>
    mBART                  language code        tokens  </s>

What stands before the tokens is given to the model and not learned. mBART's tokenizer puts a language code behind
the end as well: nothing is said after the end, so it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whet.errors import Problem, UserError

_PROBE = "a"
"""A text whose frame is looked at."""
_STARTS = {
    **dict.fromkeys(("t5", "mt5", "umt5", "longt5", "switch_transformers", "marian", "pegasus"), "pad_token_id"),
    **dict.fromkeys(("bart", "m2m_100", "led"), "eos_token_id"),
}
"""What the decoder of these families starts with, where a configuration does not say."""
_BY_DISTANCE = ("t5", "mt5", "umt5", "longt5", "switch_transformers")
"""Families that know how far tokens are apart, and no positions."""
_FRAME = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id", "unk_token_id")
"""Special tokens that name no language."""


def start_id(config: Any) -> int:
    """The token that the decoder reads first.

    :raises UserError: M050, the configuration does not say.
    """
    found = _start(config)
    if found is None:
        what = f"its configuration (type {config.model_type!r}) names no decoder_start_token_id."
        remedy = "Add it to config.json, or name the language of the targets (sources.target_language)."
        raise UserError(Problem("M050", "the base", what, remedy))
    return found


def max_target(config: Any) -> int | None:
    """Tokens that the decoder may read; None where nothing limits them. The last label of a target is one more."""
    return _positions(config, "decoder")


def max_source(config: Any) -> int | None:
    """Tokens that the encoder may read; None where nothing limits them."""
    return _positions(config, "encoder")


def _positions(config: Any, half: str) -> int | None:
    if config.model_type in _BY_DISTANCE:
        return None
    names = (f"max_{half}_position_embeddings", "max_position_embeddings")
    found = next((getattr(config, name) for name in names if getattr(config, name, None)), None)
    return None if found is None else int(found)


def prefix(tokenizer: Any, config: Any, target_language: str | None = None) -> list[int]:
    """What the decoder is given before the tokens of a target, one token or more.

    :param target_language: a code that the tokenizer knows; None: the one it is set to, if any.
    :raises UserError: M050, nothing says what a target starts with; M051, the language is not known, or must be named.
    """
    code = None if target_language is None else code_of(tokenizer, target_language)
    leading, trailing = _frame(tokenizer, code)
    unset = code is None and getattr(tokenizer, "tgt_lang", "") is None  # its frame is then that of a source
    if unset and (_language_among(tokenizer, leading) or _start(config) is None):
        raise UserError(_unnamed())
    if _language_among(tokenizer, leading):  # M2M100 and mBART-50
        return [start_id(config), *leading]
    if _language_among(tokenizer, trailing):  # mBART: its code follows the end, and comes round to the beginning
        named = code is not None or _start(config) is None
        return [_language_among(tokenizer, trailing)[0] if named else start_id(config)]
    return [start_id(config), *leading]


def suffix(tokenizer: Any) -> list[int]:
    """What ends a target.

    :raises UserError: M052, the tokenizer has no token for it.
    """
    if tokenizer.eos_token_id is None:
        what = "its tokenizer has no token that ends a text, so that no target would ever end."
        raise UserError(Problem("M052", "the base", what, "Give it an eos_token."))
    return [int(tokenizer.eos_token_id)]


def source_ids(tokenizer: Any, texts: Sequence[str], limit: int | None = None) -> list[list[int]]:
    """Token ids of sources with the tokenizer's own frame; their ends cut to ``limit`` tokens, frame and all."""
    cut = {} if limit is None else {"truncation": True, "max_length": limit}
    found: list[list[int]] = tokenizer(list(texts), padding=False, verbose=False, **cut)["input_ids"]
    return found


def target_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of targets, bare: what stands between :func:`prefix` and :func:`suffix`."""
    given = {"add_special_tokens": False, "padding": False, "verbose": False}
    found: list[list[int]] = tokenizer(text_target=list(texts), **given)["input_ids"]
    return found


# --- languages ------------------------------------------------------------------------------------------


def knows_languages(tokenizer: Any) -> bool:
    """Whether sources and targets carry a code of their language."""
    if hasattr(tokenizer, "tgt_lang"):
        return True
    leading, trailing = _frame(tokenizer, None)
    return bool(_language_among(tokenizer, [*leading, *trailing]))


def set_languages(tokenizer: Any, source: str | None, target: str | None) -> None:
    """Let ``tokenizer`` frame sources and targets as texts of these languages, here and where it is saved.

    :raises UserError: M051, it does not know one of them.
    """
    codes = {"src_lang": source, "tgt_lang": target}
    for name, language in codes.items():
        if language is None:
            continue
        code = code_of(tokenizer, language)
        if hasattr(tokenizer, name):
            setattr(tokenizer, name, code)
            tokenizer.init_kwargs[name] = code  # only what a tokenizer was made with is written to its file
        elif name == "src_lang" and _number(tokenizer, code) not in tokenizer(_PROBE)["input_ids"]:
            what = "is not the language that the base's tokenizer marks all sources with."
            raise UserError(Problem("M051", f"the language {language!r}", what, "Leave it out."))


def code_of(tokenizer: Any, language: str) -> str:
    """What the tokenizer calls ``language``: 'de' may be 'de_DE'.

    :raises UserError: M051, it knows no languages, or not this one.
    """
    known = _codes(tokenizer)
    if language in known:
        return language
    longer = [code for code in known if code.lower().startswith(f"{language.lower()}_")]
    if len(longer) == 1:
        return longer[0]
    what = "is not known to the base's tokenizer." if not longer else "may be several of those that it knows."
    remedy = f"Name one of these: {', '.join(sorted(longer or known)[:12])}."
    if not known:
        what = "is named, but the base's tokenizer knows no languages."
        remedy = "Leave it out; where the model wants it in words, say it in sources.template."
    raise UserError(Problem("M051", f"the language {language!r}", what, remedy))


def declare(network: Any, begins: Sequence[int]) -> None:
    """Let plain ``generate`` of ``network`` begin every target with ``begins``."""
    found = network.generation_config
    found.decoder_start_token_id = network.config.decoder_start_token_id = int(begins[0])
    if len(begins) > 1:
        found.forced_bos_token_id = int(begins[1])


def fill_in(network: Any, tokenizer: Any) -> None:
    """The same where the base itself does not say how targets begin, as far as it follows without a language."""
    found = network.generation_config
    if found.decoder_start_token_id is None:
        found.decoder_start_token_id = _start(network.config)
    if found.forced_bos_token_id is None and not hasattr(tokenizer, "tgt_lang"):
        leading, _ = _frame(tokenizer, None)
        if len(leading) == 1 and not _language_among(tokenizer, leading):
            found.forced_bos_token_id = leading[0]


# --- how a text is framed -------------------------------------------------------------------------------


def _start(config: Any) -> int | None:
    found = getattr(config, "decoder_start_token_id", None)
    if found is None and config.model_type in _STARTS:
        found = getattr(config, _STARTS[config.model_type], None)
    return None if found is None else int(found)


def _frame(tokenizer: Any, code: str | None) -> tuple[list[int], list[int]]:
    """Special tokens before and behind a target in the language ``code``; its source's frame is left as it is.

    :raises UserError: M051, the tokenizer needs a language and none is named.
    """
    own = getattr(tokenizer, "tgt_lang", None)
    settable = hasattr(tokenizer, "tgt_lang")
    if settable and code is not None:
        tokenizer.tgt_lang = code
    try:
        whole = list(tokenizer(text_target=_PROBE)["input_ids"])
        bare = list(tokenizer(text_target=_PROBE, add_special_tokens=False)["input_ids"])
    except KeyError as error:  # M2M100's looks up the language None
        raise UserError(_unnamed()) from error
    finally:
        if settable:
            tokenizer.tgt_lang = own
    place = next(at for at in range(len(whole) + 1) if whole[at : at + len(bare)] == bare)
    leading, trailing = whole[:place], whole[place + len(bare) :]
    if code is not None and not settable:  # a fixed frame: another language takes the place of its own
        number = _number(tokenizer, code)
        old = _language_among(tokenizer, [*leading, *trailing])
        leading, trailing = ([number if one in old else one for one in part] for part in (leading, trailing))
    return leading, trailing


def _unnamed() -> Problem:
    what = "its tokenizer must know the language of the targets."
    return Problem("M051", "the base", what, "Name it: sources.target_language.")


def _language_among(tokenizer: Any, ids: Sequence[int]) -> list[int]:
    """Those of ``ids`` that name a language."""
    usual = {getattr(tokenizer, name, None) for name in _FRAME}
    return [number for number in ids if number not in usual]


def _codes(tokenizer: Any) -> list[str]:
    """Languages as the tokenizer calls them."""
    listed = getattr(tokenizer, "lang_code_to_id", None)
    if listed:
        return list(listed)
    if not knows_languages(tokenizer):
        return []
    usual = {getattr(tokenizer, name, None) for name in _FRAME}
    usual.add(getattr(tokenizer, "mask_token_id", None))
    names: list[str] = tokenizer.all_special_tokens
    return [name for name in names if tokenizer.convert_tokens_to_ids(name) not in usual]


def _number(tokenizer: Any, code: str) -> int:
    """The token of a language."""
    listed = getattr(tokenizer, "lang_code_to_id", None) or {}
    return int(listed[code] if code in listed else tokenizer.convert_tokens_to_ids(code))
