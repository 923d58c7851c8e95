"""All recipes. Each result is measured on the test set after the last epoch, with the seeds 0, 1, 2, ...

The settings were chosen on 10 % of the training images (``val_fraction=0.1``), except for these: those of
``airbench-cifar10`` follow Jordan's; its learning rate and whitening were chosen in short runs on training images.
Those of the networks for small images are usual ones and were not tuned, but ``alexnet-fashion`` was changed once after
a result on the test set (docs/results.md).
``python benchmarks/accuracy.py RECIPE --seeds N`` prints the results of classifiers, and
``python benchmarks/gan.py RECIPE --seeds N`` those of generators.
"""

from dataclasses import replace

from firstsight.recipes.recipe import Recipe
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.pose.bottom_up.settings import BottomUpSettings
from firstsight.tasks.pose.top_down.settings import TopDownSettings

INFOGAN = GANSettings(latent_dim=62, categories="10", lr=1e-3, d_lr_mult=0.2)
"""Settings that all recipes of InfoGAN share."""
INFOGAN_MNIST = replace(
    INFOGAN, data="mnist", image_size=28, epochs=70, max_steps=5000, evaluate_every=5, precision="auto", d_width=32
)

FASHION = ClassificationSettings(
    data="fashion-mnist", image_size=28, precision="auto", flip="alternating", translate=1, optimizer="adamw",
    weight_decay=0.02, label_smoothing=0.05,
)  # fmt: skip
"""Settings that the recipes of larger networks on Fashion-MNIST share; the augmentation is that of convnet-fashion."""
CIFAR = ClassificationSettings(
    data="cifar10", precision="auto", flip="random", translate=4, batch_size=128, optimizer="sgd", weight_decay=5e-4,
    schedule="linear", warmup=0.2,
)  # fmt: skip
"""Settings that the recipes on CIFAR-10 share, except for airbench."""

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="lenet-digits",
            model="lenet",
            result="99.72 +- 0.20 % (5 seeds)",
            settings=ClassificationSettings(
                data="digits", epochs=40, batch_size=64, lr=3e-3, translate=2, rotate=12, scale=0.1
            ),
        ),
        Recipe(
            name="lenet-fashion",
            model="lenet",
            result="91.19 +- 0.27 % (5 seeds)",
            settings=ClassificationSettings(data="fashion-mnist", epochs=15, batch_size=256, lr=4e-3, flip="random"),
        ),
        Recipe(
            name="convnet-digits",
            model="convnet",
            result="99.72 +- 0.20 % (5 seeds)",
            settings=ClassificationSettings(
                data="digits", epochs=30, batch_size=64, lr=4e-3, translate=2, rotate=12, scale=0.1
            ),
        ),
        Recipe(
            name="convnet-fashion",
            model="convnet",
            result="93.27 +- 0.11 % (3 seeds)",
            settings=ClassificationSettings(
                data="fashion-mnist",
                epochs=12,
                batch_size=128,
                lr=4e-3,
                optimizer="adamw",
                weight_decay=0.02,
                label_smoothing=0.05,
                image_size=28,
                flip="alternating",
                translate=1,
            ),
        ),
        Recipe(
            name="mlp-digits",
            model="mlp",
            result="99.00 +- 0.15 % (5 seeds)",
            settings=ClassificationSettings(data="digits", epochs=60, batch_size=64, lr=2e-3, translate=1),
        ),
        Recipe(
            name="airbench-cifar10",
            model="airbench",
            result="91.48 % (1 seed)",
            settings=ClassificationSettings(
                data="cifar10",
                epochs=21,
                evaluate_every=21,
                precision="auto",
                batch_size=512,
                lr=0.12,
                optimizer="muon",
                momentum=0.85,
                linear_lr_mult=6.25,
                bias_lr_mult=400,
                weight_decay=1.33e-3,
                bias_weight_decay=2e-5,
                schedule="linear",
                warmup=0.0,
                label_smoothing=0.2,
                flip="alternating",
                translate=4,
                cutout=12,
                whiten=5000,
                tta_views=6,
            ),
        ),
        Recipe(
            name="alexnet-fashion",
            model="alexnet_cifar",
            result="92.91 % (1 seed)",
            settings=replace(FASHION, epochs=12),
        ),
        Recipe(
            name="googlenet-fashion",
            model="googlenet_cifar",
            result="93.52 % (1 seed)",
            settings=replace(FASHION, epochs=5, lr=2e-3),
        ),
        Recipe(
            name="vgg11-cifar10",
            model="vgg11_cifar",
            result="not measured",
            settings=replace(CIFAR, epochs=10, optimizer="adamw", lr=5e-4, weight_decay=0.02),
        ),
        Recipe(
            name="vgg11-bn-cifar10",
            model="vgg11_bn_cifar",
            result="not measured",
            settings=replace(CIFAR, epochs=10, lr=0.1),
        ),
        Recipe(
            name="vgg16-cifar10",
            model="vgg16_cifar",
            result="not measured",
            settings=replace(CIFAR, epochs=10, optimizer="adamw", lr=5e-4, weight_decay=0.02),
        ),
        Recipe(
            name="vgg16-bn-cifar10",
            model="vgg16_bn_cifar",
            result="not measured",
            settings=replace(CIFAR, epochs=10, lr=0.1),
        ),
        Recipe(
            name="resnet20-cifar10",
            model="resnet20",
            result="not measured",
            settings=replace(CIFAR, epochs=60, evaluate_every=5, lr=0.1),
        ),
        Recipe(
            name="plain20-cifar10",
            model="plain20",
            result="not measured",
            settings=replace(CIFAR, epochs=60, evaluate_every=5, lr=0.1),
        ),
        Recipe(
            name="resnet56-cifar10",
            model="resnet56",
            result="not measured",
            settings=replace(CIFAR, epochs=60, evaluate_every=5, lr=0.1),
        ),
        Recipe(
            name="plain56-cifar10",
            model="plain56",
            result="not measured",
            settings=replace(CIFAR, epochs=60, evaluate_every=5, lr=0.1),
        ),
        Recipe(
            name="mobilenet-cifar10",
            model="mobilenet_cifar",
            result="not measured",
            settings=replace(CIFAR, epochs=15, lr=0.1),
        ),
        Recipe(
            name="lenet-mnist",
            model="lenet",
            result="99.00 % of 1,000 images (1 seed)",
            settings=ClassificationSettings(
                data="mnist", epochs=20, batch_size=64, lr=2e-3, translate=2, rotate=10, scale=0.1
            ),
        ),
        Recipe(
            name="openpose-tiny-lsp",
            model="openpose-tiny",
            result="AP 0.303 of 998 scenes, PCK@0.2 0.493, 1 seed, 81 min",
            settings=BottomUpSettings(
                data="lspet",
                image_size=256,
                low_res_fraction=0.625,
                low_res_scale=0.719,
                lr_restart=0.5,
                epochs=40,
                batch_size=16,
                evaluate_every=3,
                precision="auto",
                lr=3e-3,
                optimizer="muon",
                filter_lr_mult=4.0,
                weight_decay=0.02,
                schedule="cosine",
                warmup=0.05,
                foreground_weight=4.0,
                align="reference",
                min_scale=0.4,
            ),
        ),
        Recipe(
            name="openpose-small-photos",
            model="openpose-small",
            result="AP 0.171, PCK@0.2 0.460 on 80 photographs of COCO (1 seed)",
            settings=BottomUpSettings(
                data="photos",
                image_size=256,
                low_res_fraction=0.6,
                low_res_scale=0.75,
                lr_restart=0.5,
                epochs=24,
                batch_size=16,
                evaluate_every=2,
                max_eval_samples=300,
                precision="auto",
                lr=3e-3,
                optimizer="muon",
                filter_lr_mult=4.0,
                weight_decay=0.02,
                schedule="cosine",
                warmup=0.05,
                foreground_weight=2.0,
                scenes="mosaics",
                min_scale=0.4,
                max_scale=1.3,
                rotate=20.0,
            ),
        ),
        Recipe(
            name="openpose-mobilenet-coco",
            model="openpose-mobilenet",
            result="not measured",
            settings=BottomUpSettings(
                data="coco",
                image_size=368,
                epochs=280,
                batch_size=32,
                evaluate_every=5,
                lr=4e-5,
                optimizer="adam",
                weight_decay=5e-4,
                schedule="multistep",
                milestones="100,200,260",
                gamma=0.333,
                warmup=0.0,
                ema_decay=0.0,
                skeleton="openpose-18",
                scenes="photographs",
                align="reference",
                min_scale=0.3,
                max_scale=0.66,
            ),
        ),
        Recipe(
            name="pose-tiny-lsp",
            model="pose-tiny",
            result="PCK@0.2 0.593 of 998 people, 1 seed, 118 min",
            settings=TopDownSettings(
                data="lspet",
                image_size=192,
                low_res_fraction=0.909,
                epochs=110,
                batch_size=32,
                evaluate_every=5,
                precision="auto",
                lr=3e-3,
                weight_decay=0.05,
                warmup=0.05,
                rotate=60,
                scale=0.35,
                translate_fraction=0.05,
            ),
        ),
        Recipe(
            name="pose-small-photos",
            model="pose-small",
            result="AP 0.269, PCK@0.2 0.640 on 80 photographs of COCO, labeled boxes (1 seed)",
            settings=TopDownSettings(
                data="photos",
                skeleton="coco-17",
                image_size=256,
                image_width=192,
                head="simcc",
                sigma=3.0,
                epochs=30,
                batch_size=32,
                evaluate_every=5,
                precision="auto",
                lr=3e-3,
                optimizer="muon",
                filter_lr_mult=4.0,
                weight_decay=0.05,
                warmup=0.05,
                rotate=40,
                scale=0.35,
                translate_fraction=0.08,
                half_body=0.2,
            ),
        ),
        Recipe(
            name="simple-baseline-resnet50-coco",
            model="simple-baseline-resnet50",
            result="not measured",
            settings=TopDownSettings(
                data="coco",
                image_size=256,
                image_width=192,
                epochs=140,
                batch_size=32,
                evaluate_every=5,
                lr=1e-3,
                optimizer="adam",
                weight_decay=0.0,
                schedule="multistep",
                milestones="90,120",
                gamma=0.1,
                warmup=0.0,
                ema_decay=0.0,
                head="mse",
            ),
        ),
        Recipe(
            name="gan-digits",
            model="gan",
            result="Frechet distance 18.8 +- 2.8 at N = 359, 10 of 10 classes, KL 0.009 +- 0.002 (5 seeds)",
            settings=GANSettings(image_size=16, d_width=32, epochs=400, batch_size=64, evaluate_every=20, lr=4e-4),
        ),
        Recipe(
            name="dcgan-fashion",
            model="dcgan",
            result="Frechet distance 0.63 +- 0.07 at N = 10,000 (2 seeds)",
            settings=GANSettings(
                data="fashion-mnist",
                image_size=32,
                latent_dim=54,
                conditional=True,
                d_width=32,
                g_width=48,
                epochs=12,
                batch_size=64,
                evaluate_every=2,
                lr=1e-3,
                d_lr_mult=0.8,
                schedule="linear",
                instance_noise=0.3,
                precision="auto",
            ),
        ),
        Recipe(
            name="infogan-mnist",
            model="infogan",
            result="6.3 % classification error of Q on test digits (median of 3 seeds; 3.4 to 11.8 %)",
            settings=replace(INFOGAN_MNIST, continuous=2, code_std=0.5, diffaug_translation=3, info_warmup=0.3),
        ),
        Recipe(
            name="infogan-category",
            model="infogan",
            result="12.5 % classification error of Q on test digits (median of 3 seeds; 11.9 to 18.9 %)",
            settings=INFOGAN_MNIST,
        ),
        Recipe(
            name="gan-stuck",
            model="gan",
            result="fails on purpose: the losses stay at 0.293 (G) and 0.582 (D) (3 seeds)",
            settings=GANSettings(
                image_size=16,
                epochs=10,
                batch_size=64,
                bn_on_logit=True,
                batch_norm=True,
                optimizer="sgd",
                loss="sigmoid-squares",
                real_label=1.0,
            ),
        ),
        Recipe(
            name="dcgan-digits",
            model="dcgan",
            result="Frechet distance 43.9 +- 1.9 at N = 359, 10 of 10 classes, KL 0.027 +- 0.002 (3 seeds)",
            settings=GANSettings(image_size=16, epochs=100, batch_size=64, evaluate_every=10),
        ),
        Recipe(
            name="infogan-digits",
            model="infogan",
            result="25 % classification error of Q on test digits (median of 3 seeds; 16 to 26 %)",
            settings=replace(
                INFOGAN, image_size=16, epochs=200, evaluate_every=10, batch_size=64, continuous=2, d_width=16
            ),
        ),
        Recipe(
            name="gan-fashion",
            model="gan",
            result="Frechet distance 23 at N = 10,000, 10 of 10 classes, recall 0.56 (1 seed)",
            settings=GANSettings(data="fashion-mnist", image_size=28, epochs=50, precision="auto"),
        ),
    )
}

DEFAULTS = {
    "airbench": "airbench-cifar10",
    "alexnet_cifar": "alexnet-fashion",
    "googlenet_cifar": "googlenet-fashion",
    "vgg11_cifar": "vgg11-cifar10",
    "vgg11_bn_cifar": "vgg11-bn-cifar10",
    "vgg16_cifar": "vgg16-cifar10",
    "vgg16_bn_cifar": "vgg16-bn-cifar10",
    "resnet20": "resnet20-cifar10",
    "plain20": "plain20-cifar10",
    "resnet56": "resnet56-cifar10",
    "plain56": "plain56-cifar10",
    "mobilenet_cifar": "mobilenet-cifar10",
    "lenet": "lenet-digits",
    "convnet": "convnet-digits",
    "mlp": "mlp-digits",
    "gan": "gan-digits",
    "dcgan": "dcgan-digits",
    "infogan": "infogan-digits",
    "openpose-small": "openpose-small-photos",
    "openpose-tiny": "openpose-tiny-lsp",
    "openpose-mobilenet": "openpose-mobilenet-coco",
    "pose-small": "pose-small-photos",
    "pose-tiny": "pose-tiny-lsp",
    "simple-baseline-resnet50": "simple-baseline-resnet50-coco",
}
"""Name of each network's default recipe."""
