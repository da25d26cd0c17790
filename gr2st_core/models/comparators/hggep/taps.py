"""The three rows that HGGEP reads of a spot.

Belongs here: the taps of its image encoder, and what stands for them on frozen features. Does not belong here:
anything that sees two spots.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr2st_core.comparator_settings.hggep import HGGEPSettings
from gr2st_core.models.comparators.channel_spatial import ChannelSpatialAttention
from gr2st_core.models.comparators.gradient_stem import GradientStem

N_TAPS = 3


class ShuffleNetTrunk(nn.Module):
    """ShuffleNetV2-0.5 up to its last maps, its parameters named as torchvision's.

    Its first pooling is left out: from the stem's maps of 58 px only so come maps of 4 px, as published.

    Before weights are given it starts nearly linear: convolutions within channels as means, normalised values behind
    the first layer shifted by 1, so that few are rectified. In torch's own start, what a patch shows hardly reaches
    the last maps, and a training of few steps then learns nothing from it.
    """

    def __init__(self) -> None:
        from torchvision.models import shufflenet_v2_x0_5  # takes seconds, and profiles on features do without it

        super().__init__()
        whole = shufflenet_v2_x0_5(weights=None)
        self.conv1, self.stage2, self.stage3 = whole.conv1, whole.stage2, whole.stage3
        self.stage4, self.conv5 = whole.stage4, whole.conv5
        for part in (self.stage2, self.stage3, self.stage4, self.conv5):
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.ones_(module.bias)
                elif isinstance(module, nn.Conv2d) and module.groups > 1:
                    nn.init.constant_(module.weight, 1 / module.weight[0].numel())

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """From ``(n, 3, height, width)`` to ``(n, 192, side, side)`` and ``(n, 1024, side, side)``, 1/16 the size."""
        middle = self.stage4(self.stage3(self.stage2(self.conv1(maps))))
        return middle, self.conv5(middle)


class ImageTaps(nn.Module):
    """Three rows of a patch: of the encoder's last stage, of its last convolution, and of that one's maxima."""

    def __init__(self, settings: HGGEPSettings) -> None:
        super().__init__()
        width, kept = settings.d_model, settings.d_model // settings.map_side**2
        self.gradient = GradientStem(settings.theta)
        self.trunk = ShuffleNetTrunk()
        self.middle, self.last, self.largest = _tap(192, kept), _tap(1024, kept), _tap(1024, width)

    def forward(self, patches: Tensor) -> Tensor:
        """From uint8 ``(n, 3, input_px, input_px)`` to ``(n, 3, d_model)``; pixels enter as 0-255, as published."""
        middle, last = self.trunk(self.gradient(patches.float()))
        largest = last.amax(dim=(2, 3), keepdim=True)
        return torch.stack([self.middle(middle), self.last(last), self.largest(largest)], dim=1)


class FeatureTaps(nn.Module):
    """Three linear layers of one row of features, since frozen features have no inner maps."""

    def __init__(self, d_features: int, d_model: int) -> None:
        super().__init__()
        self.project = nn.Linear(d_features, N_TAPS * d_model)

    def forward(self, features: Tensor) -> Tensor:
        """From ``(n, d_features)`` to ``(n, 3, d_model)``."""
        rows: Tensor = self.project(features).unflatten(1, (N_TAPS, -1))
        return rows


def _tap(n_channels: int, n_kept: int) -> nn.Sequential:
    """From maps of an encoder to a row."""
    return nn.Sequential(
        ChannelSpatialAttention(n_channels),
        nn.BatchNorm2d(n_channels),
        nn.Conv2d(n_channels, n_kept, 1),
        nn.Flatten(),
    )
