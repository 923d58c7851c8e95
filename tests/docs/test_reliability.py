"""Each promise of docs/reliability.md has a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (?!Promise|---)(.+) \| `([^`]+)` \|$", (ROOT / "docs/reliability.md").read_text(), re.MULTILINE)


def test_every_promise_has_a_test_that_exists() -> None:
    assert len(ROWS) > 40
    for promise, test in ROWS:
        path, _, name = test.partition("::")
        text = (ROOT / "tests" / path).read_text()
        assert f"def {name}(" in text if name else "def test_" in text, (promise, test)
