"""What came out of a run, in one object: what ``--json`` prints and the library hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError
from whet.files import read_json
from whet.folder import FINISHED, RunFolder, answering_run


def summary(folder: RunFolder) -> dict[str, Any]:
    """Run, scores, verdict, findings, seconds per stage, tokens per second and MFU.

    :raises UserError: F015, the run is not finished.
    """
    state = folder.read_state()
    if state["state"] != FINISHED:
        what = f"is {state['state']}, not finished."
        raise UserError(Problem("F015", str(folder.path), what, f"Go on with: {folder.going_on}"))
    if "answers" in state and not state.get("sweep"):
        return _of_series(folder, answering_run(folder.path))
    scores, verdict = read_json(folder.scores), read_json(folder.verdict)
    known = {path.stem: read_json(path) for path in sorted((folder.stages / "facts").glob("*.json"))}
    speed: dict[str, Any] = next((facts for facts in known.values() if "tokens_per_second" in facts), {})
    stages = sorted(folder.stages.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return {
        "run": str(folder.path),
        "scores": scores["models"],
        "num_test_rows": scores["num_rows"],
        "verdict": verdict,
        "findings": [{"code": f["code"], "bin": f["bin"], "message": f["message"]} for f in read_json(folder.findings)],
        "seconds": {path.stem: read_json(path)["seconds"] for path in stages},
        "tokens_per_second": speed.get("tokens_per_second"),
        "mfu": speed.get("mfu"),
    }


def _of_series(folder: RunFolder, last: Path) -> dict[str, Any]:
    """What came out of the last stage, with a row of each stage and what was found of the whole."""
    found = read_json(folder.findings)
    told = [{"code": f["code"], "bin": f["bin"], "message": f["message"]} for f in found]
    of_last = summary(RunFolder(last))
    stages = read_json(folder.path / "stages.json")["stages"]
    controls = folder.path / "controls.json"
    return {
        **of_last,
        "run": str(folder.path),
        "last": str(last),
        "findings": [*told, *of_last["findings"]],
        "stages": stages,
        "controls": read_json(controls) if controls.exists() else None,
    }
