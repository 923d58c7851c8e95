"""Export of generators."""

from dataclasses import asdict

from firstsight.data.image_io import Preprocess
from firstsight.models.gan import create_gan
from firstsight.models.gan.latent import Latent
from firstsight.models.registry import MODELS
from firstsight.tasks.export_plan import ExportPlan, describe_scaling
from firstsight.tasks.gan.generator import Generator

CODES = {"infogan": Latent(noise=62, categories=(10,), continuous=2)}
"""Latent vectors of networks with codes, for random weights; others have 100 noise values."""


def plan_export(generator: Generator) -> ExportPlan:
    """Return the plan of a generator: latent vectors (N, length) to normalized images (N, C, S, S)."""
    latent, preprocess = generator.latent, generator.preprocess
    order = "L" if preprocess.channels == 1 else "RGB"
    return ExportPlan(
        net=generator.model,
        input_name="z",
        output_names=("images",),
        shape=generator.input_shape,
        draw_inputs=generator.draw,
        metadata={
            "latent": {
                **asdict(latent),
                "length": latent.length,
                "order": "noise values, one-hot categories, continuous codes",
                "noise_distribution": "N(0, 1)" if latent.kind == "normal" else "U(-1, 1)",
                "continuous_distribution": "U(-1, 1)",
            },
            "classes": list(generator.table),
            "outputs": {
                "images": {
                    "size": [preprocess.resize, preprocess.resize],
                    **describe_scaling(preprocess.mean, preprocess.std, order),
                    "formula": "pixel = 255 * (x * std + mean)",
                }
            },
        },
    )


def make_untrained(name: str) -> Generator:
    """Return a generator with random weights: a network of the registry with its default options."""
    latent = CODES.get(name, Latent(noise=100))
    net, _ = create_gan(name, latent_dim=latent.length, categories=latent.categories, continuous=latent.continuous)
    info = MODELS[name]
    preprocess = Preprocess(channels=1, resize=info.image_size, pad=0, mean=(0.5,), std=(0.5,))
    card = {"kind": "generator", "model": name, "about": {"data": "none (random weights)"}}
    return Generator(net.eval(), latent, preprocess, (), card, "")
