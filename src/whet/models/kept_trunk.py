"""What frozen lower layers give, kept from one pass: every later pass begins at the first layer that moves.

Where only the last layers of a model learn, those below them say the same of a row in every epoch. Their vectors are
worked out once, into a file as large as the tokens times the width, and handed to the first frozen layer in the
place of what it would work out; the frozen layers above it hand them on. The modules stay what they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.batches.encoding import Encoded, token_numbers
from whet.batches.flat import FlatBatch, for_prediction
from whet.engine.devices import beside
from whet.files import folder_beside
from whet.models.depths import depths
from whet.models.dropouts import still
from whet.models.insides import layers_of
from whet.models.reading import lengthened
from whet.models.task_model import TaskModel

Told = Callable[[int], None]
FILE = "vectors.bin"


def frozen_layers(model: TaskModel) -> list[nn.Module]:
    """The lowest layers that nothing moves in or below; none where anything does, or where no list of them is found."""
    layers = layers_of(model)
    moving = max(depths(model).of.values(), default=0)
    return layers[: len(layers) - moving] if moving <= len(layers) else []


def quiet_below(model: TaskModel) -> None:
    """No dropout in layers that stand still and in the embeddings below them: what they give is fixed, so may be kept.

    Nothing is done where none stand still.
    """
    layers = frozen_layers(model)
    below = [part for name, part in model.trunk.named_children() if "drop" in name or "embed" in name]
    for part in [*below, *layers] if layers else []:
        still(part)


class KeptTrunk:
    """The vectors that leave the frozen layers of ``model``, for the sequences of some splits.

    :param layers: as :func:`frozen_layers` found them.
    """

    def __init__(self, model: TaskModel, layers: Sequence[nn.Module]) -> None:
        self._tables: list[tuple[Encoded, Tensor]] = []
        self._now: Tensor | None = None
        self._is_tuple = False
        self.layers = list(layers)
        self._plain = [layer.forward for layer in self.layers]
        for number, layer in enumerate(self.layers):
            layer.forward = partial(self._forward, number)
        model.kept_trunk = self

    def let_go(self, model: TaskModel) -> None:
        """The layers compute again."""
        model.kept_trunk = None
        for layer in self.layers:
            del layer.forward

    def _forward(self, number: int, hidden: Tensor, *args: Any, **more: Any) -> Any:
        if self._now is None:
            return self._plain[number](hidden, *args, **more)
        found = self._now if number == 0 else hidden
        return (found,) if self._is_tuple else found

    # --- keeping ------------------------------------------------------------------------------------

    def keep(self, model: TaskModel, encoded: Encoded, folder: Path, batch_tokens: int, progress: Told | None) -> None:
        """Work out the vectors of all tokens of ``encoded`` once, into a file in ``folder`` unless it is there.

        :param progress: receives the number of sequences done.
        """
        if folder.exists():  # which form the layers' answers have is seen again
            self._vectors(model, next(iter(for_prediction(encoded, 1))))
        else:
            with folder_beside(folder) as inside:
                self._fill(model, encoded, self._table(model, encoded, inside, shared=True), batch_tokens, progress)
        self._tables.append((encoded, self._table(model, encoded, folder, shared=False)))

    def _table(self, model: TaskModel, encoded: Encoded, folder: Path, shared: bool) -> Tensor:
        """(N, H) on disk; what is written into it reaches the file where it is ``shared``."""
        width = int(model.network.config.hidden_size)
        dtype = next(iter(self.layers[0].parameters())).dtype
        size = encoded.num_tokens * width
        return torch.from_file(str(folder / FILE), shared=shared, size=size, dtype=dtype).view(-1, width)

    def _fill(
        self, model: TaskModel, encoded: Encoded, table: Tensor, batch_tokens: int, progress: Told | None
    ) -> None:
        done = 0
        for batch in for_prediction(encoded, batch_tokens):
            numbers = torch.from_numpy(token_numbers(encoded.offsets, batch.sequences))
            table[numbers] = self._vectors(model, batch).cpu()
            done += len(batch.rows)
            if progress:
                progress(done)

    def _vectors(self, model: TaskModel, batch: FlatBatch) -> Tensor:
        """(T, H) what the last frozen layer gives; no layer above it is asked."""
        training, last = model.training, self.layers[-1]
        model.eval()
        hook = last.register_forward_hook(_enough)
        try:
            with torch.inference_mode():
                model.token_vectors(batch)
        except _Enough as reached:
            self._is_tuple = reached.is_tuple
            return reached.vectors[0, : batch.num_tokens]
        finally:
            hook.remove()
            model.train(training)
        raise AssertionError("the last frozen layer was not asked")

    # --- lending ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lent(self, batch: FlatBatch, extra: int) -> Iterator[None]:
        """What is known of the tokens of ``batch`` takes the place of what frozen layers give; else they compute.

        :param extra: tokens that fill the batch up, see :func:`whet.kernels.flat.filled`.
        """
        known = self._known(batch)
        self._now = None if known is None else lengthened(known.unsqueeze(0), extra)
        try:
            yield
        finally:
            self._now = None

    def _known(self, batch: FlatBatch) -> Tensor | None:
        """(T, H); None of rows that were not kept, or whose tokens were changed since."""
        table = next((table for encoded, table in self._tables if encoded is batch.encoded), None)
        if table is None:
            return None
        numbers = token_numbers(batch.encoded.offsets, batch.sequences)
        same = np.array_equal(batch.encoded.ids[numbers], batch.input_ids[0].cpu().numpy())
        return beside(table[torch.from_numpy(numbers)], batch.input_ids) if same else None


class _Enough(Exception):
    """The last frozen layer has answered."""

    def __init__(self, found: Any) -> None:
        self.is_tuple = isinstance(found, tuple)
        self.vectors: Tensor = found[0] if self.is_tuple else found


def _enough(layer: nn.Module, given: Any, found: Any) -> None:
    raise _Enough(found)
