"""Names on the command line: what a name is, and what to type, before torch is imported.

Networks, recipes, weights, data sets and commands have names. A name that is given in the place of another kind is
recognized, also with another spelling (``FashionMNIST``), and the message says what the name is and what to type.
"""

import glob
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS
from firstsight.data.signatures import SUFFIXES, is_image_file
from firstsight.errors import FirstsightError, UsageError, WeightsError, similar_names, suggest, unknown_name
from firstsight.models.registry import MODELS, check_options
from firstsight.recipes import RECIPES
from firstsight.recipes.zoo import DEFAULTS
from firstsight.tasks.spec import TASKS, TaskSpec, task_of, task_of_card
from firstsight.weights.bundled import bundled, cached, card_of, display_name, tensor_shapes
from firstsight.weights.pose_table import PUBLISHED_POSE
from firstsight.weights.resolve import is_published, stored_weights
from firstsight.weights.table import PUBLISHED, find_published

USES = {
    "train": "firstsight train {}",
    "evaluate": "firstsight evaluate {}",
    "predict": "firstsight predict {} IMAGE",
    "generate": "firstsight generate {}",
    "pose": "firstsight pose IMAGE --model {}",
    "features": "firstsight features {}",
    "summary": "firstsight summary {}",
    "export": "firstsight export {} FILE",
}
"""Command lines that use a name, by command."""
GENERAL = ("evaluate", "features", "summary", "export")
"""Commands for weights of all kinds."""
MAX_NAMES = 3
MAX_WORDS = 8
"""Number of arguments that a suggested command repeats."""
MAX_FILES = 50
"""Number of files of a folder that are looked at to find an image."""
EXAMPLE = "lenet-mnist"
"""Weights in an example with an image."""
RUN_FILES = ("config.json", "model.safetensors", "checkpoints")
"""Files by which a folder of runs is recognized."""
RUN_NAMES = ("latest",)
"""Names of runs, which `firstsight.weights.resolve` looks up."""


def normalize(name: str) -> str:
    """Return a name without case, hyphens, underscores, dots and spaces.

    >>> normalize("Fashion_MNIST") == normalize("fashion-mnist")
    True
    """
    return re.sub(r"[-_. ]", "", name.casefold())


def spelled(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that differs from ``name`` at most in its spelling, or None."""
    if name in known:
        return name
    return next((candidate for candidate in known if normalize(candidate) == normalize(name)), None)


def weights_names() -> list[str]:
    """Return the names of all weights: bundled, stored and published."""
    published = [*(info.name for info in PUBLISHED.values()), *PUBLISHED_POSE]
    return list(dict.fromkeys([*bundled(), *cached(), *published]))


def weights_and_runs(kinds: Sequence[str]) -> list[str]:
    """Return the names of weights of some kinds of tasks, latest, and the finished runs of these kinds below ``runs``.

    Parameters
    ----------
    kinds : Sequence[str]
        Names of tasks; none for all.
    """
    names = _trained(lambda card: True, kinds)
    if not kinds or "classification" in kinds:
        names += [info.name for info in PUBLISHED.values()]
    if not kinds or "bottom-up" in kinds:
        names += PUBLISHED_POSE
    return list(dict.fromkeys([*names, *run_names(kinds, is_finished=True)]))


def run_names(kinds: Sequence[str] = (), *, is_finished: bool = False) -> list[str]:
    """Return latest and the paths of the runs below ``runs``; nothing if there are none.

    Parameters
    ----------
    kinds : Sequence[str]
        Names of tasks; none for all.
    is_finished : bool
        Only runs that have weights.
    """
    from firstsight.engine.rundir import LATEST, ROOT, find_runs, read_config

    names = []
    for run in find_runs(ROOT):
        try:
            config = read_config(run)
        except FirstsightError:  # a damaged run has no known kind
            continue
        if config is None or (is_finished and not (run / "model.safetensors").is_file()):
            continue
        if not kinds or (config.model in MODELS and MODELS[config.model].kind in kinds):
            names.append(run.as_posix())
    return [LATEST, *names] if names else []


def local_weights(name: str) -> Path | None:
    """Return the weights file of this machine that a name, a path or "latest" means, or None."""
    from firstsight.engine.rundir import find_latest

    try:
        run = find_latest(name)
    except FirstsightError:
        return None
    path = stored_weights(str(run) if run else name)
    return path if path is not None and path.suffix == ".safetensors" else None


def class_names(path: Path) -> list[str]:
    """Return the classes of a weights file: those that a generator can make, or a classifier distinguishes."""
    card = card_of(path) or {}
    return [str(name) for name in card.get("classes") or card.get("about", {}).get("classes") or []]


def layer_names(path: Path) -> list[str]:
    """Return the names of the convolutions of a weights file, from the shapes of its tensors."""
    shapes = tensor_shapes(path)
    return [
        name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 4
    ]


def check_recipe(name: str) -> None:
    """Refuse what `firstsight train` cannot train, and name its kind.

    Raises
    ------
    UsageError
        If the name is neither a recipe nor a network.
    """
    if name in RECIPES or name in MODELS or name in DEFAULTS:
        return
    kind = "recipe or model"
    if dataset := spelled(name, [*DATASETS]):
        recipes = [recipe.name for recipe in RECIPES.values() if recipe.data == dataset]
        more = f" ({_recipes(recipes)})" if recipes else ""
        raise UsageError(f"'{name}' is a data set, not a {kind}; type: firstsight train lenet --data {dataset}{more}")
    if other := spelled(name, [*RECIPES, *MODELS]):
        raise UsageError(f"unknown {kind} '{name}': did you mean {other}? type: firstsight train {other}")
    if weights := spelled(name, weights_names()):
        model = weights.removesuffix("-imagenet")
        hint = f"firstsight train {model} --weights {weights} --data FOLDER" if model in PUBLISHED else _use(weights)
        raise UsageError(f"'{name}' is the name of weights, not a {kind}; type: {hint}")
    if expand_user(name).is_dir() or (name.lower().endswith(".zip") and expand_user(name).is_file()):
        has_run = (expand_user(name) / "config.json").is_file()
        what = "run directory" if has_run else "folder" if expand_user(name).is_dir() else "zip file"
        hint = f"firstsight train RECIPE --out {name} --resume" if has_run else f"firstsight train lenet --data {name}"
        raise UsageError(f"'{name}' is a {what}, not a {kind}; type: {hint}")
    raise unknown_name(kind, name, [*RECIPES, *MODELS], "see: firstsight models")


def check_training(
    name: str, changes: Mapping[str, Any], *, resume: bool, out: Path | None, argv: Sequence[str] = ()
) -> None:
    """Refuse settings of a training that are impossible, and data and weights that do not exist.

    Parameters
    ----------
    name : str
        Recipe or network.
    changes : Mapping[str, Any]
        Settings that were given.
    resume : bool
        Whether to continue a run.
    out : Path | None
        Run directory.
    argv : Sequence[str]
        Arguments of the command, which a suggested command repeats.

    Raises
    ------
    UsageError
        See above.
    """
    from firstsight.recipes.resolve import resolve

    recipe, settings, continued = resolve(name, changes, resume=resume, out=out)
    spec = task_of(recipe.model)
    if continued is None and "data" in changes and spec.command != "pose":  # keypoints are found by another function
        check_data(settings.data)
    if spec.name != "classification" or continued is not None:
        return
    if "image_size" in changes:
        check_options(MODELS[recipe.model], None, changes["image_size"], None)
    weights = str(changes.get("weights", "none"))
    if weights == "imagenet" and recipe.model not in PUBLISHED and (trained := _weights_of(recipe.model)):
        raise UsageError(
            f"no weights of {recipe.model} are published; on this machine: {_some(trained)}; type: firstsight train"
            f" {recipe.model} --weights {trained[0]} --data {settings.data}"
        )
    if weights not in ("none", "imagenet"):
        check_weights(weights, "train", "classification", argv=argv)


def check_data(name: str) -> None:
    """Refuse a data set that does not exist, and name its kind.

    Raises
    ------
    UsageError
        If it is neither a data set nor a path.
    """
    from firstsight.data.images.find import check_exists

    if name not in DATASETS and not os.path.lexists(expand_user(name)):
        for kind, known in (("network", [*MODELS]), ("recipe", [*RECIPES]), ("name of weights", weights_names())):
            if spelled(name, known):
                raise UsageError(f"'{name}' is a {kind}, not a data set; data sets: {', '.join(DATASETS)}, or a path")
        if dataset := spelled(name, [*DATASETS]):
            raise UsageError(f"'{name}' is neither a data set nor an existing path; did you mean {dataset}?")
    check_exists(name)


def check_weights(name: str, command: str, *kinds: str, argv: Sequence[str] = ()) -> TaskSpec | None:
    """Refuse weights that do not exist or are of another kind, and name its kind.

    Parameters
    ----------
    name : str
        Name of weights, run directory or file.
    command : str
        Command that uses the weights.
    *kinds : str
        Names of the tasks whose weights the command uses; none for all.
    argv : Sequence[str]
        Arguments of the command, which a suggested command repeats.

    Returns
    -------
    TaskSpec | None
        Task of the weights, or None if only reading the file with torch gives it.

    Raises
    ------
    UsageError
        If there are no such weights.
    WeightsError
        If they are of another kind, or their file is damaged.
    """
    if Path(name).name in RUN_NAMES:
        return None
    if what := _images(name):
        raise UsageError(_image_first(name, what, command, argv))
    path = stored_weights(name)
    if path is None:
        if is_published(name) or expand_user(name).exists():  # downloaded, or an unfinished run
            return None
        raise _unknown_weights(name, Line(command, name, argv), kinds)
    card = card_of(path) if path.suffix == ".safetensors" else None
    if card is None:
        return None  # a file of PyTorch, or one that is damaged: the reader says what is wrong with it
    spec = task_of_card(str(card["kind"]), path)
    if kinds and spec.name not in kinds:
        raise WeightsError(
            f"{display_name(path)}: holds a {spec.title}, not a {_title_of(kinds)}"
            f" (type: {USES.get(spec.command, 'firstsight evaluate {}').format(name)})"
        )
    return spec


def _title_of(kinds: Sequence[str]) -> str:
    """Return the name of weights of some kinds: "classifier", or "pose network" for both kinds of these."""
    titles = [TASKS[kind].title for kind in kinds]
    return titles[0] if len(titles) == 1 else " ".join(titles[0].split()[1:])


@dataclass(frozen=True)
class Line:
    """The command line in which a wrong name was given.

    Parameters
    ----------
    command : str
        Name of the command.
    name : str
        The wrong name.
    argv : Sequence[str]
        Arguments of the command; empty if they are unknown.
    """

    command: str
    name: str
    argv: Sequence[str] = ()

    def with_weights(self, weights: str) -> str:
        """Return what to type to use weights: the same line if the command is for them, or another command."""
        path = (bundled() | cached()).get(weights)
        card = card_of(path) if path else None
        if card is not None:
            spec = task_of_card(str(card["kind"]), path or Path(weights))
        else:
            spec = task_of("openpose-mobilenet" if weights in PUBLISHED_POSE else weights.removesuffix("-imagenet"))
        is_same = self.command in (*GENERAL, spec.command) or (self.command, spec.name) == ("train", "classification")
        command = self.command if is_same else spec.command
        if not is_same or not self.argv:
            return USES.get(command, "firstsight evaluate {}").format(weights)
        words = [f"{word[: -len(self.name)]}{weights}" if self._is_name(word) else word for word in self.argv]
        return repeat(command, words)

    def _is_name(self, word: str) -> bool:
        return word == self.name or (word.startswith("--") and word.endswith(f"={self.name}"))


def repeat(command: str, words: Sequence[str]) -> str:
    """Return a command line with its words quoted; only the first images of many.

    >>> repeat("predict", ["lenet-mnist", "my photos"])
    "firstsight predict lenet-mnist 'my photos'"
    """
    more = " ..." if len(words) > MAX_WORDS else ""
    return f"firstsight {command} {shlex.join(words[:MAX_WORDS])}{more}"


def _images(name: str) -> str:
    """Return what a path is if it means images, with its article; an empty string otherwise."""
    path = expand_user(name)
    if is_image_file(path):
        return "an image"
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return ""
    if is_folder:
        has_run = any(next(path.glob(f"{depth}{file}"), None) for depth in ("", "*/", "*/*/") for file in RUN_FILES)
        has_images = not has_run and any(is_image_file(child) for child in islice(path.rglob("*.*"), MAX_FILES))
        return "a folder of images" if has_images else ""
    if path.exists():
        return ""
    return "a pattern" if glob.has_magic(name) else "the name of an image" if path.suffix.lower() in SUFFIXES else ""


def _image_first(name: str, what: str, command: str, argv: Sequence[str]) -> str:
    """Return the message for images in the place of weights, with what to type."""
    if command not in ("predict", "features"):
        line = f"pose {shlex.quote(name)}" if command == "pose" else f"predict {EXAMPLE} {shlex.quote(name)}"
        verb = "find people in it" if command == "pose" else "classify it"
        return f"{name} is {what}, not weights; to {verb}: firstsight {line}"
    others = [word for word in argv if not word.startswith("-") and not _images(word)]
    network = next(
        (word for word in others if stored_weights(word) or is_published(word) or expand_user(word).is_dir()), None
    )
    words = [network or EXAMPLE, *(word for word in argv if word not in (network, "IMAGE"))]
    return f"{name} is {what}; name the network first: {repeat(command, words)}"


def _unknown_weights(name: str, line: Line, kinds: Sequence[str]) -> UsageError:
    """Return the error for a name without weights."""
    if model := spelled(name, [*MODELS]):
        return _no_weights_of(name, model, line)
    if weights := spelled(name, weights_names()):
        hint = line.with_weights(weights)
        return UsageError(f"unknown weights or run '{name}': did you mean {weights}? type: {hint}")
    if recipe := spelled(name, [*RECIPES]):
        return UsageError(
            f"'{name}' is a recipe without trained weights; train it: firstsight train {recipe}, then give the run"
            f" directory that it prints"
        )
    if dataset := spelled(name, [*DATASETS]):
        trained = _trained(lambda card: card["about"].get("data") == dataset, kinds)
        more = f"; weights trained on it: {_some(trained)}; type: {line.with_weights(trained[0])}" if trained else ""
        return UsageError(f"'{name}' is a data set, not weights{more}")
    if {"/", "\\"} & set(name) or Path(name).suffix:
        hint = "; docs/howto/published-weights.md lists the published ones" if name.endswith(".pth") else ""
        return UsageError(f"no such file or run directory: {name}{hint}")
    names = [*weights_names(), *PUBLISHED]
    similar = [_weights_of(match) or [match] for match in similar_names(name, [*names, *MODELS])]
    suggestion = suggest([match for matches in similar for match in matches if match in names][:MAX_NAMES])
    return UsageError(
        f"unknown weights or run '{name}'{f': {suggestion}' if suggestion else ''}"
        " (see: firstsight weights list; or give a run directory or a file)"
    )


def _weights_of(model: str) -> list[str]:
    """Return the names of the weights on this machine that are of a network."""
    return _trained(lambda card: card["model"] == model, ()) if model in MODELS else []


def _no_weights_of(name: str, model: str, line: Line) -> UsageError:
    """Return the error for the name of a network in the place of weights."""
    if model != name and is_published(model):
        return UsageError(f"unknown weights or run '{name}': did you mean {model}? type: {line.with_weights(model)}")
    trained = _weights_of(model)
    if not trained:
        return UsageError(
            f"{model} is a network without trained weights; train it (firstsight train {model}), or give a run"
            " directory or a file"
        )
    return UsageError(
        f"{model} is a network, not weights; its trained weights: {_some(trained)};"
        f" type: {line.with_weights(trained[0])}"
    )


def _trained(matches: Any, kinds: Sequence[str]) -> list[str]:
    """Return the names of the weights on this machine whose card matches, of some kinds of tasks or all.

    Classifiers come first, and the bundled 8x8 digits, the smallest data, after other data.
    """
    cards = {name: card_of(path) for name, path in (bundled() | cached()).items()}
    allowed = {TASKS[kind].card_kind for kind in kinds}
    names = [name for name, card in cards.items() if card and matches(card) and (not kinds or card["kind"] in allowed)]
    order, data_sets = [spec.card_kind for spec in TASKS.values()], [*DATASETS]

    def rank(name: str) -> tuple[int, bool, int]:
        card = cards[name] or {}
        kind, data = card["kind"], card["about"].get("data")
        position = data_sets.index(data) if data in data_sets else len(data_sets)
        return (order.index(kind) if kind in order else len(order)), data == "digits", position

    return sorted(names, key=rank)


def _use(weights: str) -> str:
    """Return what to type to use weights, with a command that fits their kind."""
    return Line("", "").with_weights(weights)


def check_network(name: str) -> None:
    """Refuse a name that is neither a network nor weights, for `firstsight summary`.

    Raises
    ------
    UsageError
        See above.
    """
    if name in MODELS:
        return
    if what := _images(name):
        raise UsageError(_image_first(name, what, "summary", ()))
    if not expand_user(name).exists() and not stored_weights(name) and not is_published(name):
        if recipe := spelled(name, [*RECIPES]):
            network = RECIPES[recipe].model
            raise UsageError(f"'{name}' is a recipe of the network {network}; type: firstsight summary {network}")
        if spelled(name, [*DATASETS]):
            raise UsageError(f"'{name}' is a data set, not a network (see: firstsight models)")
        if model := spelled(name, [*MODELS]):
            raise UsageError(f"unknown model '{name}': did you mean {model}? type: firstsight summary {model}")
        hint = "see: firstsight models; or give package.module:function"
        raise unknown_name("model", name, MODELS, hint)


def check_published(name: str) -> None:
    """Refuse a name without published weights.

    Raises
    ------
    UsageError
        If nothing is published under this name; the message names weights that are in the package.
    """
    if is_published(name):
        return
    if name in bundled():
        raise UsageError(f"{name} is in the package, so it needs no download; type: {_use(name)}")
    if other := spelled(name, [*PUBLISHED, *PUBLISHED_POSE]):
        raise UsageError(
            f"unknown published weights '{name}': did you mean {other}? type: firstsight weights get {other}"
        )
    if name in MODELS and (trained := _weights_of(name)):
        raise UsageError(
            f"no weights of {name} are published; in the package: {_some(trained)}; type: {_use(trained[0])}"
        )
    if name not in MODELS and (text := describe_name(name, "the name of published weights")):
        raise UsageError(text)
    find_published(name)


def check_image(name: str) -> None:
    """Refuse an image file that does not exist.

    Raises
    ------
    UsageError
        If there is no such file; the message says what else has this name.
    """
    if not os.path.lexists(expand_user(name)):
        if text := describe_name(name, "an image"):
            raise UsageError(text)
        raise UsageError(f"{name}: No such file or directory")


def describe_name(name: str, role: str = "a command") -> str:
    """Return what a name is that is not what was expected, and what to type; an empty string if it is unknown.

    Parameters
    ----------
    name : str
        A name.
    role : str
        What was expected, with its article.
    """
    if model := spelled(name, [*MODELS]):
        return f"'{name}' is a network, not {role}; type: firstsight summary {model}, or firstsight train {model}"
    if weights := spelled(name, [*bundled(), *cached()] if role != "a command" else []):
        return f"'{name}' is the name of weights, not {role}; type: {_use(weights)}"
    if recipe := spelled(name, [*RECIPES]):
        return f"'{name}' is a recipe, not {role}; type: firstsight train {recipe}"
    if weights := spelled(name, weights_names()):
        return f"'{name}' is the name of weights, not {role}; type: {_use(weights)}"
    if dataset := spelled(name, [*DATASETS]):
        return f"'{name}' is a data set, not {role}; type: firstsight train lenet --data {dataset}"
    return ""


def _recipes(names: Sequence[str]) -> str:
    return f"recipe{'s' * (len(names) > 1)} for it: {_some(names)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
