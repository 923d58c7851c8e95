"""Registry of the kinds of tasks.

`train`, `load`, `evaluate` and the command line ask this registry; none of them names a kind. Importing it imports no
torch: everything heavy is given as "module:name" and imported when it is needed.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from firstsight.errors import WeightsError
from firstsight.models.registry import MODELS


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that training reports after every epoch.

    Parameters
    ----------
    key : str
        Name in ``metrics.jsonl``: "train/..." or "test/...".
    label : str
        Heading in tables.
    format : str
        Format specification of the value.
    higher_is_better : bool
        Whether larger values are better.
    """

    key: str
    label: str
    format: str = ".4f"
    higher_is_better: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """One kind of task.

    Parameters
    ----------
    name : str
        Kind of the task, and of its networks in the model registry.
    title : str
        Name of a trained model of this kind in messages ("classifier").
    card_kind : str
        Kind in the card of its weights files.
    command : str
        Command that uses trained weights of this kind.
    settings : str
        "module:class" of the settings, a subclass of `firstsight.tasks.settings.Settings`.
    default_settings : str
        "module:function" that returns the settings of a network without a recipe: ``(model) -> Settings``.
    create : str
        "module:function" that builds a network: ``(name, **options) -> nn.Module``.
    build : str
        "module:class" of the experiment builder, see `firstsight.tasks.builder.Builder`.
    load : str
        "module:function": ``(WeightsFile) -> object`` with ``task``, ``to(device)``, ``card`` and ``source``.
    evaluate : str
        "module:function": ``(model, data, *, strict, notify, **options) -> Evaluation``.
    adapt : str
        "module:function" that fits default settings to a user's data: ``(model, settings, given) -> (settings,
        messages)``; empty if they do not depend on the data.
    evaluate_options : str
        "module:class" of a dataclass with further options of ``evaluate``; empty without any.
    recognize : str
        "module:function" that recognizes PyTorch files without a card: ``(path, tensors, *, notify) -> WeightsFile or
        None``; empty if there are none.
    export : str
        "module:function" that describes an exported file: ``(model) -> ExportPlan``; empty for a plan of one input and
        one output.
    untrained : str
        "module:function" that returns a network with random weights as ``load`` does: ``(name) -> object``; empty if
        there is none.
    features : str
        "module:function" that returns the input of a network whose feature maps are drawn: ``(model, image or None, *,
        seed) -> FeatureInput``; empty if they cannot be drawn.
    metrics : tuple[Metric, ...]
        Metrics that the command line shows, in this order.
    results : tuple[Metric, ...]
        Metrics of a card by which weights are listed; ``key`` is the name in the card's metrics.
    """

    name: str
    title: str
    card_kind: str
    command: str
    settings: str
    default_settings: str
    create: str
    build: str
    load: str
    evaluate: str
    adapt: str = ""
    evaluate_options: str = ""
    recognize: str = ""
    export: str = ""
    untrained: str = ""
    features: str = ""
    metrics: tuple[Metric, ...] = ()
    results: tuple[Metric, ...] = ()

    def resolve(self, field: str) -> Any:
        """Import and return the object that a field names.

        >>> TASKS["gan"].resolve("settings").__name__
        'GANSettings'
        """
        module, attribute = getattr(self, field).split(":")
        return getattr(import_module(module), attribute)


POSE_METRICS = (
    Metric(key="train/loss", label="train loss"),
    Metric(key="test/ap", label="AP", format=".1%", higher_is_better=True),
    Metric(key="test/ar", label="AR", format=".1%", higher_is_better=True),
    Metric(key="test/pck", label="PCK@0.2", format=".1%", higher_is_better=True),
)

TASKS: dict[str, TaskSpec] = {
    "classification": TaskSpec(
        name="classification",
        title="classifier",
        card_kind="classifier",
        command="predict",
        settings="firstsight.tasks.classification.settings:ClassificationSettings",
        default_settings="firstsight.tasks.classification.settings:default_settings",
        create="firstsight.models.classification:create_model",
        build="firstsight.tasks.classification.build:ClassificationBuilder",
        adapt="firstsight.tasks.classification.data_defaults:adapt_to_data",
        load="firstsight.tasks.classification.classifier:load_classifier",
        evaluate="firstsight.tasks.classification.evaluate:evaluate_classifier",
        export="firstsight.tasks.classification.export:plan_export",
        untrained="firstsight.tasks.classification.export:make_untrained",
        features="firstsight.tasks.classification.feature_input:make_input",
        metrics=(
            Metric(key="train/loss", label="train loss"),
            Metric(key="val/loss", label="validation loss"),
            Metric(key="test/loss", label="test loss"),
            Metric(key="test/accuracy", label="test accuracy", format=".2%", higher_is_better=True),
        ),
        results=(Metric(key="accuracy", label="accuracy", format=".2%", higher_is_better=True),),
    ),
    "gan": TaskSpec(
        name="gan",
        title="generator",
        card_kind="generator",
        command="generate",
        settings="firstsight.tasks.gan.settings:GANSettings",
        default_settings="firstsight.tasks.gan.settings:default_settings",
        create="firstsight.models.gan:create_gan",
        build="firstsight.tasks.gan.build:GANBuilder",
        adapt="firstsight.tasks.gan.data_defaults:adapt_to_data",
        load="firstsight.tasks.gan.generator:load_generator",
        evaluate="firstsight.tasks.gan.evaluate:evaluate_generator",
        evaluate_options="firstsight.tasks.gan.evaluate_options:GANOptions",
        export="firstsight.tasks.gan.export:plan_export",
        untrained="firstsight.tasks.gan.export:make_untrained",
        features="firstsight.tasks.gan.feature_input:make_input",
        metrics=(
            Metric(key="train/d_loss", label="D loss", format=".3f"),
            Metric(key="train/g_loss", label="G loss", format=".3f"),
            Metric(key="train/d_real", label="D(x)", format=".2f"),
            Metric(key="train/d_fake", label="D(G(z))", format=".2f"),
            Metric(key="test/frechet", label="FD", format=".2f"),
            Metric(key="test/modes", label="modes", format=".0f", higher_is_better=True),
            Metric(key="test/q_error", label="Q error", format=".1%"),
        ),
        results=(Metric(key="frechet", label="FD", format=".2f"),),
    ),
    "bottom-up": TaskSpec(
        name="bottom-up",
        title="bottom-up pose network",
        card_kind="pose",
        command="pose",
        settings="firstsight.tasks.pose.bottom_up.settings:BottomUpSettings",
        default_settings="firstsight.tasks.pose.bottom_up.settings:default_settings",
        create="firstsight.models.pose:create_bottom_up",
        build="firstsight.tasks.pose.bottom_up.build:BottomUpBuilder",
        load="firstsight.tasks.pose.bottom_up.estimate:load_estimator",
        evaluate="firstsight.tasks.pose.evaluate:evaluate_pose",
        evaluate_options="firstsight.tasks.pose.evaluate_options:PoseOptions",
        recognize="firstsight.weights.published_pose:recognize_pose",
        export="firstsight.tasks.pose.bottom_up.export:plan_export",
        untrained="firstsight.tasks.pose.bottom_up.export:make_untrained",
        features="firstsight.tasks.pose.feature_input:bottom_up_input",
        metrics=POSE_METRICS,
        results=(
            Metric(key="ap", label="AP", format=".1%", higher_is_better=True),
            Metric(key="pck", label="PCK@0.2", format=".1%", higher_is_better=True),
        ),
    ),
    "top-down": TaskSpec(
        name="top-down",
        title="top-down pose network",
        card_kind="top-down",
        command="pose",
        settings="firstsight.tasks.pose.top_down.settings:TopDownSettings",
        default_settings="firstsight.tasks.pose.top_down.settings:default_settings",
        create="firstsight.models.pose:create_top_down",
        build="firstsight.tasks.pose.top_down.build:TopDownBuilder",
        load="firstsight.tasks.pose.top_down.estimate:load_estimator",
        recognize="firstsight.tasks.pose.top_down.published:recognize",
        export="firstsight.tasks.pose.top_down.export:plan_export",
        untrained="firstsight.tasks.pose.top_down.export:make_untrained",
        features="firstsight.tasks.pose.feature_input:top_down_input",
        evaluate="firstsight.tasks.pose.evaluate:evaluate_pose",
        evaluate_options="firstsight.tasks.pose.evaluate_options:PoseOptions",
        metrics=POSE_METRICS,
        results=(Metric(key="pck", label="PCK@0.2", format=".1%", higher_is_better=True),),
    ),
}
"""The kinds of tasks by name."""


def register_task(spec: TaskSpec) -> None:
    """Add a kind of task; a spec of the same name is replaced."""
    TASKS[spec.name] = spec


def task_of(model: str) -> TaskSpec:
    """Return the task that a network of the model registry is trained for."""
    return TASKS[MODELS[model].kind]


def task_of_card(kind: str, path: Path) -> TaskSpec:
    """Return the task for the ``kind`` in the card of a weights file.

    Parameters
    ----------
    kind : str
        Kind in the card, see `TaskSpec.card_kind`.
    path : Path
        Weights file, named in the error.

    Raises
    ------
    WeightsError
        If no task has cards of this kind.
    """
    for spec in TASKS.values():
        if spec.card_kind == kind:
            return spec
    text = f"{path}: has a card of unknown kind '{kind}'; it may need a newer version of firstsight"
    raise WeightsError(text)


def wrong_kind(name: str, given: TaskSpec, expected: TaskSpec) -> WeightsError:
    """Return the error for weights of another kind than expected."""
    return WeightsError(
        f"{name}: holds a {given.title}, not a {expected.title} (see: firstsight {given.command} --help)"
    )
