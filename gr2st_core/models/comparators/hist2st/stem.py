"""The convolutions of Hist2ST over one patch.

Belongs here: from pixels to a spot's row. Does not belong here: anything that sees two spots.
"""

from __future__ import annotations

from torch import Tensor, nn

from gr2st_core.comparator_settings.hist2st import Hist2STSettings


class MixerBlock(nn.Module):
    """Two convolutions within channels, added to what they were given, then one across channels.

    Parameters
    ----------
    kernel_px
        Side of the convolutions within channels.
    """

    def __init__(self, n_channels: int, kernel_px: int) -> None:
        super().__init__()
        within: list[nn.Module] = []
        for _ in range(2):
            conv = nn.Conv2d(n_channels, n_channels, kernel_px, padding="same", groups=n_channels)
            within += [conv, nn.BatchNorm2d(n_channels), nn.GELU()]
        self.within = nn.Sequential(*within)
        self.across = nn.Sequential(nn.Conv2d(n_channels, n_channels, 1), nn.GELU(), nn.BatchNorm2d(n_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(n, n_channels, height, width)`` to the same."""
        mixed: Tensor = self.across(maps + self.within(maps))
        return mixed


class MixerStem(nn.Sequential):
    """Tiles of a patch, mixed, and a few channels of each kept."""

    def __init__(self, settings: Hist2STSettings) -> None:
        width = settings.d_tile
        super().__init__(
            nn.Conv2d(3, width, settings.tile_px, stride=settings.tile_px),
            *(MixerBlock(width, settings.mixer_px) for _ in range(settings.n_mixers)),
            nn.Conv2d(width, settings.d_kept, 1),
            nn.Flatten(),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """From uint8 ``(n, 3, input_px, input_px)`` to ``(n, d_model)``; pixels enter as 0-255, as published."""
        rows: Tensor = super().forward(patches.float())
        return rows
