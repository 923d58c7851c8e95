"""Migration of files that earlier versions wrote: old names of settings and networks to the present ones.

Every function returns a new dictionary and leaves names that it does not know as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

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
"""Values of settings that have another name now."""
SCHEDULES = {"steps": ((100 / 280, 200 / 280, 260 / 280), 0.333), "tenths": ((90 / 140, 120 / 140), 0.1)}
"""Earlier names of learning-rate schedules: milestones as fractions of the epochs, and factor."""
HEAD_NAMES = {"squares": "mse"}
"""Earlier names of heads of top-down networks."""
MODELS = {"two_layer": "mlp"}
"""Earlier names of networks."""

TENSORS = {"double": "upsample", "half": "downsample"}
"""Earlier names of layers of InfoGAN, without their numbers."""


def migrate_tensors(model: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a network under their present names.

    >>> list(migrate_tensors("infogan", {"double1.weight": 0, "noise.bias": 0}))
    ['upsample1.weight', 'noise.bias']
    """
    if model != "infogan":
        return dict(tensors)
    return {re.sub(r"^(double|half)(?=[0-9])", lambda m: TENSORS[m[0]], name): value for name, value in tensors.items()}


def migrate_settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under their present names.

    >>> migrate_settings({"shift": 2, "pixels": "signed", "epochs": 3})
    {'translate': 2, 'output': 'tanh', 'epochs': 3}
    >>> migrate_settings({"schedule": "tenths", "epochs": 140})["milestones"]
    '90,120'
    """
    settings = {SETTINGS.get(name, name): VALUES.get((name, _key(value)), value) for name, value in saved.items()}
    if settings.get("schedule") in SCHEDULES:
        fractions, gamma = SCHEDULES[settings["schedule"]]
        milestones = ",".join(str(round(fraction * settings["epochs"])) for fraction in fractions)
        settings |= {"schedule": "multistep", "milestones": milestones, "gamma": gamma}
    return settings


def migrate_config(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run under the present names of its network and settings."""
    model = saved.get("model")
    return {**saved, "model": MODELS.get(str(model), model), "settings": migrate_settings(saved["settings"])}


def _key(value: Any) -> Any:
    return value if isinstance(value, str) else None
