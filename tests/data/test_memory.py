"""Memory does not grow with the file: 200,000 rows are read and audited in a process of their own."""

from __future__ import annotations

import subprocess
import sys

from tests.data.made import sentence

MEASURE = """
import resource, sys
from pathlib import Path
from tests.data.labelled_reading import audit, read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small, large, out = map(Path, sys.argv[1:])
audit(read(small, into=out / "small"))
before = peak()
found = read(large, into=out / "large")
audit(found)
print(sum(map(len, found.splits.values())), peak() - before)
"""


def test_a_file_forty_times_as_long_takes_little_more_memory(tmp_path):
    for name, count in (("small.csv", 5_000), ("large.csv", 200_000)):
        with (tmp_path / name).open("w") as file:
            file.write("text,label\n")
            file.writelines(f"{sentence(n)} {sentence(n // 1000)} {n:x},label {n % 7}\n" for n in range(count))
    given = [str(tmp_path / "small.csv"), str(tmp_path / "large.csv"), str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *given], capture_output=True, text=True, check=True)
    count, growth = done.stdout.split()
    assert int(count) == 200_000
    # MiB. Hashes, labels and lengths are some 30 bytes a row, the rest is the map of the written files
    # (twice: before and after splitting). Rows kept as Python lists of strings would add some 50.
    assert float(growth) < 80
