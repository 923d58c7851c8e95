"""The adversarial task against a few lines of plain torch, its switches, and runs made to fail."""

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight.data import load as load_data
from firstsight.engine.loop import seed_everything
from firstsight.errors import RunError, UsageError
from firstsight.gan.metrics import frechet_distance
from firstsight.recipes import GanSettings, find_recipe
from firstsight.recipes.train import Session, Silent, Where
from firstsight.tasks import trouble
from firstsight.tasks.adversarial import Adversarial
from firstsight.tasks.adversarial_scores import distances


def task(recipe: str = "gan-digits", **changes: Any) -> Adversarial:
    """Of a recipe, at a size that is quick."""
    known = find_recipe(recipe)
    settings = replace(known.settings, **({"precision": "float64", "epochs": 2, "image_size": 8} | changes))
    session = Session(known, settings, Where(device="cpu"), Silent())
    made = session.make_task(load_data("digits"), load_data("digits", "test"))
    assert isinstance(made, Adversarial)
    return made


def steps(made: Adversarial, count: int) -> list[dict[str, float]]:
    """The first updates, seeded as the engine would."""
    found = []
    for index in range(count):
        seed_everything(index)
        found.append({k: float(v) for k, v in made.train_step(made.batches.get(0, index)).items()})
    return found


class Plain:
    """Generator and discriminator in a loop written out, with the draws of the task."""

    def __init__(self, made: Adversarial, lr: float, d_lr: float) -> None:
        self.g, self.d = copy.deepcopy(made.models["generator"]), copy.deepcopy(made.models["discriminator"])
        self.average = copy.deepcopy(self.g)
        self.g_opt = torch.optim.Adam(self.g.parameters(), lr=lr, betas=(0.5, 0.999))
        self.d_opt = torch.optim.Adam(self.d.parameters(), lr=lr * d_lr, betas=(0.5, 0.999))

    def update(self, real: Tensor, fake: Tensor, *told: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One of D and one of G, D asked for 0.9 of real pictures; D(x), D(G(z)) and both losses."""
        says_real, says_fake = (torch.sigmoid(self.d(images, *told)) for images in (real, fake.detach()))
        target = torch.full_like(says_real, 0.9)
        d_loss = F.binary_cross_entropy(says_real, target) - (1 - says_fake).log().mean()
        self.d_opt.zero_grad()
        d_loss.backward()
        self.d_opt.step()
        g_loss = -torch.sigmoid(self.d(fake, *told)).log().mean()
        self.g_opt.zero_grad()
        g_loss.backward()
        self.g_opt.step()
        return says_real.mean(), says_fake.mean(), d_loss, g_loss

    def follow(self, count: int, ema: float) -> None:
        keep = min(ema, (1 + count) / (10 + count))
        with torch.no_grad():
            for own, other in zip(self.average.parameters(), self.g.parameters(), strict=True):
                own.copy_(keep * own + (1 - keep) * other)


def same(ours: nn.Module, plain: nn.Module) -> None:
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_training_is_that_of_plain_torch() -> None:
    """Six updates of both networks and of the average; one-sided smoothing, two learning rates."""
    made = task(lr=2e-4, d_lr=2.0, real_target=0.9, ema=0.6)
    plain = Plain(made, 2e-4, 2.0)
    real_set = load_data("digits")
    for index, found in enumerate(steps(made, 6)):
        batch = made.batches.get(0, index)
        seed_everything(index)
        z = torch.randn(len(batch.images), 100).double()
        torch.testing.assert_close(batch.images.mean(), batch.images.double().mean())
        expected = plain.update(batch.images, plain.g(z))
        plain.follow(index, 0.6)
        for name, value in zip(("d_real", "d_fake", "d_loss", "g_loss"), expected, strict=True):
            assert found[name] == pytest.approx(value.item(), rel=1e-8), name
    assert len(real_set) == made.batches.samples
    for name, net in (("generator", plain.g), ("discriminator", plain.d), ("average", plain.average)):
        same(made.models[name], net)


def test_training_with_classes_is_that_of_plain_torch() -> None:
    """G makes a picture of each real one's class, and D is told the class of both."""
    made = task("dcgan-digits", conditional=True, width=4, latent=6, lr=2e-4, ema=0.6)
    plain = Plain(made, 2e-4, 1.0)
    for index, found in enumerate(steps(made, 4)):
        batch = made.batches.get(0, index)
        labels = batch.labels
        assert len(labels.unique()) > 1
        seed_everything(index)
        z = torch.cat([torch.randn(len(labels), 6).double(), F.one_hot(labels, 10).double()], 1)
        expected = plain.update(batch.images, plain.g(z), labels)
        plain.follow(index, 0.6)
        for name, value in zip(("d_real", "d_fake", "d_loss", "g_loss"), expected, strict=True):
            assert found[name] == pytest.approx(value.item(), rel=1e-8), name
    for name, net in (("generator", plain.g), ("discriminator", plain.d), ("average", plain.average)):
        same(made.models[name], net)


@pytest.mark.parametrize(
    "change", [{"loss": "wasserstein"}, {"r1": 1.0}, {"batches": "mixed"}, {"critic_steps": 2}, {"spectral_norm": True}]
)
def test_classes_can_be_told_with_every_other_rule(change: dict[str, Any]) -> None:
    """Which class a picture is said to be of makes a difference, and the filters of the classes learn."""
    small = {"width": 4, "image_size": 16, "precision": "float32", "conditional": True}
    made, other = task("dcgan-digits", **(small | change)), task("dcgan-digits", **(small | change))
    other.batches.labels = (other.batches.labels + 1) % 10
    before = {name: p.clone() for name, p in made.models["discriminator"].named_parameters() if "own" in name}
    assert before and steps(made, 2) != steps(other, 2)
    after = dict(made.models["discriminator"].named_parameters())
    assert all(not torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("optimizer", ["sgd", "sgd-in-d"])
def test_gradient_descent_moves_against_the_gradient(optimizer: str) -> None:
    """By its rate times the gradient, which the first update of Adam does not do (a sign, for every weight alike)."""
    made = task(optimizer=optimizer, lr=0.3, d_lr=0.5)
    before = {name: copy.deepcopy(net) for name, net in made.models.items()}
    batch = made.batches.get(0, 0)
    seed_everything(0)
    z = torch.randn(len(batch.images), 100).double()
    g, d = before["generator"], before["discriminator"]
    fake = g(z)
    paid = F.binary_cross_entropy_with_logits(d(batch.images), torch.full((len(z),), 0.9, dtype=torch.float64))
    slopes = torch.autograd.grad(paid + F.softplus(d(fake.detach())).mean(), list(d.parameters()))
    steps(made, 1)
    with torch.no_grad():
        for parameter, slope in zip(d.parameters(), slopes, strict=True):
            parameter.sub_(0.15 * slope)
    same(made.models["discriminator"], d)
    slopes = torch.autograd.grad(F.softplus(-d(fake)).mean(), list(g.parameters()))
    with torch.no_grad():
        for parameter, slope in zip(g.parameters(), slopes, strict=True):
            parameter.sub_(0.3 * slope)
    moved = all(
        torch.allclose(a, b) for a, b in zip(g.parameters(), made.models["generator"].parameters(), strict=True)
    )
    assert moved == (optimizer == "sgd")


def test_the_stuck_network_stands_where_arithmetic_says() -> None:
    """E[s(x)^2] of a normal x: 0.2934 for G's squared error, twice that for D's, update after update."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    density = torch.exp(-x.square() / 2)
    expected = float((torch.sigmoid(x).square() * density).sum() / density.sum())
    assert expected == pytest.approx(0.2934, abs=5e-5)
    made = task("gan-stuck", image_size=16, precision="float32", epochs=4)
    rows = []
    for index in range(60):
        seed_everything(index)
        rows.append(made.train_step(made.batches.get(*divmod(index, made.batches.steps))))
    for name, value in (("g_loss", expected), ("d_loss", 2 * expected)):
        assert float(torch.stack([row[name] for row in rows]).mean()) == pytest.approx(value, abs=0.005)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    from firstsight import train

    with pytest.raises(RunError, match=r"d_loss (nan|inf).* at epoch 1, batch \d+ of 23 \(samples .*smaller --lr"):
        train("gan-digits", out=tmp_path / "r", lr=900.0, optimizer="sgd", loss="least-squares", epochs=1)
    assert not (tmp_path / "r" / "model.safetensors").exists()


def test_fewer_pictures_than_a_batch_are_one_batch(tmp_path: Path, pictures: Callable[..., Path]) -> None:
    from firstsight import train

    where = pictures({"dark": 30, "light": 30}, size=20)
    train("gan", out=tmp_path / "r", data=str(where), epochs=1, image_size=8)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "48 training pictures are fewer than a batch of 128: all are in one" in page
    few = pictures({"dark": 2, "light": 2}, size=20, where="few")
    with pytest.raises(UsageError, match="are too few; every batch needs 8 at least"):
        train("gan", out=tmp_path / "s", data=str(few), epochs=1, image_size=8, packing=4)


@pytest.mark.parametrize("spread", [1.0, 0.4, "0.3,0.6", "learned"])
def test_infogan_is_that_of_plain_torch(spread: float | str) -> None:
    """The information term is in both losses; Q and the trunk learn from D's, the generator from its own."""
    made = task("infogan-digits", width=4, lr=1e-3, d_lr=0.2, real_target=1.0, information=0.7, spread=spread)
    plain = Plain(made, 1e-3, 0.2)

    def unread(reading: Any, z: Tensor) -> Tensor:
        values, learned = z[:, 72:], reading.log_variances
        fixed = (
            torch.tensor([0.3, 0.6] if spread == "0.3,0.6" else [spread] * 2, dtype=torch.float64)
            if spread != "learned"
            else None
        )
        logs = learned if fixed is None else fixed.square().log().expand_as(learned)
        normal = 0.5 * (logs + (values - reading.means) ** 2 / logs.exp())
        return F.cross_entropy(reading.categories[0], z[:, 62:72].argmax(1)) + normal.sum(1).mean()

    for index, found in enumerate(steps(made, 4)):
        batch = made.batches.get(0, index)
        seed_everything(index)
        z = made.latent.draw(len(batch.images), dtype=torch.float64)
        fake = plain.g(z)
        (says_real, _), (says_fake, reading) = plain.d(batch.images), plain.d(fake.detach())
        adversarial = F.softplus(-says_real).mean() + F.softplus(says_fake).mean()
        plain.d_opt.zero_grad()
        (adversarial + 0.7 * unread(reading, z)).backward()
        plain.d_opt.step()
        assert found["d_loss"] == pytest.approx(adversarial.item(), rel=1e-8)
        assert found["information"] == pytest.approx(unread(reading, z).item(), rel=1e-8)
        says_fake, reading = plain.d(fake)
        plain.g_opt.zero_grad()
        (F.softplus(-says_fake).mean() + 0.7 * unread(reading, z)).backward()
        plain.g_opt.step()
    for name, net in (("generator", plain.g), ("discriminator", plain.d)):
        same(made.models[name], net)


@pytest.mark.parametrize("loss", ["saturating", "least-squares", "hinge", "wasserstein"])
@pytest.mark.parametrize("model", ["gan", "dcgan", "infogan"])
def test_every_loss_trains_every_network(model: str, loss: str) -> None:
    narrow = {} if model == "gan" else {"width": 4}
    made = task(f"{model}-digits", loss=loss, precision="float32", **narrow)
    before = {name: copy.deepcopy(net) for name, net in made.models.items()}
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in steps(made, 2))
    for name in ("generator", "discriminator", "average"):
        pairs = zip(made.models[name].parameters(), before[name].parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs), name


@pytest.mark.parametrize(("epoch", "index"), [(0, 0), (0, 7), (1, 0), (1, 5)])
def test_the_weight_of_the_information_grows(epoch: int, index: int) -> None:
    """An update is that of the weight which it has grown to by then: nothing at first, from the middle on the whole."""
    made = task("infogan-digits", width=4, information=0.8, information_warmup=0.5)
    batch = made.batches.get(epoch, index)
    weight = 0.8 * min(1.0, 2 * batch.progress)
    assert (weight == 0.0, weight == 0.8) == ((epoch, index) == (0, 0), epoch == 1)
    plain = task("infogan-digits", width=4, information=weight)
    for each in (made, plain):
        seed_everything(3)
        each.train_step(batch)
    for name, net in plain.models.items():
        same(made.models[name], net)


@pytest.mark.parametrize(
    "switch",
    [
        {"noise": "uniform"}, {"pixels": "unsigned"}, {"batches": "mixed"}, {"activation": "relu"},
        {"resampling": "plain"}, {"label_noise": 0.2}, {"spectral_norm": True}, {"packing": 3}, {"ema": 0.0},
        {"translation": 2}, {"real_target": 1.0}, {"precision": "bfloat16"}, {"optimizer": "sgd"},
        {"optimizer": "sgd-in-d"}, {"r1": 1.0}, {"instance_noise": 0.3},
        {"g_width": 8}, {"conditional": True},
    ],
)  # fmt: skip
def test_every_switch_makes_a_difference(switch: dict[str, Any]) -> None:
    """Three updates differ from those of the plain recipe, or for the average alone, what it is."""
    small = {"width": 4, "image_size": 16, "precision": "float32"}
    plain, other = (task("dcgan-digits", **(small | more)) for more in ({}, switch))
    assert (steps(plain, 3) != steps(other, 3)) == ("ema" not in switch)
    one, two = (next(made.models["average"].parameters()) for made in (plain, other))
    assert not torch.equal(one, two)
    if switch.get("pixels") == "unsigned":
        batch = other.batches.get(0, 0).images
        assert batch.min() >= 0 and batch.max() <= 1


def test_critic_steps() -> None:
    """G learns at every third update only."""
    made = task(critic_steps=3)
    generator = made.models["generator"]
    changed = []
    for index in range(6):
        before = [p.clone() for p in generator.parameters()]
        made.train_step(made.batches.get(0, index))
        changed.append(any(not torch.equal(a, b) for a, b in zip(generator.parameters(), before, strict=True)))
    assert changed == [False, False, True, False, False, True]


def test_the_average_without_ema_is_the_generator_and_keeps_its_batch_norms() -> None:
    made = task("dcgan-digits", width=4, ema=0.0)
    steps(made, 2)
    own, other = made.models["average"].state_dict(), made.models["generator"].state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert not made.models["average"].training and made.models["generator"].training


def test_the_discriminator_learns_nothing_in_the_generators_step() -> None:
    made = task()
    batch = made.batches.get(0, 0)
    fake = made.models["generator"](made.latent.draw(8, dtype=torch.float64))
    made._train_generator(batch, fake, torch.empty(8, 100))
    assert all(p.grad is None and p.requires_grad for p in made.models["discriminator"].parameters())


def test_metrics_of_an_evaluation() -> None:
    """The floor is that of real pictures; a generator that copies the test set reaches the distance 0."""
    made = task("dcgan-digits", width=4, precision="float32", image_size=32)
    found = made.evaluate()
    assert set(found) == {"frechet", "frechet_sd", "frechet_floor", "spread", "modes", "kl"}
    assert found["frechet"] > 10 * found["frechet_floor"] > 0
    assert (made.measure.n, made.measure.draws) == (359, 3)
    images = made.test.images[torch.arange(359)].repeat(3, 1, 1, 1)
    made.generate = lambda z: images  # type: ignore[method-assign]  # pictures from elsewhere
    copied = made.evaluate()
    assert copied["frechet"] == pytest.approx(0, abs=1e-3) and copied["spread"] == pytest.approx(1, rel=5e-3)
    assert copied["frechet_sd"] == pytest.approx(0, abs=1e-3)
    assert copied["modes"] == 10 and copied["kl"] < 0.01


LINE = {
    "train/d_real": 0.6, "train/d_fake": 0.4, "train/g_loss": 0.8, "train/d_loss": 1.2, "test/frechet": 90.0,
    "test/frechet_floor": 3.0, "test/modes": 10.0, "test/spread": 0.9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"train/d_real": 0.97, "train/d_fake": 0.03}, "D wins"),
        ({"test/modes": 4.0}, "modes are missing"),
        ({"test/spread": 0.1}, "all alike"),
    ],
)
def test_trouble_is_told_in_words(change: dict[str, float], said: str) -> None:
    moving = [LINE | {"train/g_loss": 0.8 + 0.05 * (i % 2)} | change for i in range(12)]
    told = trouble.find(moving, classes=10)
    if said == "D wins":
        assert trouble.find(moving, classes=10, asked=None) == []  # where answers have no scale
    assert len(told) == (1 if said else 0) and said in "".join(told)
    assert trouble.find(moving[:9], classes=10) == []
    early = trouble.find(moving, classes=10, epochs=40)  # many a run begins with few classes
    assert early == (told if said in ("", "D wins") else []) and trouble.find(moving, classes=10, epochs=36) == told


def test_distances_are_means_over_draws() -> None:
    draws = torch.Generator().manual_seed(0)
    real, one, two = (torch.randn(50, 3, generator=draws) * scale for scale in (1.0, 2.0, 3.0))
    found = distances(real, torch.cat([one, two]))
    apart = [frechet_distance(real, one), frechet_distance(real, two)]
    assert found["frechet"] == pytest.approx(sum(apart) / 2)
    assert found["frechet_sd"] == pytest.approx(abs(apart[1] - apart[0]) / 2**0.5)
    assert distances(real, one) == {"frechet": apart[0]}


def test_d_wins_by_what_it_is_asked_to_say() -> None:
    """With a target of 0.9 and a tenth of the labels turned round, D can say 0.81 and 0.09 at best."""
    lines = [LINE | {"train/d_real": 0.80, "train/d_fake": 0.10, "train/g_loss": 3 + 0.2 * (i % 2)} for i in range(12)]
    assert trouble.find(lines, classes=10) == [] == trouble.find(lines, classes=10, asked=(0.9, 0.0))
    assert "D wins" in trouble.find(lines, classes=10, asked=(0.81, 0.09))[0]
    assert trouble.find(lines, classes=10, asked=(0.45, 0.45)) == []


FAILING = {
    "stand still": ("gan-stuck", {"epochs": 12}),
    "D wins": ("gan-digits", {"epochs": 14, "lr": 2e-6, "d_lr": 500.0, "ema": 0.0}),
    "all alike": ("gan-digits", {"epochs": 12, "width": 64, "lr": 2e-2, "d_lr": 0.01, "ema": 0.0}),
}


@pytest.mark.parametrize("said", FAILING)
def test_runs_made_to_fail_say_so(said: str, tmp_path: Path) -> None:
    """On the screen, and in the report."""
    from firstsight import train

    class Listener(Silent):
        heard = ""

        def warn(self, line: str) -> None:
            self.heard += line

    recipe, changes = FAILING[said]
    listener = Listener()
    train(recipe, out=tmp_path / "r", observer=listener, evaluate_every=1, **changes)
    assert said in listener.heard
    assert said in (tmp_path / "r" / "report.html").read_text()


def test_packs_never_mix_real_and_generated_pictures() -> None:
    """Also in a mixed batch, and of an odd number of pictures: a rest that fills no pack is left out on both sides."""
    made = task("dcgan-digits", batches="mixed", packing=2, width=4, precision="float32")
    seen: list[Tensor] = []
    made.models["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    sizes = {len(made.batches.ids(0, i)) % 2 for i in range(made.batches.steps)}
    assert sizes == {0, 1}
    for index in range(made.batches.steps):
        batch = made.batches.get(0, index)
        made.train_step(batch)
        packs, count = seen[-2], len(batch.images) // 2  # the last is the generator's own step
        assert packs.shape[:2] == (2 * count, 2)
        torch.testing.assert_close(packs[:count].flatten(0, 1)[:, None], batch.images[: 2 * count])


def test_a_gradient_penalty_is_about_single_pictures() -> None:
    """Without batch norm in D, what it says of one picture does not depend on the others."""
    for recipe, changes in itertools.product(("dcgan-digits", "infogan-digits"), ({"loss": "wasserstein"}, {"r1": 1})):
        made = task(recipe, **changes, width=4)
        net, images = made.models["discriminator"], made.batches.get(0, 0).images
        if recipe == "infogan-digits":  # Q keeps its own batch norm
            net = torch.nn.Sequential(net.trunk, net.real, torch.nn.Flatten(0))
        alone, together = net(images[:1]), net(images)
        torch.testing.assert_close(alone[0], together[0])


def test_no_more_updates_than_asked_for(tmp_path: Path) -> None:
    from firstsight import train

    result = train("gan-digits", out=tmp_path / "r", epochs=5, updates=50, image_size=8)  # 23 in an epoch
    assert result.epochs == 2
    again = train("gan-digits", out=tmp_path / "r", resume=True, epochs=5, updates=50)
    assert again.epochs == 2 and again.metrics == result.metrics
    assert train("gan-digits", out=tmp_path / "s", epochs=5, updates=5, image_size=8).epochs == 1


@pytest.mark.parametrize("flat", [True, False])
def test_any_folder_of_pictures_will_do(flat: bool, tmp_path: Path, pictures: Callable[..., Path]) -> None:
    """In no class folder, or all in one; with few of them, in colour; and what can be done with the generator then."""
    from firstsight import generate, load_generator, measure, train, with_nearest

    where = pictures({"all": 20}, size=20)
    where = where / "all" if flat else where
    train("dcgan", out=tmp_path / "r", data=str(where), epochs=1, image_size=8, width=4)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "no trained network knows" in page and "4 of 20 pictures" in page
    found = measure(tmp_path / "r")
    assert found.n == 4 and "recall" not in found.metrics and found.metrics["frechet"] > 0
    assert any("too few for precision" in note for note in found.notes)
    sheet = with_nearest(tmp_path / "r", generate(tmp_path / "r", 10), 30)
    assert sheet.images.shape == (2 * 17 * 8, 3, 8, 8) and sheet.rows[:2] == ("generated", "nearest 1")
    train("dcgan", out=tmp_path / "c", data=str(where), epochs=1, image_size=8, width=4, conditional=True)
    assert "one class, so --conditional has nothing to tell" in (tmp_path / "c" / "report.html").read_text()
    one, two = (load_generator(tmp_path / name) for name in "rc")
    z = one.draw(5)
    assert torch.equal(one(z), two(z))  # a training as without it
    train("infogan", out=tmp_path / "i", data=str(where), epochs=1, image_size=8, width=4, continuous=0)
    assert generate(tmp_path / "i", codes="c1=3").images.shape == (64, 3, 8, 8)


def test_infogan_with_continuous_codes_alone(tmp_path: Path) -> None:
    from firstsight import generate, measure, train

    train("infogan", out=tmp_path / "r", epochs=1, image_size=8, width=4, categories="", continuous=2)
    assert set(measure(tmp_path / "r").metrics) >= {"c1_slant", "c2_width"}
    sheet = generate(tmp_path / "r", 16, codes="c1=-1..1")
    assert sheet.images.shape == (16, 1, 8, 8) and sheet.heads[0] == "c1 = -1.00"
    assert "Continuous code c2" in (tmp_path / "r" / "report.html").read_text()


def test_a_loss_that_stands_still_is_told_unless_the_pictures_are_good() -> None:
    still = [LINE] * 12
    assert "stand still" in trouble.find(still, classes=10)[0]
    (only,) = trouble.find([LINE | {"test/spread": 0.1, "test/modes": 1.0}] * 12, classes=10)  # these follow from it
    assert "stand still" in only
    assert trouble.find([LINE | {"test/frechet": 5.0}] * 12, classes=10) == []
    fallen = [LINE | {"test/frechet": 4 * LINE["test/frechet"]}, *still]
    assert trouble.find(fallen, classes=10) == []  # a game in balance, after which there were better pictures


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("dcgan-digits", {"image_size": 30}, ["a multiple of 4 from 8 to 128; got 30", "--image-size"]),
        ("infogan-digits", {"image_size": 132}, ["a multiple of 4", "got 132"]),
        ("infogan-digits", {"spectral_norm": True}, ["infogan has no --spectral-norm", "gan and dcgan"]),
        ("infogan-digits", {"activation": "relu"}, ["infogan has no --activation"]),
        ("gan-digits", {"resampling": "plain"}, ["gan has no --resampling", "dcgan"]),
        ("dcgan-digits", {"stuck": True}, ["dcgan has no --stuck"]),
        ("dcgan-digits", {"batch_norm": True}, ["dcgan has no --batch-norm"]),
        ("gan-digits", {"categories": "10"}, ["gan has no --categories", "infogan"]),
        ("infogan-digits", {"categories": "", "continuous": 0}, ["infogan needs codes: --categories"]),
        ("dcgan-digits", {"information": 0.5}, ["dcgan has no --information"]),
        ("gan-digits", {"information_warmup": 0.5}, ["gan has no --information-warmup"]),
        ("infogan-category", {"spread": "learned"}, ["--spread is that of continuous codes"]),
        ("infogan-digits", {"spread": "1,2,3"}, ["one for each of the 2 continuous codes", "got 1,2,3"]),
        ("infogan-digits", {"spread": "0.3,-1"}, ["--spread must be a number above 0"]),
        ("gan-digits", {"conditional": True}, ["gan has no --conditional; dcgan can have it"]),
        ("dcgan-digits", {"conditional": True, "packing": 2}, ["--packing shows D several; choose one"]),
        ("gan-digits", {"penalty": 1.0}, ["--penalty goes with --loss wasserstein"]),
    ],
)
def test_what_a_network_does_not_have_is_refused(recipe: str, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        task(recipe, **changes)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "hinge", "label_noise": 0.1}, "--label-noise turns labels round"),
        ({"batch_size": 3, "packing": 2}, "--batch-size must be at least 4 with --packing 2"),
        ({"precision": "float16"}, "--precision float16"),
        ({"categories": "10,x"}, "--categories must be numbers"),
        ({"categories": "1"}, "--categories must be numbers"),
        ({"translation": 20}, "--translation must lie between 0 and 8; got 20"),
        ({"instance_noise": -0.1}, "--instance-noise must lie between 0 and 100; got -0.1"),
        ({"real_target": 0.2}, "--real-target must lie between 0.5 and 1; got 0.2"),
        ({"loss": "none"}, "--loss must be one of"),
        ({"momentum": 0.9}, "gan-digits has no setting momentum"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    from firstsight import train

    with pytest.raises(UsageError, match=words.split(";")[0].replace("(", r"\(")):
        train("gan-digits", out=tmp_path / "r", **changes)
    assert isinstance(find_recipe("gan-digits").settings, GanSettings)
