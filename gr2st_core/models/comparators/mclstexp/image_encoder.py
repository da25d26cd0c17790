"""The trainable image encoder of mclSTExp.

Belongs here: DenseNet without its classifier, of any size. Does not belong here: the projection behind it
(``network``).
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.densenet import DenseNet

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.models.comparators.mclstexp.augmentation import augmented


class DenseNetEncoder(nn.Module):
    """Patches to the mean of a DenseNet's last feature map; in training every patch is changed at random first.

    Parameters are named as torchvision's, so that its weights fit (``comparators.image_weights``).

    Attributes
    ----------
    d_out
        Width of what it returns; 1024 for DenseNet121.
    """

    def __init__(self, settings: MclStExpSettings) -> None:
        super().__init__()
        self.jitter, self.rotation = settings.jitter, settings.rotation
        whole = DenseNet(settings.growth_rate, settings.block_config, settings.n_init_features)
        self.features: nn.Sequential = whole.features
        self.d_out: int = whole.classifier.in_features

    def forward(self, patches: Tensor) -> Tensor:
        """Encode uint8 ``(n, 3, px, px)``, ``(n, d_out)``; pixels enter as 0..1, not standardised, as published."""
        pixels = patches.float() / 255
        if self.training:
            pixels = augmented(pixels, self.jitter, self.rotation)
        encoded: Tensor = self.features(pixels).relu().mean(dim=(2, 3))
        return encoded
