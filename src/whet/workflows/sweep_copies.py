"""A search whose folder was copied: the copy gets a study of its own, made from what its folder tells of its trials.

A copy has the identity of its original, and with it the name of the study. Where both went on with one study, each
would count trials whose folders lie with the other.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from whet.errors import UserError
from whet.files import read_json
from whet.folder import RUNNING, RunFolder
from whet.workflows.sweep_study import TRIALS, Study

PLACE = "folder"
"""The attribute of a study that holds the path of its folder."""


def separate(study: Study) -> bool:
    """See to it that ``study`` is that of its folder; whether the folder was a copy and now has a study of its own.

    A folder that was moved takes its study along. On another machine, where the noted path holds nothing, a folder is
    taken for the one that the study knows: several machines may share it, each by another path.
    """
    here, noted = study.folder.path.resolve(), study.known.user_attrs.get(PLACE)
    if noted is not None and _is_another(Path(noted), here, study.folder.identity):
        _begin_own(study, here)
        return True
    if noted != str(here):
        study.known.set_user_attr(PLACE, str(here))
    return False


def _is_another(noted: Path, here: Path, identity: str) -> bool:
    """Whether the folder that the study knows is still there, and not this one."""
    try:
        return RunFolder(noted).identity == identity and not noted.samefile(here)
    except (UserError, OSError):
        return False


def _begin_own(study: Study, here: Path) -> None:
    """A study with the trials that the folder tells of, and an identity for both; what it does not tell of is gone."""
    rows, identity = _told(study), uuid.uuid4().hex
    own = study.begun_as(identity)
    own.set_user_attr(PLACE, str(here))
    for row in rows:
        own.add_trial(study.trial_of(row))
    for place in (*here.glob("trials/[0-9]*"), *here.glob("seeds/[0-9]*")):
        if int(place.name.partition("-")[0]) > len(rows):
            shutil.rmtree(place, ignore_errors=True)
    study.folder.write_state(RUNNING, id=identity, name=here.name)


def _told(study: Study) -> list[Mapping[str, Any]]:
    """Trials by what trials.json says; of a search that has not written it, those of the study with a folder here."""
    path = study.folder.path / TRIALS
    if path.exists():
        return list(read_json(path))
    return [one.to_json() for one in takewhile(lambda one: study.place(one.number).state.exists(), study.trials())]
