"""Whether a base can take the method of a run: asked before rows are read, of a model without weights."""

from __future__ import annotations

from typing import Any

from whet.errors import Problem, UserError
from whet.models import adaptations, loading, networks, quantising, rounding
from whet.models.heads import Head
from whet.models.shapes import without_weights
from whet.recipe.names import SOFT
from whet.workflows.running import Running

_UNDECIDED = {"lora.rank": 1, "lora.alpha": 1.0, "lora.target_modules": "auto", "layers.top": 1}
"""What stands for options that are still ``auto``: nothing is refused for what is derived later."""


def refuse(run: Running) -> None:
    """Check, without loading the base, that it can take the method that the recipe names.

    :raises UserError: M020, M060 to M062, M064 and M066, what the method would refuse; M063, the base's weights are
        quantised in its files; M065, a library is missing.
    """
    method = run.recipe.method
    refuse_packed(run)
    if method in ("auto", "probe", *SOFT):
        return
    config = networks.read_config(run.place)
    options: dict[str, Any] = {**run.options}
    options |= {name: value for name, value in _UNDECIDED.items() if options[name] == "auto"}
    pooling, _ = loading.choose_pooling(run.place, run.recipe.head.pooling, run.head_kind)
    labels = ("a", "b") if run.head_kind in ("classes", "tokens") else ()
    config = loading.labelled(config, Head(run.head_kind, labels, pooling=pooling), run.tokenizer)
    model = without_weights(config, Head(run.head_kind, labels, pooling=pooling), run.place)
    adaptations.adapt(model, method, options, run.place.known_as, run.recipe.seed)


def refuse_packed(run: Running) -> None:
    """Weights that bitsandbytes keeps in few bits are made whole again when they are loaded.

    :raises UserError: M063, the files of the base hold weights of few bits of another kind, which cannot be moved or
        quantised; M065, bitsandbytes is absent.
    """
    try:
        kind = rounding.packed_by(run.place.config)
    except OSError:
        return
    if kind == rounding.LIBRARY:
        quantising.library()
    if kind in ("", rounding.LIBRARY):
        return
    what = f"its weights are quantised in its files ({kind}): they can be neither moved nor quantised anew."
    remedy = "Name the base in whole weights; methods qlora and quantised round them themselves."
    raise UserError(Problem("M063", str(run.place.folder), what, remedy))
