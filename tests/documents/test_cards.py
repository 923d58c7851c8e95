"""Schemas of cards: every entry is checked, and the message names it."""

import json
import re
from functools import cache
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from firstsight.documents import cards
from firstsight.documents.cards import SCHEMAS, GeneratorOptions, check_card, decode_card
from firstsight.errors import WeightsError
from firstsight.models.gan import create_gan
from firstsight.models.pose import MAX_STACKS, MAX_STAGES
from firstsight.models.pose.heads import HEADS
from firstsight.models.pose.openpose_mobilenet import BRIDGES
from firstsight.tasks.spec import TASKS
from firstsight.text import MAX_MESSAGE
from firstsight.weights.bundled import bundled

NAMES = {
    "classifier": "lenet-fashion",
    "generator": "infogan-mnist",
    "pose": "openpose-tiny-lsp",
    "top-down": "pose-tiny-lsp",
}
"""Bundled weights of each kind."""


@cache
def stored_text(name: str) -> str:
    """Return the card of bundled weights, unchanged."""
    with safe_open(bundled()[name], framework="np") as file:
        return str(file.metadata()["firstsight"])


def stored_card(name: str) -> dict[str, Any]:
    """Return the content of `stored_text`."""
    card: dict[str, Any] = json.loads(stored_text(name))
    return card


def changed(card: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a card with another value at a path such as "preprocess.resize"; None removes the entry."""
    copy: dict[str, Any] = json.loads(json.dumps(card))
    *parents, key = path.split(".")
    target = copy
    for parent in parents:
        target = target[parent]
    if value is None:
        del target[key]
    else:
        target[key] = value
    return copy


def refusal(card: object) -> str:
    """Return the message for a card that is refused, after checking its form."""
    with pytest.raises(WeightsError) as caught:
        decode_card(card if isinstance(card, str) else json.dumps(card), "x.safetensors: its card")
    message = str(caught.value)
    assert message.startswith("x.safetensors: its card: ") and len(message) <= MAX_MESSAGE and message.isprintable()
    return message.removeprefix("x.safetensors: its card: ")


@pytest.mark.parametrize("name", bundled())
def test_cards_of_earlier_versions_are_read(name: str) -> None:
    card = decode_card(json.dumps(stored_card(name)), name)
    entries = check_card(card, SCHEMAS[card["kind"]], name)
    assert entries.about.recipe.startswith(name) and entries.about.metrics == card["about"]["metrics"]


def test_every_kind_of_task_and_every_option_has_an_entry_in_the_schemas() -> None:
    assert set(SCHEMAS) == {spec.card_kind for spec in TASKS.values()}
    defaults = msgspec.structs.asdict(GeneratorOptions())
    assert defaults == create_gan.__kwdefaults__
    hints = {name: cards.__dict__[name].__annotations__ for name in ("TopDownCard", "PoseCard")}
    assert get_args(hints["TopDownCard"]["head"]) == HEADS
    assert set(get_args(get_args(hints["PoseCard"]["bridge"])[0])) == set(BRIDGES)
    assert max(MAX_STAGES, MAX_STACKS) <= 100


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("classifier", "about", None, "object missing required field about"),
        ("classifier", "about", [], "about: expected an object, got []"),
        ("classifier", "about.metrics", -0.0, "about.metrics: expected an object, got -0.0"),
        ("classifier", "about.metrics.accuracy", "0.9", "about.metrics[...]: expected a number or null, got text"),
        ("classifier", "about.settings", [1], "about.settings: expected an object, got [1]"),
        ("classifier", "kind", 3, "kind: expected text, got 3"),
        ("classifier", "model", None, "object missing required field model"),
        ("classifier", "format", 2, "format 2 is of a later version of firstsight; update to read it"),
        ("classifier", "format", "a" * 4000, 'format: expected an integer, got "aaa'),
        ("classifier", "options.num_classes", 20_000_000, "options.num_classes: expected an integer <= 100000, got 20"),
        ("classifier", "options.num_classes", 11, "classes: 10 names for 11 classes of the network"),
        ("classifier", "options.width", 3, "options: object contains unknown field width"),
        ("classifier", "options.in_channels", 3, "preprocess.channels: 1, but the network takes 3 channels"),
        ("classifier", "classes", ["T-shirt/top"], "classes: 1 names for 10 classes of the network"),
        ("classifier", "views", 3, "views: invalid enum value 3"),
        ("classifier", "preprocess.pad", 1, "preprocess: makes images of 30x30 pixels, but the network takes 32x32"),
        ("classifier", "preprocess.pad", -2, "preprocess.pad: expected an integer >= 0, got -2"),
        ("classifier", "preprocess.pad", -(10**400), "preprocess.pad: expected an integer >= 0, got -1000"),
        ("classifier", "preprocess.resize", 10**30, "preprocess.resize: expected an integer <= 4096, got 1000"),
        ("classifier", "preprocess.resize", float("inf"), "preprocess.resize: expected an integer, got null"),
        ("classifier", "preprocess.mean", [[0.1]], "preprocess.mean[0]: expected a number, got [0.1]"),
        ("classifier", "preprocess.std", [0.0], "preprocess.std[0]: expected a number > 0.0, got 0.0"),
        ("classifier", "preprocess.std", [0.1, 0.1], "preprocess: mean and std must have a value for each of the 1"),
        ("generator", "options.latent", 75, "latent: 74 values, but the network takes 75"),
        ("generator", "options.width", -64, "options.d_width: expected an integer >= 1, got -64"),
        ("generator", "latent.noise", "62", 'latent.noise: expected an integer, got "62"'),
        ("generator", "latent.categories", [0], "latent.categories[0]: expected an integer >= 1, got 0"),
        ("generator", "latent.continuous", 10**19, "latent.continuous: expected an integer <= 1000, got 1000"),
        ("generator", "latent.kind", "cauchy", "latent.kind: invalid enum value 'cauchy'"),
        ("generator", "table", ["1", "2"], "table: 2 classes, but the first code has 10 values"),
        (
            "generator",
            "preprocess.channels",
            3,
            "preprocess: mean and std must have a value for each of the 3",
        ),
        (
            "generator",
            "about.metrics.q_error_majority",
            [],
            "about.metrics[...]: expected a number or null, got",
        ),
        ("pose", "height", float("nan"), "height: expected an integer, got null"),
        ("pose", "height", 10, "height: expected an integer >= 32, got 10"),
        ("pose", "stages", 10**9, "stages: expected an integer <= 100, got 1000000000"),
        ("pose", "skeleton", 3, "skeleton: expected an object, got 3"),
        ("pose", "skeleton.keypoints", ["a"], 'skeleton.keypoints: expected a list of length >= 2, got ["a"]'),
        ("pose", "skeleton.skeleton", [[1]], "skeleton.skeleton[0]: expected a list of length 2, got [1]"),
        ("pose", "skeleton.sigmas", [None], "skeleton.sigmas[0]: expected a number, got null"),
        ("pose", "skeleton.paf_channels", None, "skeleton: object missing required field paf_channels"),
        ("pose", "score_calibration", {"coefficient": -1, "intercept": 0, "min_score": 0}, "score_calibration.coef"),
        (
            "pose",
            "score_calibration",
            {"coefficient": 1, "intercept": 0, "min_score": 2},
            "score_calibration.min_s",
        ),
        ("top-down", "head", "squared", "head: invalid enum value 'squared'"),
        ("top-down", "size", [192], "size: expected a list of length 2, got [192]"),
        ("top-down", "size", [192, 10**6], "size[1]: expected an integer <= 4096, got 1000000"),
        ("top-down", "sigma", 0, "sigma: expected a number > 0.0, got 0"),
        ("top-down", "stacks", True, "stacks: expected an integer, got true"),
        ("top-down", "folded", "yes", 'folded: expected true or false, got "yes"'),
    ],
)
def test_the_message_names_the_entry_and_its_value(kind: str, path: str, value: Any, message: str) -> None:
    assert message in refusal(changed(stored_card(NAMES[kind]), path, value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("null", "expected an object, got null"),
        ("[" * 100_000, "expected an object, got a list"),
        ('{"kind": "pose", "model": "m", "about": {}, "x": ' + "[" * 100_000, "nested too deeply"),
        ('{"kind": "pose", "model": "m", "about": {}, "x": 1' + "0" * 5000 + "}", "out of range"),
        ('{"kind": "pose", "model": "m", "about": {"NaN": "' + "\\ud800" + '"}}', "not valid JSON"),
        ('{"kind": NaN, "model": "m", "about": {}}', "kind: expected text, got null"),
    ],
    ids=["empty", "null", "deep", "deep entry", "long number", "half a character", "NaN"],
)
def test_text_that_is_no_card_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_metrics_that_are_not_finite_are_left_out() -> None:
    """Earlier versions wrote Infinity for the KL divergence of images that lack a class."""
    card = stored_card("gan-digits")
    card["about"]["metrics"] |= {"kl": float("inf"), "q_error_majority": float("nan"), "recall": float("nan")}
    metrics = decode_card(json.dumps(card), "card")["about"]["metrics"]
    assert {"kl", "recall", "q_error", "q_purity"}.isdisjoint(metrics) and metrics["modes"] == 10


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def leaves(card: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all entries of a card."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(card, dict):
        items = list(card.items())
    elif isinstance(card, list):
        items = list(enumerate(card[:2]))
    return [path, *(leaf for key, value in items for leaf in leaves(value, (*path, key)))]


@settings(max_examples=60)
@given(st.sampled_from(sorted(NAMES.values())), st.data())
def test_any_value_in_any_place_is_read_or_refused_in_one_sentence(name: str, data: st.DataObject) -> None:
    card = stored_card(name)
    path = data.draw(st.sampled_from(leaves(card)[1:]))
    target: Any = card
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(VALUES)
    try:
        decode_card(json.dumps(card), "x")
    except WeightsError as error:
        assert len(str(error)) <= MAX_MESSAGE and re.fullmatch(r"x: .+", str(error))


def test_kinds_without_a_schema_have_entries_of_their_own() -> None:
    card = {"kind": "denoiser", "model": "denoiser", "about": {}, "noise_std": 1.0, "classes": 3, "head": "squares"}
    assert decode_card(json.dumps(card), "x") == card | {"head": "mse"}
