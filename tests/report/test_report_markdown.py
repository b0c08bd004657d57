from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from whet.report.markdown import blocks, section

CARD = """# Title

## Use

First `code`
goes on.

### In Python

```python
## not a heading
```

- one item
* another

## Limits

None.
"""


def test_section_ends_at_the_next_heading_of_its_depth() -> None:
    text = section(CARD, "use")
    assert text.startswith("First") and text.endswith("* another")
    assert section(CARD, "Title").startswith("## Use")
    assert section(CARD, "nowhere") == ""
    assert section("```\n## Use\n```\n", "Use") == ""


def test_blocks_know_code_from_prose() -> None:
    found = blocks(section(CARD, "Use"))
    assert [block.kind for block in found] == ["paragraph", "heading", "code", "item", "item"]
    assert found[0].spans == [("First ", False), ("code", True), (" goes on.", False)]
    assert found[2].text == "## not a heading"


def test_a_fence_left_open_still_shows_its_code() -> None:
    assert [(block.kind, block.text) for block in blocks("```\nx = 1")] == [("code", "x = 1")]


@given(st.text(alphabet=st.sampled_from("#`~-* \nab<&|")))
def test_no_text_breaks_it(text: str) -> None:
    for block in blocks(text):
        assert block.kind in ("heading", "paragraph", "item", "code")
