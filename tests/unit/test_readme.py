"""If this fails, the first thing a newcomer tries does not work."""

import re
from pathlib import Path
from typing import Any

from femssb.units import um

README = Path(__file__).parents[2] / "README.md"


def test_the_first_script_runs(tmp_path: Path) -> None:
    """Catches a README that shows names or arguments the package does not have."""
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    script: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block.group(1), str(README), "exec"), script)
    solution = script["main"](size=2.5 * um, grains=3, out=tmp_path)
    assert [step.ended_by for step in solution.steps] == ["voltage", "voltage"]
    assert (tmp_path / "summary.json").stat().st_size > 0
    assert list(tmp_path.glob("*.png"))
