"""Generators and discriminators: number of parameters, shapes, options, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from firstsight.errors import UsageError
from firstsight.models.gan import create_gan, dcgan, gan, infogan
from firstsight.models.registry import GAN_MODELS
from firstsight.tasks.gan.settings import default_settings


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_networks_have_the_stated_number_of_parameters() -> None:
    assert parameters(gan.Generator()) == 1_486_352
    assert parameters(gan.Discriminator()) == 533_505
    assert parameters(gan.Generator(size=16, width=32)) == 308_864  # 100 x 128, x 256, x 512, x 256, and biases
    assert parameters(dcgan.Generator()) == 3_576_704
    assert parameters(dcgan.Discriminator()) == 2_765_568
    assert parameters(infogan.Generator()) == 6_645_121
    q = infogan.Discriminator()
    assert parameters(q.q) == 133_134
    assert parameters(q) - parameters(q.q) == 6_558_017


def test_table_of_networks_has_their_number_of_parameters() -> None:
    for name, entry in GAN_MODELS.items():
        codes = {"latent_dim": 74, "categories": (10,), "continuous": 2} if name == "infogan" else {}
        assert sum(map(parameters, create_gan(name, **codes))) == entry.parameters  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown network 'vae'"):
        create_gan("vae")


@pytest.mark.parametrize("name", list(GAN_MODELS))
def test_g_width_changes_the_generator_alone(name: str) -> None:
    """0 is the same width for both networks."""
    narrow, wide, mixed, same = (
        create_gan(name, d_width=width, g_width=g_width, latent_dim=14, image_size=16, categories=(10,))
        for width, g_width in ((8, 0), (12, 0), (8, 12), (8, 8))
    )
    assert [parameters(net) for net in mixed] == [parameters(wide[0]), parameters(narrow[1])]
    assert [parameters(net) for net in same] == [parameters(net) for net in narrow]


def test_default_optimizers_are_those_of_the_papers() -> None:
    """Radford 2015, Section 4; Chen 2016, Appendix C.1: 2e-4 for D and 1e-3 for G. Other defaults are stated."""
    settings, infogan_settings = default_settings("dcgan"), default_settings("infogan")
    assert (settings.optimizer, settings.lr, settings.d_lr_mult, settings.beta1) == ("adam", 2e-4, 1, 0.5)
    assert settings.batch_size == 128
    assert (infogan_settings.lr, infogan_settings.lr * infogan_settings.d_lr_mult) == (1e-3, pytest.approx(2e-4))
    for differs in (settings, infogan_settings):
        assert (differs.noise, differs.real_label, differs.ema_decay, differs.output) == ("normal", 0.9, 0.999, "tanh")


def test_dcgan_has_the_channels_of_figure_1_at_width_128() -> None:
    net = dcgan.Generator(width=128)
    layers = [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in layers] == [
        (100, 1024), (1024, 512), (512, 256), (256, 128), (128, 3)
    ]  # fmt: skip
    assert [(m.kernel_size, m.stride) for m in layers] == [((4, 4), (1, 1))] + [((4, 4), (2, 2))] * 4


def test_batch_norm_is_where_the_papers_have_it() -> None:
    """DCGAN: neither G's output nor D's input. InfoGAN: Table 1 of the appendix, with LeakyReLU of 0.1."""

    def kinds(*modules: nn.Module) -> list[str]:
        leaves = (leaf for module in modules for leaf in module.modules() if not list(leaf.children()))
        return [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, nn.Identity)]

    g, d = dcgan.Generator(), dcgan.Discriminator()
    assert kinds(g) == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4 + ["ConvTranspose2d"]
    assert kinds(d) == ["Conv2d", "LeakyReLU"] + ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3 + ["Conv2d"]
    assert {m.negative_slope for m in d.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    g, d = infogan.Generator(), infogan.Discriminator()
    assert kinds(g) == ["Linear", "BatchNorm1d"] * 2 + ["ConvTranspose2d", "BatchNorm2d", "ConvTranspose2d"]
    trunk = ["Conv2d", "Conv2d", "BatchNorm2d", "Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds(d.trunk) == trunk
    assert kinds(d.q) == ["Linear", "BatchNorm1d", "LeakyReLU", "Linear"]
    assert {m.negative_slope for m in d.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}


def test_dcgan_begins_with_a_standard_deviation_of_002() -> None:
    torch.manual_seed(0)
    for net in (dcgan.Generator(width=32), dcgan.Discriminator(width=32)):
        convs = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        weights, scales = (torch.cat([w.detach().flatten() for w in ws]) for ws in (convs, [m.weight for m in norms]))
        assert (float(weights.mean()), float(weights.std())) == pytest.approx((0, 0.02), abs=2e-4)
        assert (float(scales.mean()), float(scales.std())) == pytest.approx((1, 0.02), abs=3e-3)
        assert all((m.bias == 0).all() for m in norms)


def test_a_kernel_that_is_a_multiple_of_the_stride_covers_pixels_evenly_but_may_draw_a_checkerboard() -> None:
    """Odena 2016: kernel 4 has no uneven overlap, kernel 5 has; alternating weights draw one with kernel 4 too."""
    layer = dcgan.Generator(width=4).stages[0][0]
    assert isinstance(layer, nn.ConvTranspose2d)
    ones = torch.ones(1, 1, 8, 8)

    def overlap(kernel: torch.Tensor) -> torch.Tensor:
        out = F.conv_transpose2d(ones, kernel[None, None], stride=layer.stride, padding=layer.padding)
        return out[0, 0, 4:-4, 4:-4]

    assert (overlap(torch.ones(layer.kernel_size)) == 4).all()
    assert overlap(torch.ones(5, 5)).unique().tolist() == [4, 6, 9]
    alternating = torch.tensor([1.0, -1.0, 1.0, -1.0])
    pattern = overlap(alternating[:, None] * alternating)
    assert pattern.unique().tolist() == [-4, 4] and torch.equal(pattern[1:], -pattern[:-1])


@pytest.mark.parametrize("size", [8, 12, 28, 32, 36, 64, 100, 128])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strided", [True, False])
def test_dcgan_generates_images_of_any_multiple_of_four(size: int, channels: int, strided: bool) -> None:
    make = {"size": size, "channels": channels, "width": 4, "strided": strided}
    generator, discriminator = dcgan.Generator(latent=6, **make), dcgan.Discriminator(**make)
    images = generator(torch.randn(2, 6))
    assert images.shape == (2, channels, size, size)
    assert images.min() >= -1 and images.max() <= 1
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("size", range(8, 132, 4))
def test_dcgan_begins_with_4_to_7_pixels_and_crops_less_than_a_quarter(size: int) -> None:
    side, count, edge = dcgan.plan_upsampling(size)
    assert 4 <= side <= 7 and count >= 1
    assert size == side * 2**count - 2 * edge
    assert 2 * edge < size / 4


def test_dcgan_of_28_pixels_is_the_center_of_one_of_32() -> None:
    make = {"channels": 1, "width": 4}
    whole, center = (dcgan.Generator(size=size, latent=6, **make).eval() for size in (32, 28))
    center.load_state_dict(whole.state_dict())
    z = torch.randn(3, 6)
    assert torch.equal(center(z), whole(z)[:, :, 2:30, 2:30])
    wide, narrow = (dcgan.Discriminator(size=size, **make).eval() for size in (32, 28))
    narrow.load_state_dict(wide.state_dict())
    images = torch.zeros(3, 1, 32, 32)
    images[:, :, 2:30, 2:30] = center(z)
    assert torch.equal(narrow(images[:, :, 2:30, 2:30]), wide(images))


@pytest.mark.parametrize("size", [0, 4, 6, 30, 63, 132])
def test_image_size_that_is_no_multiple_of_4_from_8_to_128_is_refused(size: int) -> None:
    for make in (dcgan.Generator, dcgan.Discriminator, infogan.Generator, infogan.Discriminator):
        with pytest.raises(ValueError, match=f"a side that is a multiple of 4 from 8 to 128; got {size}"):
            make(size=size)


def test_infogan_discriminator_predicts_every_code() -> None:
    net = infogan.Discriminator(width=4, categories=(10, 3), continuous=4, size=12)
    images = torch.randn(5, 1, 12, 12)
    logits, prediction = net.eval()(images)
    assert logits.shape == (5,) and [c.shape for c in prediction.categories] == [(5, 10), (5, 3)]
    assert prediction.means.shape == prediction.log_variances.shape == (5, 4)
    only = infogan.Discriminator(width=4, categories=(7,), continuous=0)(torch.randn(2, 1, 28, 28))[1]
    assert only.means.shape == (2, 0) and only.categories[0].shape == (2, 7)


def test_class_conditional_discriminator_adds_the_product_of_a_filter_per_class_to_its_logit() -> None:
    """A projection discriminator (Miyato 2018): the logit without a class, and the filter times the last map."""
    torch.manual_seed(0)
    _, net = create_gan("dcgan", image_size=16, d_width=4, num_classes=3)
    assert isinstance(net, dcgan.Discriminator) and net.class_filters is not None
    images, labels = torch.randn(6, 1, 16, 16), torch.tensor([2, 0, 1, 1, 2, 0])
    maps: list[torch.Tensor] = []
    net.class_filters.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    logits, without_class = net(images, labels), net(images)
    expected = without_class + (maps[0] * net.class_filters.weight[labels]).sum((1, 2, 3))
    torch.testing.assert_close(logits, expected)
    assert not torch.equal(logits, net(images, labels.flip(0)))
    _, plain = create_gan("dcgan", image_size=16, d_width=4)
    assert parameters(net) == parameters(plain) + 3 * 8 * 4 * 4


def test_batch_norm_on_the_logit_gives_mean_0_and_standard_deviation_1_for_any_batch() -> None:
    net = gan.Discriminator(bn_on_logit=True).double()
    for scale in (1.0, 10.0):
        logits = net(scale * torch.randn(256, 1, 28, 28, dtype=torch.float64) + scale)
        assert abs(float(logits.detach().mean())) < 1e-9
        assert float(logits.detach().std(correction=0)) == pytest.approx(1, abs=1e-2)


def test_spectral_norm_of_every_layer_is_one() -> None:
    net = gan.Discriminator(spectral_norm=True)
    for _ in range(30):  # one step of the power iteration per pass
        net(torch.randn(2, 1, 28, 28))
    for layer in net.layers:
        assert isinstance(layer, nn.Linear)
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", GAN_MODELS)
@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_other_than_1_and_3_are_refused(name: str, channels: int) -> None:
    with pytest.raises(
        UsageError, match=f"{name} needs images of 1 channel .grayscale. or 3 channels .RGB.; got {channels}"
    ):
        create_gan(name, channels=channels, categories=(10,))
