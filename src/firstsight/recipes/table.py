"""The recipes. Every result is of the last epoch, on the test set, over the seeds 0, 1, 2, ...

Settings were chosen on a tenth of the training images (``--holdout 0.1``), never on the test set; those of
``airbench-cifar10`` follow Jordan's, with the optimizer's pace and the whitening chosen on short runs within the
training images. The results of classifiers are printed by ``python benchmarks/accuracy.py RECIPE --seeds N``, those of
generators by ``python benchmarks/gan.py RECIPE --seeds N``.
"""

from dataclasses import replace

from firstsight.recipes.recipe import ClassifySettings, GanSettings, PoseSettings, Recipe, TopDownSettings

INFOGAN = GanSettings(latent=62, categories="10", lr=1e-3, d_lr=0.2)
"""What all of its recipes have."""
INFOGAN_MNIST = replace(
    INFOGAN, data="mnist", image_size=28, epochs=70, updates=5000, evaluate_every=5, precision="auto", width=32
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="lenet-digits",
            model="lenet",
            result="99.72 +- 0.20 % (5 seeds)",
            settings=ClassifySettings(data="digits", epochs=40, batch_size=64, lr=3e-3, shift=2, rotate=12, zoom=0.1),
        ),
        Recipe(
            name="lenet-fashion",
            model="lenet",
            result="91.19 +- 0.27 % (5 seeds)",
            settings=ClassifySettings(data="fashion-mnist", epochs=15, batch_size=256, lr=4e-3, flip="random"),
        ),
        Recipe(
            name="convnet-digits",
            model="convnet",
            result="99.72 +- 0.20 % (5 seeds)",
            settings=ClassifySettings(data="digits", epochs=30, batch_size=64, lr=4e-3, shift=2, rotate=12, zoom=0.1),
        ),
        Recipe(
            name="convnet-fashion",
            model="convnet",
            result="93.27 +- 0.11 % (3 seeds)",
            settings=ClassifySettings(
                data="fashion-mnist",
                epochs=12,
                batch_size=128,
                lr=4e-3,
                optimizer="adamw",
                weight_decay=0.02,
                label_smoothing=0.05,
                image_size=28,
                flip="alternating",
                shift=1,
            ),
        ),
        Recipe(
            name="two_layer-digits",
            model="two_layer",
            result="99.00 +- 0.15 % (5 seeds)",
            settings=ClassifySettings(data="digits", epochs=60, batch_size=64, lr=2e-3, shift=1),
        ),
        Recipe(
            name="airbench-cifar10",
            model="airbench",
            result="91.48 % (1 seed)",
            settings=ClassifySettings(
                data="cifar10",
                epochs=21,
                evaluate_every=21,
                precision="auto",
                batch_size=512,
                lr=0.12,
                optimizer="muon",
                momentum=0.85,
                linear_lr=6.25,
                bias_lr=400,
                weight_decay=1.33e-3,
                bias_decay=2e-5,
                schedule="linear",
                warmup=0.0,
                label_smoothing=0.2,
                flip="alternating",
                shift=4,
                cutout=12,
                whiten=5000,
                views=6,
            ),
        ),
        Recipe(
            name="lenet-mnist",
            model="lenet",
            result="not measured",
            settings=ClassifySettings(data="mnist", epochs=20, batch_size=64, lr=2e-3, shift=2, rotate=10, zoom=0.1),
        ),
        Recipe(
            name="openpose-tiny-lsp",
            model="openpose-tiny",
            result="AP 0.303 of 998 scenes, PCK@0.2 0.493, 1 seed, 81 min",
            settings=PoseSettings(
                data="lspet",
                image_size=256,
                early=0.625,
                early_scale=0.719,
                restart=0.5,
                epochs=40,
                batch_size=16,
                evaluate_every=3,
                precision="auto",
                lr=3e-3,
                optimizer="muon",
                filter_lr=4.0,
                weight_decay=0.02,
                schedule="cosine",
                warmup=0.05,
                foreground=4.0,
                smallest=0.4,
            ),
        ),
        Recipe(
            name="openpose-mobilenet-coco",
            model="openpose-mobilenet",
            result="not measured",
            settings=PoseSettings(
                data="coco",
                image_size=368,
                epochs=280,
                batch_size=32,
                evaluate_every=5,
                lr=4e-5,
                optimizer="adam",
                weight_decay=5e-4,
                schedule="steps",
                warmup=0.0,
                ema=0.0,
                skeleton="openpose-18",
                scenes="photographs",
                smallest=0.3,
                largest=0.66,
            ),
        ),
        Recipe(
            name="pose-tiny-lsp",
            model="pose-tiny",
            result="PCK@0.2 0.593 of 998 people, 1 seed, 118 min",
            settings=TopDownSettings(
                data="lspet",
                image_size=192,
                early=0.909,
                epochs=110,
                batch_size=32,
                evaluate_every=5,
                precision="auto",
                lr=3e-3,
                weight_decay=0.05,
                warmup=0.05,
                rotate=60,
                zoom=0.35,
                move=0.05,
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
                schedule="tenths",
                warmup=0.0,
                ema=0.0,
                head="squares",
            ),
        ),
        Recipe(
            name="gan-digits",
            model="gan",
            result="Frechet distance 18.8 +- 2.8 at N = 359, 10 of 10 classes, KL 0.009 +- 0.002 (5 seeds)",
            settings=GanSettings(image_size=16, width=32, epochs=400, batch_size=64, evaluate_every=20, lr=4e-4),
        ),
        Recipe(
            name="dcgan-fashion",
            model="dcgan",
            result="Frechet distance 0.63 +- 0.07 at N = 10,000 (2 seeds)",
            settings=GanSettings(
                data="fashion-mnist",
                image_size=32,
                latent=54,
                conditional=True,
                width=32,
                g_width=48,
                epochs=12,
                batch_size=64,
                evaluate_every=2,
                lr=1e-3,
                d_lr=0.8,
                schedule="linear",
                instance_noise=0.3,
                precision="auto",
            ),
        ),
        Recipe(
            name="infogan-mnist",
            model="infogan",
            result="Q errs on 6.3 % of real digits (median of 3 seeds; 3.4 to 11.8 %)",
            settings=replace(INFOGAN_MNIST, continuous=2, spread=0.5, translation=3, information_warmup=0.3),
        ),
        Recipe(
            name="infogan-category",
            model="infogan",
            result="Q errs on 12.5 % of real digits (median of 3 seeds; 11.9 to 18.9 %)",
            settings=INFOGAN_MNIST,
        ),
        Recipe(
            name="gan-stuck",
            model="gan",
            result="learns nothing, to be seen failing: losses of 0.293 and 0.582 (3 seeds)",
            settings=GanSettings(
                image_size=16,
                epochs=10,
                batch_size=64,
                stuck=True,
                batch_norm=True,
                optimizer="sgd",
                loss="sigmoid-squares",
                real_target=1.0,
            ),
        ),
        Recipe(
            name="dcgan-digits",
            model="dcgan",
            result="Frechet distance 43.9 +- 1.9 at N = 359, 10 of 10 classes, KL 0.027 +- 0.002 (3 seeds)",
            settings=GanSettings(image_size=16, epochs=100, batch_size=64, evaluate_every=10),
        ),
        Recipe(
            name="infogan-digits",
            model="infogan",
            result="Q errs on 25 % of real digits (median of 3 seeds; 16 to 26 %)",
            settings=replace(
                INFOGAN, image_size=16, epochs=200, evaluate_every=10, batch_size=64, continuous=2, width=16
            ),
        ),
        Recipe(
            name="gan-fashion",
            model="gan",
            result="Frechet distance 23 at N = 10,000, 10 of 10 classes, recall 0.56 (1 seed)",
            settings=GanSettings(data="fashion-mnist", image_size=28, epochs=50, precision="auto"),
        ),
    )
}

DEFAULTS = {
    "airbench": "airbench-cifar10",
    "lenet": "lenet-digits",
    "convnet": "convnet-digits",
    "two_layer": "two_layer-digits",
    "gan": "gan-digits",
    "dcgan": "dcgan-digits",
    "infogan": "infogan-digits",
    "openpose-tiny": "openpose-tiny-lsp",
    "openpose-mobilenet": "openpose-mobilenet-coco",
    "pose-tiny": "pose-tiny-lsp",
    "simple-baseline-resnet50": "simple-baseline-resnet50-coco",
}
"""The recipe that a model's bare name stands for."""
