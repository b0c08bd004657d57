"""What to do with a plan: the method and the micro-batch that fit, or what would help where nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.errors import Problem, UserError
from whet.workflows.accelerators import GIB
from whet.workflows.estimating import UNSAID
from whet.workflows.machines import Machine


def advice(rows: Mapping[str, Mapping[str, Any]], method: str, machine: Machine) -> dict[str, Any]:
    """What to do: ``method`` and ``micro_batch_tokens`` that fit, and why; with no method where none fits."""
    wanted, limit = rows[method], _gib(machine.memory)
    if str(wanted.get("reason", "")).startswith(UNSAID):
        return {"method": method, "micro_batch_tokens": None, "why": f"{method}: {wanted['reason']}."}
    if "reason" in wanted:
        why = f"{method} cannot be taken: {wanted['reason']}"
    elif wanted["fits"]:
        return {"method": method, "micro_batch_tokens": None, "why": f"{method} fits into {limit} as it is."}
    elif wanted["fitting_micro_batch_tokens"]:
        tokens = wanted["fitting_micro_batch_tokens"]
        why = f"{method} needs {_gib(wanted['peak_bytes'])} as it is, and fits into {limit} with smaller micro-batches"
        return {"method": method, "micro_batch_tokens": tokens, "why": f"{why}: training.micro_batch_tokens={tokens}."}
    else:
        why = (
            f"{method} needs {_gib(wanted['by_micro_batch'][0][1])} with the longest row alone, and {limit} are there."
        )
    taken = [row for row in rows.values() if "reason" not in row]
    fitting = [row for row in taken if row["fitting_micro_batch_tokens"]]
    if fitting:
        best = max(fitting, key=lambda row: row["trainable_parameters"])
        tokens = None if best["fits"] else best["fitting_micro_batch_tokens"]
        more = "" if tokens is None else f" with training.micro_batch_tokens={tokens}"
        return {"method": best["method"], "micro_batch_tokens": tokens, "why": f"{why} {best['method']} fits{more}."}
    if not taken:
        return {"method": None, "micro_batch_tokens": None, "why": why}
    least = min(taken, key=lambda row: row["by_micro_batch"][0][1])
    bytes_ = least["by_micro_batch"][0][1]
    enough = [row for row in taken if row["devices"]]
    ways = ["shorten texts with data.max_length", "take a smaller base"]
    if machine.number == 1 and enough and not machine.name.startswith("this"):
        some = least if least["devices"] else min(enough, key=lambda row: row["devices"])
        ways.insert(0, f"spread {some['method']} over {some['devices']:,} of them with --accelerators")
    return {
        "method": None,
        "micro_batch_tokens": None,
        "why": f"Nothing fits into {limit}: the least is {least['method']} with {_gib(bytes_)}.",
        "ways": ways,
    }


def refuse_hopeless(found: Mapping[str, Any]) -> None:
    """:raises UserError: L005, no method fits."""
    told = found["advice"]
    if told["method"] is None:
        ways = "; ".join(told.get("ways", ["take another base"]))
        raise UserError(Problem("L005", str(found["machine"]["name"]), told["why"], f"What helps: {ways}."))


def _gib(size: float) -> str:
    return f"{size / GIB:,.1f} GiB" if size >= 0.1 * GIB else f"{size / GIB:.2g} GiB"
