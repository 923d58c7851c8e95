"""``firstsight completion``: completion of commands, options and names in bash, zsh, fish and PowerShell.

The script of a shell calls ``firstsight completion words``, which prints the possible words without importing torch. If
there are none, the shell completes names of files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli import COMMANDS
from firstsight.cli.color import MODES
from firstsight.cli.help import Option, list_options
from firstsight.cli.names import weights_names
from firstsight.cli.parse import parse
from firstsight.data.datasets import DATASETS
from firstsight.models.registry import MODELS
from firstsight.recipes import RECIPES, find_recipe
from firstsight.tasks.spec import TASKS
from firstsight.weights.pose_table import PUBLISHED_POSE
from firstsight.weights.table import PUBLISHED

EXAMPLES = (
    'eval "$(firstsight completion bash)"  # in ~/.bashrc; zsh: in ~/.zshrc',
    "firstsight completion fish > ~/.config/fish/completions/firstsight.fish",
    "firstsight completion powershell >> $PROFILE",
)
GLOBAL = ("--help", "--help-all", "--color", "--debug")
SCRIPTS = {
    "bash": """\
_firstsight() {
    local IFS=$'\\n' current=${COMP_WORDS[COMP_CWORD]}
    [[ $current == "=" ]] && current=""
    COMPREPLY=($(firstsight completion words "--current=$current" -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null))
}
complete -o default -F _firstsight firstsight
""",
    "zsh": """\
#compdef firstsight
_firstsight() {
    local -a candidates
    candidates=(${(f)"$(firstsight completion words "--current=$PREFIX" -- "${(@)words[2,CURRENT-1]}" 2>/dev/null)"})
    if (( $#candidates )); then compadd -a candidates; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _firstsight firstsight
""",
    "fish": """\
function __firstsight_words
    set -l words (commandline -opc)
    firstsight completion words "--current="(commandline -ct) -- $words[2..-1] 2>/dev/null
end
complete -c firstsight -a "(__firstsight_words)"
""",
    "powershell": """\
Register-ArgumentCompleter -Native -CommandName firstsight -ScriptBlock {
    param($current, $ast, $position)
    $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($current -ne '' -and $words.Count) { $words = @($words | Select-Object -SkipLast 1) }
    firstsight completion words "--current=$current" -- @words 2>$null | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
""",
}
"""Scripts that complete the words of a command line, by shell."""


@dataclass(frozen=True)
class Arguments:
    """Print the script that completes commands, options and names in a shell."""

    shell: Annotated[Positional[Literal["bash", "zsh", "fish", "powershell"]], tyro.conf.arg(metavar="SHELL")]
    """bash, zsh, fish or powershell."""


def run(argv: list[str]) -> int:
    """Print a script, or for the scripts the words that are possible."""
    if argv[:1] == ["words"]:
        current = next((word.partition("=")[2] for word in argv if word.startswith("--current=")), "")
        previous = argv[argv.index("--") + 1 :] if "--" in argv else []
        for word in complete(previous, current):
            print(word)
        return 0
    arguments = parse(Arguments, "completion", argv, examples=EXAMPLES)
    print(SCRIPTS[arguments.shell], end="")
    return 0


def complete(previous: Sequence[str], current: str) -> list[str]:
    """Return the words that can follow on a command line; none where any word is possible.

    Parameters
    ----------
    previous : Sequence[str]
        Complete words after ``firstsight``.
    current : str
        Beginning of the word to complete.

    Examples
    --------
    >>> complete([], "ev")
    ['evaluate']
    >>> complete(["train"], "lenet-f")
    ['lenet-fashion']
    >>> complete(["train", "lenet", "--data"], "fash")
    ['fashion-mnist']
    >>> complete(["features", "lenet-mnist"], "--la")
    ['--layer']
    """
    words = [part for word in previous for part in word.split("=") if part]  # bash splits --data=mnist
    head, equals, value = current.partition("=")
    if equals and head.startswith("--"):
        return [f"{head}={word}" for word in complete([*words, head], value)]
    return [word for word in _candidates(words, current) if word.startswith(current)]


def _candidates(words: Sequence[str], current: str) -> list[str]:
    if not words:
        return [*COMMANDS, "--help", "--version"]
    command, *rest = words
    if rest and rest[-1] == "--color" and command != "filter":
        return [*MODES]
    if command == "weights" and not (rest and rest[0] in WEIGHTS):
        return [*WEIGHTS, "--help"]
    options = _options(command, rest)
    by_name = {name: option for option in options for name in option.names}
    if rest and (option := by_name.get(rest[-1])) is not None and option.value:
        return _values(option)
    if current.startswith("-"):
        return [*by_name, *GLOBAL]
    num_given = sum(
        not word.startswith("-") and not (i and rest[i - 1] in by_name and by_name[rest[i - 1]].value)
        for i, word in enumerate(rest)
    )
    positional = [option for option in options if option.is_positional]
    num_given -= command == "weights"
    return _values(positional[num_given]) if num_given < len(positional) else []


WEIGHTS = {"list": "ListArguments", "get": "GetArguments", "import": "ImportArguments"}
"""Classes of the options of ``firstsight weights``."""


def _options(command: str, words: Sequence[str]) -> list[Option]:
    """Return the options of a command; those of `firstsight train` depend on the recipe."""
    if command not in COMMANDS:
        return []
    module = import_module(f"firstsight.cli.{command}")
    kind = getattr(module, WEIGHTS[words[0]] if command == "weights" else "Arguments", None)
    if kind is None:
        return []
    settings: Any = None
    if command == "train":
        recipe = next((word for word in words if word in RECIPES or word in MODELS), "lenet")
        settings = find_recipe(recipe).settings
    elif command == "evaluate":
        names = {spec.evaluate_options: spec for spec in TASKS.values() if spec.evaluate_options}
        settings = [spec.resolve("evaluate_options")() for spec in names.values()]
    return list_options(kind, settings)


NAMES: dict[str, Callable[[], list[str]]] = {
    "[RECIPE_OR_MODEL]": lambda: [*RECIPES, *MODELS],
    "RUN_OR_WEIGHTS": weights_names,
    "MODEL": lambda: [*MODELS, *weights_names()],
    "[PATTERN]": lambda: [*MODELS, *RECIPES],
    "NAME": lambda: [*PUBLISHED, *PUBLISHED_POSE],
    "--data": lambda: [*DATASETS],
    "--model": weights_names,
    "--detector": weights_names,
    "--weights": lambda: ["imagenet", *weights_names()],
    "--kind": lambda: [*TASKS],
    "--kernel": lambda: [*import_module("firstsight.cli.filter").KERNELS],
}
"""Names that an option or an argument takes."""


def _values(option: Option) -> list[str]:
    """Return the values of an option or an argument; none if it is a file or a number."""
    if option.choices:
        return [*option.choices]
    names = NAMES.get(option.name)
    return names() if names else []
