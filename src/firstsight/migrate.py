"""Migration of files written by earlier versions: renames old settings, networks and layers.

Every function returns a new dictionary and keeps unknown names.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, field

SETTINGS = {
    "shift": "translate", "zoom": "scale", "holdout": "val_fraction", "updates": "max_steps",
    "linear_lr": "linear_lr_mult", "bias_lr": "bias_lr_mult", "bias_decay": "bias_weight_decay", "views": "tta_views",
    "d_lr": "d_lr_mult", "penalty": "gp_weight", "r1": "r1_gamma", "critic_steps": "n_critic", "latent": "latent_dim",
    "width": "d_width", "pixels": "output", "real_target": "real_label", "label_noise": "label_flip_prob",
    "translation": "diffaug_translation", "information": "info_weight", "information_warmup": "info_warmup",
    "spread": "code_std", "stuck": "bn_on_logit", "ema": "ema_decay", "filter_lr": "filter_lr_mult",
    "early": "low_res_fraction", "early_scale": "low_res_scale", "restart": "lr_restart", "people": "max_people",
    "smallest": "min_scale", "largest": "max_scale", "foreground": "foreground_weight",
    "measured": "max_eval_samples", "move": "translate_fraction", "hide": "random_erasing",
}  # fmt: skip
VALUES = {("pixels", "signed"): "tanh", ("pixels", "unsigned"): "sigmoid", ("head", "squares"): "mse"}
"""Renamed values of settings: (old setting, old value) to new value."""
SCHEDULES = {"steps": ((100 / 280, 200 / 280, 260 / 280), 0.333), "tenths": ((90 / 140, 120 / 140), 0.1)}
"""Old names of learning-rate schedules: milestones as fractions of the epochs, and gamma."""
MODELS = {"two_layer": "mlp"}
"""Old names of networks."""

TENSORS = {"double": "upsample", "half": "downsample"}
"""Old names of InfoGAN's layers, without their numbers."""

METRICS = {"sure": "confidence", "c1_asked": "class_accuracy"}
"""Earlier names of metrics in cards."""

GAN_OPTIONS = {
    "latent": "latent_dim", "size": "image_size", "width": "d_width", "stuck": "bn_on_logit", "classes": "num_classes",
}  # fmt: skip
"""Earlier names of options of `create_gan`."""
GAN_FLAGS = {
    "signed": ("output", "tanh", "sigmoid"),
    "strided": ("resampling", "strided", "plain"),
    "leaky": ("activation", "leaky", "relu"),
    "critic": ("d_batch_norm", False, True),
}
"""Earlier flags of `create_gan`: current name, value if the flag was set, value if not."""
PARAM_GROUPS = {"pace": "lr_mult"}
"""Earlier names of entries of an optimizer's parameter groups."""


def migrate_param_groups(saved: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer under their present names.

    >>> migrate_param_groups([{"lr": 0.1, "pace": 2.0}])
    [{'lr': 0.1, 'lr_mult': 2.0}]
    """
    return [{PARAM_GROUPS.get(name, name): value for name, value in group.items()} for group in saved]


def migrate_tensors(model: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a network under their current names.

    >>> list(migrate_tensors("infogan", {"double1.weight": 0, "noise.bias": 0}))
    ['upsample1.weight', 'noise.bias']
    """
    if model != "infogan":
        return dict(tensors)
    return {re.sub(r"^(double|half)(?=[0-9])", lambda m: TENSORS[m[0]], name): value for name, value in tensors.items()}


def migrate_settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under their current names.

    >>> migrate_settings({"shift": 2, "pixels": "signed", "epochs": 3})
    {'translate': 2, 'output': 'tanh', 'epochs': 3}
    >>> migrate_settings({"schedule": "tenths", "epochs": 140})["milestones"]
    '90,120'
    """
    settings = {SETTINGS.get(name, name): VALUES.get((name, _key(value)), value) for name, value in saved.items()}
    schedule, epochs = _key(settings.get("schedule")), settings.get("epochs")
    if schedule in SCHEDULES and isinstance(epochs, int) and abs(epochs) < 10**9:
        fractions, gamma = SCHEDULES[schedule]
        milestones = ",".join(str(round(fraction * epochs)) for fraction in fractions)
        settings |= {"schedule": "multistep", "milestones": milestones, "gamma": gamma}
    return settings


def migrate_config(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run with the current names of its network and settings."""
    model = saved.get("model")
    return {**saved, "model": MODELS.get(str(model), model), "settings": migrate_settings(saved["settings"])}


def migrate_metrics(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a card under their present names; purity replaces the error by majority.

    >>> migrate_metrics({"sure": 0.9, "c1_asked": 0.8, "q_error_majority": 0.25, "kl": 0.1})
    {'confidence': 0.9, 'class_accuracy': 0.8, 'kl': 0.1, 'q_purity': 0.75}
    """
    metrics = {METRICS.get(name, name): value for name, value in saved.items()}
    if "q_error_majority" in metrics:
        majority = metrics.pop("q_error_majority")
        metrics["q_purity"] = None if majority is None else 1 - majority
    return metrics


def migrate_gan_options(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `create_gan` under their current names; flags became names of activations and layers.

    >>> migrate_gan_options({"latent": 64, "signed": True, "strided": False, "critic": True, "stuck": False})
    {'latent_dim': 64, 'output': 'tanh', 'resampling': 'plain', 'd_batch_norm': False, 'bn_on_logit': False}
    """
    options: dict[str, Any] = {}
    for name, value in saved.items():
        if name in GAN_FLAGS:
            current, if_true, if_false = GAN_FLAGS[name]
            options[current] = if_true if value else if_false
        else:
            options[GAN_OPTIONS.get(name, name)] = value
    return options


class StoredAbout(Struct):
    """Entries that `migrate_card` converts."""

    settings: dict[str, Any] = {}
    metrics: dict[str, float | None] = {}
    reference: dict[str, Any] = field(name="judge", default_factory=dict)


class StoredCard(Struct):
    """Card as an earlier version may have written it."""

    kind: Annotated[str, Meta(min_length=1, max_length=200)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    about: StoredAbout
    options: dict[str, Any] = {}
    head: str | None = None


def migrate_card(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card of a weights file with the current names of its network, head, settings and metrics.

    >>> migrate_card({"kind": "top-down", "model": "pose-tiny", "head": "squares", "about": {}})["head"]
    'mse'
    >>> about = {"metrics": {"sure": 0.9}, "judge": {"name": "lenet-digits", "knows": True}}
    >>> migrate_card({"kind": "generator", "model": "gan", "about": about})["about"]
    {'metrics': {'confidence': 0.9}, 'reference': {'name': 'lenet-digits', 'in_domain': True}}
    """
    card = {**saved, "model": MODELS.get(str(saved["model"]), saved["model"])}
    if card.get("kind") == "generator":
        card["options"] = migrate_gan_options(card.get("options", {}))
    if "head" in card:
        card["head"] = VALUES.get(("head", card["head"]), card["head"])
    about = dict(card.get("about", {}))
    if "settings" in about:
        about["settings"] = migrate_settings(about["settings"])
    if "metrics" in about:
        about["metrics"] = migrate_metrics(about["metrics"])
    if "judge" in about:
        saved_reference = about.pop("judge")
        about["reference"] = {"in_domain" if key == "knows" else key: value for key, value in saved_reference.items()}
    return {**card, "about": about}


def _key(value: Any) -> Any:
    return value if isinstance(value, str) else None
