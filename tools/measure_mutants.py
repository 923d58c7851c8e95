"""Mutation score: the fraction of random changes to the source code that `make test` detects.

    python tools/measure_mutants.py [--count 300] [--seed 0] [--names NAME ...]

A mutant changes one expression of one function (a sign, a constant, an argument, a condition). mutmut creates mutants
of the packages in ``only_mutate`` (see pyproject.toml), and ``--count`` of them are drawn at random. Each is tested
with the tests of `make test` that call its function. Prints the score of each package and the mutants that survived.
The mutated tree stays in ``mutants/``; ``mutmut show NAME`` prints one mutant.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.configuration import config
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[1]
TREE = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
RESULTS = ROOT / "build" / "mutants.json"
KILLED = {
    1: "killed",
    3: "killed",
    24: "timeout",
    -24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
    -9: "timeout",
}
SURVIVED = {0: "survived", 33: "no test", 5: "no test"}


def all_mutants() -> list[str]:
    """Return the names of all mutants, in order."""
    names = []
    for path in sorted(Path("src").rglob("*.py")):
        if config().should_mutate(path):
            mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
            names += [get_mutant_name(path, name) for name in mutated.mutant_names]
    return names


def run_mutmut(names: list[str]) -> None:
    """Test these mutants with mutmut, which prints its progress."""
    shutil.rmtree(TREE, ignore_errors=True)
    (TREE / "src").mkdir(parents=True)  # before Python starts, which ignores missing folders in PYTHONPATH for good
    environment = os.environ | {"PYTHONPATH": f"{TREE / 'src'}:{ROOT / 'tools'}", "OMP_NUM_THREADS": "1"}
    environment.setdefault("FIRSTSIGHT_SHARED", str(ROOT.parent / "shared"))
    command = [str(MUTMUT), "run", "--max-children", str(os.cpu_count() or 1), *names]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def outcomes(names: list[str]) -> dict[str, str]:
    """Return the outcome of every mutant: killed, timeout, survived, no test, or the exit code of a crash."""
    codes: dict[str, int | None] = {}
    for file in TREE.rglob("*.meta"):
        codes |= json.loads(file.read_text())["exit_code_by_key"]
    known = KILLED | SURVIVED
    return {name: known.get(codes[name], f"crash {codes[name]}") for name in names}  # type: ignore[arg-type]


def main() -> None:
    """Draw the mutants, test them, and print the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choice")
    parser.add_argument("--names", nargs="*", help="test these mutants instead of random ones")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    candidates = all_mutants()
    names = arguments.names or sorted(
        random.Random(arguments.seed).sample(candidates, min(arguments.count, len(candidates)))
    )
    print(f"{len(names)} of {len(candidates)} mutants, seed {arguments.seed}", flush=True)
    run_mutmut(names)
    results = outcomes(names)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))
    survivors = [name for name, outcome in results.items() if outcome in SURVIVED.values()]
    for name in survivors:
        diff = subprocess.run([str(MUTMUT), "show", name], capture_output=True, text=True, check=False)
        print(diff.stdout)
    totals = Counter(name.split(".")[1] for name in names)
    for package, total in sorted(totals.items()):
        num_survivors = sum(name.split(".")[1] == package for name in survivors)
        print(f"{package:8} {total - num_survivors:4} of {total:4} killed")
    print(f"all      {len(names) - len(survivors):4} of {len(names):4} killed: {1 - len(survivors) / len(names):.1%}")


if __name__ == "__main__":
    main()
