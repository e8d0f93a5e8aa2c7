"""How many pages of docs are rendered in a second, with one process for the parser beside ours.

python bench/techdocs.py [--count 1000]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from catalog.ingest.techdocs.building import MAX_PAGES, Builder
from catalog.ingest.techdocs.layout import Layout
from catalog.ingest.techdocs.trees import TextTree

PAGE = """# Page {number}

Some words about it, with a [link](page-{next}.md), `code` and **more** of it.

## A table

| Name | Meaning |
|------|---------|
| one  | first   |
| two  | second  |

!!! note "Mind"
    - a list
      - within a list

```python title="app.py"
def answer(question: str) -> int:
    return len(question)  # always right
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = min(parser.parse_args().count, MAX_PAGES)
    texts = {
        f"docs/page-{number}.md": PAGE.format(number=number, next=(number + 1) % count)
        for number in range(count)
    }
    start = time.perf_counter()
    layout = Layout()
    layout.add_docs(TextTree(texts))
    built = Builder(layout).build(name="bench")
    spent = time.perf_counter() - start
    print(
        f"{len(built.pages):,} pages of {len(PAGE)} characters, {len(built.warnings)} warnings: "
        f"{spent:.2f} s, {len(built.pages) / spent:,.0f} pages/s"
    )


if __name__ == "__main__":
    main()
