from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import whet.evaluation


def test_the_room_leaves_heavy_libraries_unloaded():
    names = sorted(path.stem for path in Path(whet.evaluation.__file__).parent.glob("[!_]*.py"))
    assert {"kinds", "verdict"} < set(names)
    imports = "; ".join(f"import whet.evaluation.{name}" for name in names)
    code = f"import sys; {imports}; print([m for m in ('torch', 'scipy', 'sklearn', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
