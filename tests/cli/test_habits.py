"""Habits of the command line: help, names of other kinds, errors before torch is imported, colors, completion."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firstsight.cli import COMMANDS
from firstsight.cli.color import color_variables, split_color
from firstsight.cli.completion import SCRIPTS, _options, complete
from firstsight.cli.console import has_colors
from firstsight.cli.filter import KERNELS
from firstsight.cli.help import list_options
from firstsight.cli.names import normalize
from firstsight.cli.runs import CompareArguments
from firstsight.errors import UsageError
from firstsight.ops import kernels
from firstsight.weights.bundled import bundled

Run = Callable[..., tuple[int, str, str]]
ACTIONS = [*COMMANDS, "weights list", "weights get", "weights import"]
RECIPES = ["train gan-digits", "train openpose-tiny", "train pose-tiny", "train resnet18", "train infogan"]


@pytest.mark.parametrize("command", [*ACTIONS, *RECIPES])
def test_help_has_40_lines_of_80_columns_and_begins_with_examples(run: Run, command: str) -> None:
    code, out, err = run(*command.split(), "--help")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert len(lines) <= 40 and max(map(len, lines)) <= (80 if command != "weights" else 110)
    assert lines[0].startswith(f"usage: firstsight {command.split()[0]}")
    start = lines.index("examples:")
    examples = [line for line in lines[start + 1 : start + 4] if line.startswith("  firstsight ") or "$(" in line]
    assert start < 8 and len(examples) >= 2


@pytest.mark.parametrize("command", [*ACTIONS, "runs compare", *RECIPES])
def test_texts_of_the_short_help_are_whole_clauses(run: Run, command: str) -> None:
    short, full = (" ".join(run(*command.split(), option)[1].split()) for option in ("--help", "--help-all"))
    assert not re.search(r"\.\.\.( \(|$| --)", short.replace("1, 2, ...)", "").replace("class 1, ...)", ""))
    assert short.count("(") == short.count(")")
    assert "options options" not in full


def test_help_of_a_command_has_two_spellings(run: Run) -> None:
    for command in ("filter", "train lenet", "weights list", "runs compare"):
        assert run("help", *command.split()) == run(*command.split(), "--help")
    assert run("help") == run("--help")
    variables = [line for line in run("help")[1].splitlines() if re.match("  [A-Z_]{5}", line)]
    assert len(variables) == 8 and len({re.search("  (?=[a-z])", line).end() for line in variables if line}) == 1
    assert "unknown command 'trian': did you mean train" in run("help", "trian")[2]


@pytest.mark.parametrize("command", ["models", "weights list", "data"])
def test_tables_fit_100_columns_without_a_terminal(run: Run, command: str) -> None:
    lines = run(*command.split())[1].splitlines()
    table = [line for line in lines if not re.match("[A-Z].* |firstsight ", line)]
    assert len(table) > 5 and max(map(len, table)) <= 100
    assert "…" not in "".join(table)


def test_all_kernels_are_named_in_the_help_and_in_the_message(run: Run) -> None:
    text = " ".join(run("filter", "--help")[1].split())
    code, _, err = run("filter", "--kernel", "list")
    assert code == 2 and all(name in text and name in err for name in KERNELS)
    with pytest.raises(UsageError, match=", ".join(KERNELS)):
        kernels.get_kernel("list")


def test_totals_of_a_network_without_its_layers(run: Run) -> None:
    lines = run("summary", "lenet")[1].splitlines()
    assert run("summary", "lenet", "--totals")[1].splitlines() == lines[lines.index("") + 1 :]


@pytest.mark.parametrize("command", [*ACTIONS, "runs compare", *RECIPES])
def test_options_of_the_examples_exist(run: Run, command: str) -> None:
    lines = run(*command.split(), "--help")[1].splitlines()
    examples = lines[lines.index("examples:") + 1 : lines.index("", lines.index("examples:"))]
    for line in examples:
        _, name, *words = shlex.split(line.replace('eval "$(', "").replace(')"', ""), comments=True)
        is_comparison = (name, *words[:1]) == ("runs", "compare")
        options = list_options(CompareArguments) if is_comparison else _options(name, words)
        known = {spelling for option in options for spelling in option.names}
        assert name in COMMANDS
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known, line


def test_all_options_are_in_the_long_help_with_their_whole_text(run: Run) -> None:
    short, long = (run("pose", option)[1] for option in ("--help", "--help-all"))
    assert "--method" not in short and "more options: firstsight pose --help-all" in short
    assert "--method fast|exact" in long and "..." not in long.replace("...]", "")
    assert "(default: 0.003)" in run("train", "lenet", "--help")[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train FashionMNIST",
            "'FashionMNIST' is a data set, not a recipe or model; type: firstsight train lenet --data",
        ),
        ("train fashion_mnist", "type: firstsight train lenet --data fashion-mnist (recipes for it: lenet-fashion, "),
        (
            "train ResNet50",
            "unknown recipe or model 'ResNet50': did you mean resnet50? type: firstsight train resnet50",
        ),
        ("train resnet", "unknown recipe or model 'resnet': did you mean resnet18 or "),
        ("train resnet34-imagenet", "is the name of weights, not a recipe or model; type: firstsight train resnet34"),
        ("train .", "'.' is a folder, not a recipe or model; type: firstsight train lenet --data ."),
        ("train lenet --weights lenett", "did you mean lenet-mnist or lenet-fashion or lenet-digits?"),
        ("train lenet --data convnet", "'convnet' is a network, not a data set; data sets: digits, "),
        (
            "generate gan",
            "gan is a network, not weights; its trained weights: gan-digits; type: firstsight generate gan",
        ),
        ("generate lenet-digits", "holds a classifier, not a generator (type: firstsight predict lenet-digits IMAGE)"),
        ("predict lenet", "lenet-mnist, lenet-fashion, lenet-digits; type: firstsight predict lenet-mnist IMAGE"),
        ("pose lenet", "'lenet' is a network, not an image or a video; type: firstsight summary lenet, or"),
        ("pose pose-tiny-lsp", "not an image or a video; type: firstsight pose IMAGE --model pose-tiny-lsp"),
        ("data lenet", "'lenet' is a network, not a data set; type: firstsight summary lenet, or firstsight train"),
        ("data gan-digits", "is the name of weights, not a data set; type: firstsight generate gan-digits"),
        ("models FashionMNIST", "'FashionMNIST' is a data set, not a model or recipe; type: firstsight train lenet"),
        ("weights get mnist", "'mnist' is a data set, not the name of published weights; type: firstsight train"),
        ("filter lenet", "'lenet' is a network, not an image; type: firstsight summary lenet"),
        ("predict lenet x.png --top 1", "type: firstsight predict lenet-mnist x.png --top 1"),
        ("export lenet lenet.onnx", "type: firstsight export lenet-mnist lenet.onnx"),
        ("train lenet --weights=mnist", "type: firstsight train lenet --weights=lenet-mnist"),
        ("predict lenet-mnist", "missing: IMAGE; name at least one image"),
        ("predict x.png", "is the name of an image; name the network first: firstsight predict lenet-mnist x.png"),
        ("predict *.png lenet-digits", "a pattern; name the network first: firstsight predict lenet-digits '*.png'"),
        ("predict gan-digits x.png", "holds a generator, not a classifier (type: firstsight generate gan-digits)"),
        ("predict infogan x.png", "its trained weights: infogan-mnist; type: firstsight generate infogan-mnist"),
        ("predict convnet-digits x.png", "'convnet-digits' is a recipe without trained weights; train it: firstsight"),
        ("evaluate mnist", "is a data set, not weights; weights trained on it: lenet-mnist, infogan-mnist; type"),
        ("evaluate LeNet_MNIST", "did you mean lenet-mnist? type: firstsight evaluate lenet-mnist"),
        ("evaluate mlp", "mlp is a network without trained weights; train it (firstsight train mlp)"),
        ("evaluate lenet-digits --data FashionMNIST", "nor an existing path; did you mean fashion-mnist?"),
        ("evaluate lenet-digits --n 3", "--n is not for a classifier, which lenet-digits is"),
        ("features lenet", "type: firstsight features lenet-mnist"),
        ("features lenet-digits gone.png", "gone.png: No such file or directory"),
        ("pose --model lenet-digits", "lenet-digits: holds a classifier, not a pose network (type: firstsight predict"),
        ("pose --detector pose-tiny-lsp", "holds a top-down pose network, not a bottom-up pose network"),
        ("summary lenet-digit", "unknown model 'lenet-digit'"),
        ("summary convnet-digits", "is a recipe of the network convnet; type: firstsight summary convnet"),
        ("summary lenet --variant paper", "lenet has no variant 'paper' (it has only one)"),
        ("summary lenet --out x.bmp", "--out must be a .png, .jpg, .jpeg, .svg or .pdf file; got x.bmp"),
        ("weights get lenet-mnist", "lenet-mnist is in the package, so it needs no download; type: firstsight predict"),
        ("weights get ResNet34", "did you mean resnet34? type: firstsight weights get resnet34"),
        ("filter --kernel sobelx", "unknown kernel 'sobelx': did you mean sobel-x?"),
        ("lenet", "'lenet' is a network, not a command; type: firstsight summary lenet, or firstsight train lenet"),
        ("lenet-fashion", "'lenet-fashion' is a recipe, not a command; type: firstsight train lenet-fashion"),
        ("models --color pink", "--color must be one of auto, always, never; got pink"),
    ],
)
def test_a_name_of_another_kind_is_explained(run: Run, line: str, message: str) -> None:
    code, out, err = run(*line.split())
    assert code in (1, 2) and out == "" and err.splitlines()[-1].startswith("firstsight: ")
    assert message in err, err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("predict d.jpg", "d.jpg is an image; name the network first: firstsight predict lenet-mnist d.jpg"),
        ("predict d.jpg lenet-digits --top 1", "the network first: firstsight predict lenet-digits d.jpg --top 1"),
        ("predict photos", "photos is a folder of images; name the network first: firstsight predict lenet-mnist"),
        ("features d.jpg", "d.jpg is an image; name the network first: firstsight features lenet-mnist d.jpg"),
        ("evaluate d.jpg", "d.jpg is an image, not weights; to classify it: firstsight predict lenet-mnist d.jpg"),
        ("summary d.jpg", "d.jpg is an image, not weights; to classify it: firstsight predict lenet-mnist d.jpg"),
        ("train lenet --weights d.jpg", "d.jpg is an image, not weights; to classify it: firstsight predict"),
        ("pose --model d.jpg", "d.jpg is an image, not weights; to find people in it: firstsight pose d.jpg"),
    ],
)
def test_an_image_in_the_place_of_weights_is_recognized(run: Run, line: str, message: str) -> None:
    Path("photos").mkdir()
    for path in ("d.jpg", "photos/a.jpg"):
        Path(path).write_bytes(b"\xff\xd8\xff\xe0")  # begins as a JPEG file does
    code, out, err = run(*line.split())
    assert (code, out) == (2, "") and message in err, err


BEFORE_TORCH = """
import contextlib, io, sys
from firstsight.cli import main
for line in sys.argv[1:]:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        code = main(line.split())
    assert code in (1, 2), (line, code)
    assert not {"torch", "numpy", "rich", "PIL", "filelock", "jinja2", "matplotlib"} & sys.modules.keys(), line
"""
LINES = """\
train lenett
train FashionMNIST
train lenet --epochz 3
train lenet --epochs three
train lenet --epochs 0
train lenet --lr nan
train lenet --data digit
train lenet --data nowhere/at/all
train lenet --image-size 28
train lenet --weights nothing
train lenet --conditional
train
evaluate
evaluate lenet-digit
evaluate no/such
evaluate lenet-digits --n 3
evaluate lenet-digits --data nothing
predict lenet-digits
predict lenet x.png
predict x.png
predict gan-digits x.png
predict lenet-digits x.png --top x
generate gan
generate lenet-digits
generate gan-digits --nearest 40
generate gan-digits --out a.bmp
runs compare one
runs --best x
export nothing a.onnx
export lenet-digits a.zip
features nothing
features lenet-digits gone.png
features lenet-digits --out x.bmp
summary lenett
summary lenet --input 3
summary lenet --variant paper
summary lenet --out x.bmp
filter --kernel nothing
filter --at 3
filter gone.png
pose --model nothing
pose --model lenet-digits
pose camera --show --frames x
models zzzz
models --kind x
data --x
weights
weights gett
weights get nothing
weights get lenet
weights import x.pth --model lenett
demo --epochs x
completion tcsh
nothing
lenet"""


def test_errors_of_the_request_are_found_before_torch_is_imported() -> None:
    """One process for all lines: none of them may import torch, nor other packages that take long to import."""
    command = [sys.executable, "-c", BEFORE_TORCH, *LINES.splitlines()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in LINES.splitlines()} >= set(COMMANDS)


def test_kernels_are_those_of_the_library() -> None:
    assert set(KERNELS) == {*kernels.FIXED, *kernels.SIZED}


def test_names_are_compared_without_case_and_separators() -> None:
    assert normalize("Fashion_MNIST") == normalize("fashion-mnist") != normalize("mnist")


def test_colors_are_written_on_request_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    plain = run("models", "lenet")[1]
    assert "\x1b" not in plain
    colored = run("models", "lenet", "--color", "always")[1]
    assert "\x1b[1m" in colored and re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert run("nothing", "--color=always")[2].startswith("\x1b[1;31mfirstsight:\x1b[0m unknown command")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run("models", "lenet")[1] == colored
    assert run("models", "lenet", "--color", "never")[1] == plain
    assert run("models", "lenet", "--color", "auto")[1] == colored
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("models", "lenet")[1] == plain


def test_the_environment_is_as_before_after_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with color_variables("always"):
        assert has_colors(sys.stderr)
    assert not has_colors(sys.stderr)


def test_filter_keeps_its_own_option_color() -> None:
    assert split_color(["filter", "x.png", "--color"]) == ("auto", ["filter", "x.png", "--color"])
    assert split_color(["filter", "--color", "--color=never"]) == ("never", ["filter", "--color"])
    with pytest.raises(UsageError, match="must be one of auto, always, never; got nothing"):
        split_color(["models", "--color"])


@pytest.mark.parametrize(
    ("previous", "current", "expected"),
    [
        ("", "ge", {"generate"}),
        ("train", "lenet-", {"lenet-digits", "lenet-fashion", "lenet-mnist"}),
        ("train gan", "--spec", {"--spectral-norm"}),
        ("train lenet", "--no-fre", {"--no-freeze"}),
        ("train lenet --data", "f", {"fashion-mnist"}),
        ("train lenet --data =", "f", {"fashion-mnist"}),
        ("train lenet", "--data=f", {"--data=fashion-mnist"}),
        ("train lenet --device", "", {"auto", "cpu", "cuda", "mps"}),
        ("evaluate", "gan-d", {"gan-digits"}),
        ("evaluate openpose-tiny-lsp", "--sca", {"--scales"}),
        ("predict lenet-mnist", "", set()),  # files
        ("predict --top 3", "lenet-m", {"lenet-mnist"}),
        ("weights", "g", {"get"}),
        ("weights get", "resnet3", {"resnet34"}),
        ("filter --kernel", "sobel", {"sobel-x", "sobel-y"}),
        ("completion", "", {*SCRIPTS}),
        ("models --color", "", {"auto", "always", "never"}),
        ("unknown", "", set()),
        ("predict", "", {"airbench-cifar10", "convnet-fashion", "lenet-digits", "lenet-fashion", "lenet-mnist"}),
        ("generate", "", {"dcgan-fashion", "gan-digits", "infogan-mnist"}),
        ("pose --model", "pose-", {"pose-small-photos", "pose-tiny-lsp"}),
        ("pose a.jpg --detector", "openpose-t", {"openpose-tiny-lsp"}),
        ("pose a.jpg --detector", "pose-", set()),
        ("train airbench --weights", "a", {"airbench-cifar10", "alexnet-imagenet"}),
        ("features lenet-fashion --layer", "", {"conv1", "conv2"}),
        ("generate infogan-mnist --class", "", set("0123456789")),
        ("generate dcgan-fashion --class", "Ank", {"Ankle boot"}),
        ("weights import x.pth --model", "mob", {"mobilenet", "mobilenet_cifar"}),
        ("runs", "c", {"compare"}),
        ("runs compare", "--o", {"--out", "--open"}),
    ],
)
def test_words_are_completed(previous: str, current: str, expected: set[str]) -> None:
    words = set(complete(previous.split(), current))
    assert {word for word in words if current or not word.endswith("-imagenet")} == expected


def test_runs_are_completed_where_their_kind_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete(["runs", "compare"], "") == []
    for name, model in (("lenet/1", "lenet"), ("gan/1", "gan"), ("gan/2", "gan")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        config = {"recipe": model, "model": model, "settings": {"data": "digits"}, "data": {}, "versions": {}}
        (folder / "config.json").write_text(json.dumps(config))
        if name != "gan/2":
            (folder / "model.safetensors").write_bytes(bundled()["lenet-digits"].read_bytes())
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("junk")
    assert complete(["runs", "compare"], "") == ["latest", "runs/gan/1", "runs/gan/2", "runs/lenet/1"]
    assert complete(["generate"], "runs") == ["runs/gan/1"]  # gan/2 has no weights yet
    assert complete(["predict"], "la") == ["latest"] and complete(["predict"], "runs/l") == ["runs/lenet/1"]
    assert complete(["pose", "--model"], "runs") == [] == complete(["pose", "--model"], "la")
    assert complete(["features", "runs/lenet/1", "--layer"], "") == ["conv1", "conv2"]
    assert complete(["train", "--config"], "runs/gan") == ["runs/gan/1", "runs/gan/2"]


def test_completion_imports_no_torch_and_works_in_bash(run: Run) -> None:
    Path("firstsight.bash").write_text(run("completion", "bash")[1])
    script = (
        f'firstsight() {{ {sys.executable} -c "import sys; from firstsight.cli import main; code = main(sys.argv[1:]);'
        ' assert \'torch\' not in sys.modules; sys.exit(code)" "$@"; }; source firstsight.bash;'
        " COMP_WORDS=(firstsight train lenet --data fash); COMP_CWORD=4; _firstsight; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "fashion-mnist\n", done
