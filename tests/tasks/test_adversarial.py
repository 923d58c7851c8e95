"""The GAN task against a few lines of plain torch, its options, and trainings that fail."""

import copy
import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight import add_nearest_neighbors, evaluate, generate, load, train
from firstsight.data.images.image_set import ImageSet
from firstsight.data.images.loading import load_data
from firstsight.engine.loop import seed_everything
from firstsight.errors import RunError, UsageError
from firstsight.metrics.frechet import frechet_distance
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.gan.diagnostics import diagnose
from firstsight.tasks.gan.evaluator import distances
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.gan.train import GANTask


@functools.cache
def digits() -> tuple[ImageSet, ImageSet]:
    """Return 605 training images (ten batches of 60 or 61) and 60 test images."""
    sets = ((load_data("digits"), 605), (load_data("digits", "test"), 60))
    train_set, test_set = (replace(images, images=images.images[:n], labels=images.labels[:n]) for images, n in sets)
    return train_set, test_set


def make_task(recipe: str = "gan-digits", *, use_all: bool = False, **changes: Any) -> GANTask:
    """Return the task of a recipe on small images; on all digits if ``use_all``."""
    base = find_recipe(recipe)
    settings = replace(base.settings, **({"precision": "float64", "epochs": 2, "image_size": 8} | changes))
    run = TrainingRun(base, settings, RunOptions(device="cpu"), NullCallback())
    sets = (load_data("digits"), load_data("digits", "test")) if use_all else digits()
    task = run.make_task(*sets)
    assert isinstance(task, GANTask)
    return task


def train_steps(task: GANTask, count: int) -> list[dict[str, float]]:
    """Return the metrics of the first steps, seeded by their number."""
    rows = []
    for index in range(count):
        seed_everything(index)
        rows.append({k: float(v) for k, v in task.train_step(task.batches.get(0, index)).items()})
    return rows


class PlainGan:
    """Generator, discriminator and average, trained by a loop that is written out."""

    def __init__(self, task: GANTask, lr: float, d_lr: float) -> None:
        self.g, self.d = copy.deepcopy(task.models["generator"]), copy.deepcopy(task.models["discriminator"])
        self.average = copy.deepcopy(self.g)
        self.g_opt = torch.optim.Adam(self.g.parameters(), lr=lr, betas=(0.5, 0.999))
        self.d_opt = torch.optim.Adam(self.d.parameters(), lr=lr * d_lr, betas=(0.5, 0.999))

    def update(self, real: Tensor, fake: Tensor, *labels: Tensor) -> dict[str, float]:
        """One step of D, with the target 0.9 for real images, and one of G; returns the metrics."""
        d_real, d_fake = (torch.sigmoid(self.d(images, *labels)) for images in (real, fake.detach()))
        d_loss = F.binary_cross_entropy(d_real, torch.full_like(d_real, 0.9)) - (1 - d_fake).log().mean()
        self.d_opt.zero_grad()
        d_loss.backward()
        self.d_opt.step()
        g_loss = -torch.sigmoid(self.d(fake, *labels)).log().mean()
        self.g_opt.zero_grad()
        g_loss.backward()
        self.g_opt.step()
        metrics = {"d_real": d_real.mean(), "d_fake": d_fake.mean(), "d_loss": d_loss, "g_loss": g_loss}
        return {name: value.item() for name, value in metrics.items()}

    def update_average(self, step: int, ema: float) -> None:
        """Move the average of G's weights after a step, counted from 0."""
        decay = min(ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for own, other in zip(self.average.parameters(), self.g.parameters(), strict=True):
                own.copy_(decay * own + (1 - decay) * other)

    def assert_same_weights(self, task: GANTask) -> None:
        for name, net in (("generator", self.g), ("discriminator", self.d), ("average", self.average)):
            assert_same_weights(task.models[name], net)


def assert_same_weights(ours: nn.Module, plain: nn.Module) -> None:
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_training_is_that_of_plain_torch() -> None:
    """Six steps of both networks and of the average; one-sided label smoothing, two learning rates."""
    task = make_task(lr=2e-4, d_lr_mult=2.0, real_label=0.9, ema_decay=0.6)
    plain = PlainGan(task, 2e-4, 2.0)
    assert task.batches.samples == 605
    for index, metrics in enumerate(train_steps(task, 6)):
        batch = task.batches.get(0, index)
        seed_everything(index)
        z = torch.randn(len(batch.images), 100).double()
        expected = plain.update(batch.images, plain.g(z))
        plain.update_average(index, 0.6)
        assert metrics == pytest.approx(expected, rel=1e-8)
    plain.assert_same_weights(task)


def test_class_conditional_training_is_that_of_plain_torch() -> None:
    """G generates an image of each real one's class, and D gets the class of both."""
    task = make_task("dcgan-digits", conditional=True, d_width=4, latent_dim=6, lr=2e-4, ema_decay=0.6)
    plain = PlainGan(task, 2e-4, 1.0)
    for index, metrics in enumerate(train_steps(task, 4)):
        batch = task.batches.get(0, index)
        labels = batch.labels
        assert len(labels.unique()) > 1
        seed_everything(index)
        z = torch.cat([torch.randn(len(labels), 6).double(), F.one_hot(labels, 10).double()], 1)
        expected = plain.update(batch.images, plain.g(z), labels)
        plain.update_average(index, 0.6)
        assert metrics == pytest.approx(expected, rel=1e-8)
    plain.assert_same_weights(task)


@pytest.mark.parametrize(
    "change",
    [{"loss": "wasserstein"}, {"r1_gamma": 1.0}, {"batches": "mixed"}, {"n_critic": 2}, {"spectral_norm": True}],
)
def test_class_conditional_training_depends_on_the_labels_with_every_other_option(change: dict[str, Any]) -> None:
    """The losses differ if the labels do, and the filters of the classes learn."""
    settings = {"d_width": 4, "image_size": 16, "precision": "float32", "conditional": True} | change
    task, other = make_task("dcgan-digits", **settings), make_task("dcgan-digits", **settings)
    other.batches.labels = (other.batches.labels + 1) % 10
    before = {name: p.clone() for name, p in task.models["discriminator"].named_parameters() if "own" in name}
    assert before and train_steps(task, 2) != train_steps(other, 2)
    after = dict(task.models["discriminator"].named_parameters())
    assert all(not torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("optimizer", ["sgd", "sgd-in-d"])
def test_sgd_moves_weights_by_the_learning_rate_times_the_gradient(optimizer: str) -> None:
    """The first step of Adam does not: it moves every weight alike, by the sign of its gradient."""
    task = make_task(optimizer=optimizer, lr=0.3, d_lr_mult=0.5)
    g, d = (copy.deepcopy(task.models[name]) for name in ("generator", "discriminator"))
    batch = task.batches.get(0, 0)
    seed_everything(0)
    z = torch.randn(len(batch.images), 100).double()
    fake = g(z)
    real_loss = F.binary_cross_entropy_with_logits(d(batch.images), torch.full((len(z),), 0.9, dtype=torch.float64))
    gradients = torch.autograd.grad(real_loss + F.softplus(d(fake.detach())).mean(), list(d.parameters()))
    train_steps(task, 1)
    with torch.no_grad():
        for parameter, gradient in zip(d.parameters(), gradients, strict=True):
            parameter.sub_(0.15 * gradient)
    assert_same_weights(task.models["discriminator"], d)
    gradients = torch.autograd.grad(F.softplus(-d(fake)).mean(), list(g.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(g.parameters(), gradients, strict=True):
            parameter.sub_(0.3 * gradient)
    pairs = zip(g.parameters(), task.models["generator"].parameters(), strict=True)
    assert all(torch.allclose(a, b) for a, b in pairs) == (optimizer == "sgd")


def test_losses_with_batch_norm_on_the_logit_stay_at_their_theoretical_value() -> None:
    """E[sigmoid(x)^2] of a standard normal x: 0.2934 for G's squared error, twice that for D's, step after step."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    density = torch.exp(-x.square() / 2)
    expected = float((torch.sigmoid(x).square() * density).sum() / density.sum())
    assert expected == pytest.approx(0.2934, abs=5e-5)
    task = make_task("gan-stuck", image_size=16, precision="float32", epochs=4)
    rows = []
    for index in range(40):
        seed_everything(index)
        rows.append(task.train_step(task.batches.get(*divmod(index, task.batches.steps))))
    for name, value in (("g_loss", expected), ("d_loss", 2 * expected)):
        assert float(torch.stack([row[name] for row in rows]).mean()) == pytest.approx(value, abs=0.005)


def test_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"d_loss (nan|inf).* at epoch 1, batch \d+ of 23 \(samples .*smaller `lr`"):
        train("gan-digits", out=tmp_path / "r", lr=900.0, optimizer="sgd", loss="least-squares", epochs=1)
    assert not (tmp_path / "r" / "model.safetensors").exists()


def test_fewer_images_than_a_batch_make_one_batch_and_too_few_are_refused(
    tmp_path: Path, make_images: Callable[..., Path]
) -> None:
    images = make_images({"dark": 30, "light": 30}, size=8, mode="L")
    train("gan", out=tmp_path / "r", data=str(images), epochs=1, batch_size=128, image_size=8, d_width=8)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "48 training images are fewer than <code>--batch-size 128</code>: all are in one batch" in page
    few = make_images({"dark": 2, "light": 2}, size=20, where="few")
    with pytest.raises(UsageError, match="are too few; every batch needs at least 8"):
        train("gan", out=tmp_path / "s", data=str(few), epochs=1, image_size=8, packing=4)


@pytest.mark.parametrize("code_std", [1.0, 0.4, "0.3,0.6", "learned"])
def test_infogan_training_is_that_of_plain_torch(code_std: float | str) -> None:
    """The information loss is part of both losses; Q and the shared layers learn from D's, G from its own."""
    task = make_task(
        "infogan-digits", d_width=4, lr=1e-3, d_lr_mult=0.2, real_label=1.0, info_weight=0.7, code_std=code_std
    )
    plain = PlainGan(task, 1e-3, 0.2)

    def info_loss(codes: Any, z: Tensor) -> Tensor:
        values, log_variances = z[:, 72:], codes.log_variances
        if code_std != "learned":
            stds = torch.tensor([0.3, 0.6] if code_std == "0.3,0.6" else [code_std] * 2, dtype=torch.float64)
            log_variances = stds.square().log().expand_as(log_variances)
        normal = 0.5 * (log_variances + (values - codes.means) ** 2 / log_variances.exp())
        return F.cross_entropy(codes.categories[0], z[:, 62:72].argmax(1)) + normal.sum(1).mean()

    for index, metrics in enumerate(train_steps(task, 4)):
        batch = task.batches.get(0, index)
        seed_everything(index)
        z = task.latent.draw(len(batch.images), dtype=torch.float64)
        fake = plain.g(z)
        (real_logits, _), (fake_logits, codes) = plain.d(batch.images), plain.d(fake.detach())
        adversarial = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
        plain.d_opt.zero_grad()
        (adversarial + 0.7 * info_loss(codes, z)).backward()
        plain.d_opt.step()
        assert metrics["d_loss"] == pytest.approx(adversarial.item(), rel=1e-8)
        assert metrics["information"] == pytest.approx(info_loss(codes, z).item(), rel=1e-8)
        fake_logits, codes = plain.d(fake)
        plain.g_opt.zero_grad()
        (F.softplus(-fake_logits).mean() + 0.7 * info_loss(codes, z)).backward()
        plain.g_opt.step()
    for name, net in (("generator", plain.g), ("discriminator", plain.d)):
        assert_same_weights(task.models[name], net)


@pytest.mark.parametrize("loss", ["saturating", "least-squares", "hinge", "wasserstein"])
@pytest.mark.parametrize("model", ["gan", "dcgan", "infogan"])
def test_every_loss_trains_every_network(model: str, loss: str) -> None:
    narrow = {} if model == "gan" else {"d_width": 4}
    task = make_task(f"{model}-digits", loss=loss, precision="float32", **narrow)
    before = {name: copy.deepcopy(net) for name, net in task.models.items()}
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in train_steps(task, 2))
    for name in ("generator", "discriminator", "average"):
        pairs = zip(task.models[name].parameters(), before[name].parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs), name


@pytest.mark.parametrize(("epoch", "index"), [(0, 0), (0, 7), (1, 0), (1, 5)])
def test_weight_of_the_information_loss_grows_from_zero_during_warmup(epoch: int, index: int) -> None:
    """A step is that of a constant weight: 0 at first, all of it from the middle of the training on."""
    task = make_task("infogan-digits", d_width=4, info_weight=0.8, info_warmup=0.5)
    batch = task.batches.get(epoch, index)
    weight = 0.8 * min(1.0, 2 * batch.progress)
    assert (weight == 0.0, weight == 0.8) == ((epoch, index) == (0, 0), epoch == 1)
    constant = make_task("infogan-digits", d_width=4, info_weight=weight)
    for each in (task, constant):
        seed_everything(3)
        each.train_step(batch)
    for name, net in constant.models.items():
        assert_same_weights(task.models[name], net)


SMALL = {"d_width": 4, "image_size": 16, "precision": "float32"}


@functools.cache
def default_run() -> tuple[list[dict[str, float]], Tensor]:
    """Return the metrics of three steps with the recipe's options, and a weight of the average."""
    task = make_task("dcgan-digits", **SMALL)
    return train_steps(task, 3), next(task.models["average"].parameters())


@pytest.mark.parametrize(
    "option",
    [
        {"noise": "uniform"},
        {"output": "sigmoid"},
        {"batches": "mixed"},
        {"activation": "relu"},
        {"resampling": "plain"},
        {"label_flip_prob": 0.2},
        {"spectral_norm": True},
        {"packing": 3},
        {"ema_decay": 0.0},
        {"diffaug_translation": 2},
        {"real_label": 1.0},
        {"precision": "bfloat16"},
        {"optimizer": "sgd"},
        {"optimizer": "sgd-in-d"},
        {"r1_gamma": 1.0},
        {"instance_noise": 0.3},
        {"g_width": 8},
        {"conditional": True},
    ],
)
def test_every_option_changes_the_training(option: dict[str, Any]) -> None:
    """Three steps have other losses than those of the recipe; of the average alone, other weights."""
    task = make_task("dcgan-digits", **(SMALL | option))
    losses, weight = default_run()
    assert (train_steps(task, 3) != losses) == ("ema_decay" not in option)
    assert not torch.equal(next(task.models["average"].parameters()), weight)
    if option.get("output") == "sigmoid":
        batch = task.batches.get(0, 0).images
        assert batch.min() >= 0 and batch.max() <= 1


def test_generator_learns_at_every_third_step_with_three_critic_steps() -> None:
    task = make_task(n_critic=3)
    generator = task.models["generator"]
    changed = []
    for index in range(6):
        before = [p.clone() for p in generator.parameters()]
        task.train_step(task.batches.get(0, index))
        changed.append(any(not torch.equal(a, b) for a, b in zip(generator.parameters(), before, strict=True)))
    assert changed == [False, False, True, False, False, True]


def test_average_without_ema_is_the_generator_in_evaluation_mode() -> None:
    task = make_task("dcgan-digits", d_width=4, ema_decay=0.0)
    train_steps(task, 2)
    own, other = task.models["average"].state_dict(), task.models["generator"].state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert not task.models["average"].training and task.models["generator"].training


def test_discriminator_gets_no_gradient_in_the_step_of_the_generator() -> None:
    task = make_task()
    batch = task.batches.get(0, 0)
    fake = task.models["generator"](task.latent.draw(8, dtype=torch.float64))
    task.step.train_generator(batch, fake, torch.empty(8, 100))
    assert all(p.grad is None and p.requires_grad for p in task.models["discriminator"].parameters())


class CopyOfTestSet(nn.Module):
    """A generator that returns the test images, in order, again and again."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images, self.next = images, 0

    def forward(self, z: Tensor) -> Tensor:
        rows = torch.arange(self.next, self.next + len(z)) % len(self.images)
        self.next += len(z)
        return self.images[rows]


def test_generator_that_copies_the_test_set_has_a_frechet_distance_of_zero() -> None:
    """An untrained one is far above the floor, the distance between training and test images."""
    task = make_task("dcgan-digits", use_all=True, d_width=4, precision="float32", image_size=32)
    untrained = task.evaluate()
    assert set(untrained) == {"frechet", "frechet_sd", "frechet_floor", "spread", "modes", "kl"}
    assert untrained["frechet"] > 10 * untrained["frechet_floor"] > 0
    assert (task.evaluator.n, task.evaluator.draws) == (359, 3)
    task.models["average"] = CopyOfTestSet(task.batches.preprocess.normalize(task.test.images))
    copied = task.evaluate()
    assert copied["frechet"] == pytest.approx(0, abs=1e-3) and copied["spread"] == pytest.approx(1, rel=5e-3)
    assert copied["frechet_sd"] == pytest.approx(0, abs=1e-3)
    assert copied["modes"] == 10 and copied["kl"] < 0.01


ROW = {
    "train/d_real": 0.6,
    "train/d_fake": 0.4,
    "train/g_loss": 0.8,
    "train/d_loss": 1.2,
    "test/frechet": 90.0,
    "test/frechet_floor": 3.0,
    "test/modes": 10.0,
    "test/spread": 0.9,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"train/d_real": 0.97, "train/d_fake": 0.03}, "D wins"),
        ({"test/modes": 4.0}, "modes are missing"),
        ({"test/spread": 0.1}, "all alike"),
    ],
)
def test_failure_modes_are_diagnosed_from_the_metrics(change: dict[str, float], words: str) -> None:
    history = [ROW | {"train/g_loss": 0.8 + 0.05 * (i % 2)} | change for i in range(12)]
    messages = diagnose(history, classes=10)
    if words == "D wins":
        assert diagnose(history, classes=10, targets=None) == []  # where logits have no scale
    assert len(messages) == (1 if words else 0) and words in "".join(messages)
    assert diagnose(history[:9], classes=10) == []
    early = diagnose(history, classes=10, epochs=40)  # many trainings begin with few classes
    assert early == (messages if words in ("", "D wins") else [])
    assert diagnose(history, classes=10, epochs=36) == messages


def test_frechet_distance_is_the_mean_over_draws() -> None:
    random = torch.Generator().manual_seed(0)
    real, one, two = (torch.randn(50, 3, generator=random) * scale for scale in (1.0, 2.0, 3.0))
    metrics = distances(real, torch.cat([one, two]))
    expected = [frechet_distance(real, one), frechet_distance(real, two)]
    assert metrics["frechet"] == pytest.approx(sum(expected) / 2)
    assert metrics["frechet_sd"] == pytest.approx(abs(expected[1] - expected[0]) / 2**0.5)
    assert distances(real, one) == {"frechet": expected[0]}


def test_winning_discriminator_is_diagnosed_relative_to_its_targets() -> None:
    """D reaches 0.81 and 0.09 at best for a target of 0.9 and a tenth of the labels flipped."""
    history = [ROW | {"train/d_real": 0.80, "train/d_fake": 0.10, "train/g_loss": 3 + 0.2 * (i % 2)} for i in range(12)]
    assert diagnose(history, classes=10) == [] == diagnose(history, classes=10, targets=(0.9, 0.0))
    assert "D wins" in diagnose(history, classes=10, targets=(0.81, 0.09))[0]
    assert diagnose(history, classes=10, targets=(0.45, 0.45)) == []


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("gan-stuck", {"d_width": 32}, ["the losses are constant"]),
        (
            "gan-digits",
            {"lr": 2e-6, "d_lr_mult": 500.0, "ema_decay": 0.0},
            ["D wins", "modes are missing", "all alike"],
        ),
    ],
)
def test_failing_training_warns_during_the_run_and_in_its_report(
    recipe: str, changes: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    class Listener(NullCallback):
        warnings = ""

        def warn(self, line: str) -> None:
            self.warnings += line

    listener = Listener()
    small = {"epochs": 11, "d_width": 8, "image_size": 8, "evaluate_every": 1}
    train(recipe, out=tmp_path / "r", callback=listener, **(small | changes))
    page = (tmp_path / "r" / "report.html").read_text()
    assert all(word in listener.warnings and word in page for word in words)


def test_packs_never_mix_real_and_generated_images() -> None:
    """Also in a mixed batch, and of an odd number of images: those that fill no pack are left out on both sides."""
    task = make_task("dcgan-digits", batches="mixed", packing=2, d_width=4, precision="float32")
    inputs: list[Tensor] = []
    task.models["discriminator"].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    assert {len(task.batches.ids(0, i)) % 2 for i in range(task.batches.steps)} == {0, 1}
    for index in range(task.batches.steps):
        batch = task.batches.get(0, index)
        task.train_step(batch)
        packs, count = inputs[-2], len(batch.images) // 2  # the last are those of the generator's own step
        assert packs.shape[:2] == (2 * count, 2)
        torch.testing.assert_close(packs[:count].flatten(0, 1)[:, None], batch.images[: 2 * count])


def test_discriminator_with_a_gradient_penalty_treats_every_image_independently() -> None:
    """Without batch norm in D, its logit for one image does not depend on the others."""
    for recipe, changes in itertools.product(
        ("dcgan-digits", "infogan-digits"), ({"loss": "wasserstein"}, {"r1_gamma": 1})
    ):
        task = make_task(recipe, **changes, d_width=4)
        net, images = task.models["discriminator"], task.batches.get(0, 0).images
        if recipe == "infogan-digits":  # Q keeps its own batch norm
            net = nn.Sequential(net.trunk, net.real, nn.Flatten(0))
        alone, joint_batch = net(images[:1]), net(images)
        torch.testing.assert_close(alone[0], joint_batch[0])


def test_maximum_number_of_steps_is_rounded_to_whole_epochs(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    images = make_images({"dark": 10, "light": 10}, size=8, mode="L")
    small = {"data": str(images), "epochs": 5, "image_size": 8, "d_width": 4, "batch_size": 8}  # two steps an epoch
    result = train("gan", out=tmp_path / "r", max_steps=5, **small)
    assert result.epochs == 2
    again = train("gan", out=tmp_path / "r", resume=True, epochs=5, max_steps=5)
    assert again.epochs == 2 and again.metrics == result.metrics
    assert train("gan", out=tmp_path / "s", max_steps=1, **small).epochs == 1


@pytest.mark.parametrize("flat", [True, False])
def test_gan_trains_on_images_in_one_class_folder_or_in_none(
    flat: bool, tmp_path: Path, make_images: Callable[..., Path]
) -> None:
    images = make_images({"all": 20}, size=20)
    images = images / "all" if flat else images
    train("dcgan", out=tmp_path / "r", data=str(images), epochs=1, image_size=8, d_width=4)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "no bundled classifier knows" in page and "holding out 20% of the images" in page
    result = evaluate(tmp_path / "r")
    assert result.n == 4 and "recall" not in result.metrics and result.metrics["frechet"] > 0
    assert any("coverage need more than 5 images" in note for note in result.notes)
    grid = add_nearest_neighbors(tmp_path / "r", generate(tmp_path / "r", 10), 30)
    assert grid.images.shape == (2 * 17 * 8, 3, 8, 8) and grid.rows[:2] == ("generated", "nearest 1")


def test_one_class_is_trained_as_without_classes(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    """--conditional then changes nothing, and an InfoGAN has codes all the same."""
    small = {"data": str(make_images({"all": 20}, size=20)), "epochs": 1, "image_size": 8, "d_width": 4}
    train("dcgan", out=tmp_path / "r", **small)
    train("dcgan", out=tmp_path / "c", conditional=True, **small)
    assert "one class, so <code>--conditional</code> has no effect" in (tmp_path / "c" / "report.html").read_text()
    one, two = (load(tmp_path / name) for name in "rc")
    z = one.draw(5)
    assert torch.equal(one(z), two(z))
    train("infogan", out=tmp_path / "i", continuous=0, **small)
    assert generate(tmp_path / "i", codes="c1=3").images.shape == (64, 3, 8, 8)


def test_infogan_with_continuous_codes_alone_is_trained_measured_and_used(tmp_path: Path) -> None:
    small = {"epochs": 1, "image_size": 8, "d_width": 4, "batch_size": 512}
    train("infogan", out=tmp_path / "r", categories="", continuous=2, **small)
    assert set(evaluate(tmp_path / "r").metrics) >= {"c1_slant", "c2_width"}
    grid = generate(tmp_path / "r", 16, codes="c1=-1..1")
    assert grid.images.shape == (16, 1, 8, 8) and grid.heads[0] == "c1 = -1.00"
    assert "Continuous code c2" in (tmp_path / "r" / "report.html").read_text()


def test_constant_losses_are_diagnosed_unless_the_images_are_good() -> None:
    constant = [ROW] * 12
    assert "losses are constant" in diagnose(constant, classes=10)[0]
    (only,) = diagnose([ROW | {"test/spread": 0.1, "test/modes": 1.0}] * 12, classes=10)  # these follow from it
    assert "losses are constant" in only
    assert diagnose([ROW | {"test/frechet": 5.0}] * 12, classes=10) == []
    fallen = [ROW | {"test/frechet": 4 * ROW["test/frechet"]}, *constant]
    assert diagnose(fallen, classes=10) == []  # G and D are in balance, and the images have become better


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("dcgan-digits", {"image_size": 30}, ["a multiple of 4 from 8 to 128; got 30", "`image_size`"]),
        ("infogan-digits", {"image_size": 132}, ["a multiple of 4", "got 132"]),
        ("infogan-digits", {"spectral_norm": True}, ["infogan does not support `spectral_norm`", "gan and dcgan"]),
        ("infogan-digits", {"activation": "relu"}, ["infogan does not support `activation`"]),
        ("gan-digits", {"resampling": "plain"}, ["gan does not support `resampling`", "by dcgan"]),
        ("dcgan-digits", {"bn_on_logit": True}, ["dcgan does not support `bn_on_logit`"]),
        ("dcgan-digits", {"batch_norm": True}, ["dcgan does not support `batch_norm`"]),
        ("gan-digits", {"categories": "10"}, ["gan does not support `categories`", "by infogan"]),
        ("infogan-digits", {"categories": "", "continuous": 0}, ["infogan needs codes; set `categories`"]),
        ("dcgan-digits", {"info_weight": 0.5}, ["dcgan does not support `info_weight`"]),
        ("gan-digits", {"info_warmup": 0.5}, ["gan does not support `info_warmup`"]),
        ("infogan-category", {"code_std": "learned"}, ["`code_std` needs continuous codes"]),
        ("infogan-digits", {"code_std": "1,2,3"}, ["one for each of the 2 continuous codes", "got 1,2,3"]),
        ("infogan-digits", {"code_std": "0.3,-1"}, ["`code_std` must be a number above 0"]),
        ("gan-digits", {"conditional": True}, ["gan does not support `conditional` (supported by dcgan)"]),
        ("dcgan-digits", {"conditional": True, "packing": 2}, ["`conditional` and `packing` exclude each other"]),
        ("gan-digits", {"gp_weight": 1.0}, ["`gp_weight` needs"]),
    ],
)
def test_options_that_a_network_does_not_have_are_refused(
    recipe: str, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        make_task(recipe, **changes)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "hinge", "label_flip_prob": 0.1}, "`label_flip_prob` has no effect"),
        ({"batch_size": 3, "packing": 2}, "`batch_size` must be at least 4 with `packing=2`"),
        ({"precision": "float16"}, "`precision=float16` is not available"),
        ({"categories": "10,x"}, "`categories` must be integers"),
        ({"categories": "1"}, "`categories` must be integers"),
        ({"diffaug_translation": 20}, "`diffaug_translation` must be between 0 and 8; got 20"),
        ({"instance_noise": -0.1}, "`instance_noise` must be between 0 and 100; got -0.1"),
        ({"real_label": 0.2}, "`real_label` must be between 0.5 and 1; got 0.2"),
        ({"loss": "none"}, "`loss` must be one of"),
        ({"momentum": 0.9}, "gan-digits has no setting 'momentum'"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words.split(";")[0].replace("(", r"\(")):
        train("gan-digits", out=tmp_path / "r", **changes)
    assert isinstance(find_recipe("gan-digits").settings, GANSettings)
