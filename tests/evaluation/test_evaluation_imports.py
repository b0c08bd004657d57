from __future__ import annotations

import subprocess
import sys


def test_the_room_leaves_heavy_libraries_unloaded():
    rooms = "calibration contest curves flips gates intervals metrics paired power rows scoring sums verdict wording"
    imports = "; ".join(f"import whet.evaluation.{name}" for name in rooms.split())
    code = f"import sys; {imports}; print([m for m in ('torch', 'scipy', 'sklearn', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
