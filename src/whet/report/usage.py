"""How to use the model of a run, where its card does not say it in its own words."""

from __future__ import annotations

import shlex


def general_usage(run: str, multi_label: bool = False) -> str:
    """Markdown: the same model from the command line, and in plain transformers.

    :param run: name of the run folder; the page may have travelled, so no longer path is true.
    """
    model = f"{run}/model"
    every = ", top_k=None" if multi_label else ""
    return f"""In the folder that holds the run:

### Command line

```
whet predict {shlex.quote(run)} messages.csv
```

### Python, plain transformers

```python
from transformers import pipeline

classify = pipeline("text-classification", model={model!r}{every})
print(classify(["The first text", "The second text"]))
```
"""
