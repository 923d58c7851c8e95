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
from firstsight.cli.names import class_names, layer_names, local_weights, run_names, weights_and_runs
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
    COMPREPLY=("${COMPREPLY[@]// /\\ }")
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
if [[ $funcstack[1] == _firstsight ]]; then _firstsight "$@"; else compdef _firstsight firstsight; fi
""",
    "fish": """\
function __firstsight_words
    set -l words (commandline -opc)
    set -l found (firstsight completion words "--current="(commandline -ct) -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c firstsight -f -a "(__firstsight_words)"
""",
    "powershell": """\
Register-ArgumentCompleter -Native -CommandName firstsight -ScriptBlock {
    param($current, $ast, $position)
    $words = @($ast.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $position } |
        ForEach-Object { $_.ToString() })
    firstsight completion words "--current=$current" '--' @words 2>$null | ForEach-Object {
        $text = if ($_ -match '\\s') { "'$_'" } else { $_ }
        [System.Management.Automation.CompletionResult]::new($text, $_, 'ParameterValue', $_)
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
    if command == "help":
        return [*COMMANDS] if not rest else []
    if command == "runs" and not rest and not current.startswith("-"):
        return ["compare"] if "compare".startswith(current) else []
    if command == "weights" and not (rest and rest[0] in WEIGHTS):
        return [*WEIGHTS, "--help"]
    options = _options(command, rest)
    by_name = {name: option for option in options for name in option.names}
    if rest and (option := by_name.get(rest[-1])) is not None and option.value:
        return _values(option, command, rest)
    if current.startswith("-"):
        return [*by_name, *GLOBAL]
    num_given = sum(
        not word.startswith("-") and not (i and rest[i - 1] in by_name and by_name[rest[i - 1]].value)
        for i, word in enumerate(rest)
    )
    if command == "runs" and rest[:1] == ["compare"]:
        return run_names()
    positional = [option for option in options if option.is_positional]
    num_given -= command == "weights"
    return _values(positional[num_given], command, rest) if num_given < len(positional) else []


WEIGHTS = {"list": "ListArguments", "get": "GetArguments", "import": "ImportArguments"}
"""Classes of the options of ``firstsight weights``."""


def _options(command: str, words: Sequence[str]) -> list[Option]:
    """Return the options of a command; those of `firstsight train` depend on the recipe."""
    if command not in COMMANDS:
        return []
    module = import_module(f"firstsight.cli.{command}")
    name = WEIGHTS[words[0]] if command == "weights" else "Arguments"
    kind = getattr(module, "CompareArguments" if command == "runs" and words[:1] == ["compare"] else name, None)
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


POSE = ("bottom-up", "top-down")
KINDS = {
    ("predict", "RUN_OR_WEIGHTS"): ("classification",),
    ("generate", "RUN_OR_WEIGHTS"): ("gan",),
    ("pose", "--model"): POSE,
    ("pose", "--detector"): ("bottom-up",),
    ("evaluate", "--detector"): ("bottom-up",),
    ("train", "--weights"): ("classification",),
}
"""Tasks whose weights an option or an argument of a command takes; all for others."""
NAMES: dict[str, Callable[[], list[str]]] = {
    "[RECIPE_OR_MODEL]": lambda: [*RECIPES, *MODELS],
    "[PATTERN]": lambda: [*MODELS, *RECIPES],
    "NAME": lambda: [*PUBLISHED, *PUBLISHED_POSE],
    "--data": lambda: [*DATASETS],
    "--kind": lambda: [*TASKS],
    "--kernel": lambda: [*import_module("firstsight.cli.filter").KERNELS],
    "--config": run_names,
    "--recipe": lambda: [*RECIPES],
    "[FOLDER]": lambda: [],
}
"""Names that an option or an argument takes."""


def _values(option: Option, command: str, words: Sequence[str]) -> list[str]:
    """Return the values of an option or an argument of a command; none if it is a file or a number.

    Parameters
    ----------
    option : Option
        The option.
    command : str
        Name of the command.
    words : Sequence[str]
        Complete words after the command, which can name weights.
    """
    if option.choices:
        return [*option.choices]
    if (command, option.name) == ("weights", "--model"):
        return [*MODELS]
    if option.name in ("--class", "--layer"):
        weights = next(filter(None, map(local_weights, words)), None)
        names = class_names if option.name == "--class" else layer_names
        return names(weights) if weights else []
    if option.name in ("RUN_OR_WEIGHTS", "MODEL", "--model", "--detector", "--weights"):
        more = [*MODELS] if (command, option.name) == ("summary", "MODEL") else []
        more += ["imagenet"] if (command, option.name) == ("train", "--weights") else []
        return [*more, *weights_and_runs(KINDS.get((command, option.name), ()))]
    return NAMES[option.name]() if option.name in NAMES else []
