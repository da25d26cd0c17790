"""Convolution whose kernel depends on the image that it reads.

Belongs here: ``DynamicConv``. Does not belong here: what reads its maps (``capsules``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

_D_HIDDEN = 16  # of the attention; the reference implementation's least, and these layers read few channels


class DynamicConv(nn.Module):
    """Omni-dimensional dynamic convolution, without padding or bias.

    Parameters
    ----------
    c_in, c_out
        Channels.
    kernel_px, stride
        Side and step of the kernel.
    n_kernels
        Candidates that an image's kernel is mixed from.

    Notes
    -----
    Source: Li, Zhou, Yao, "Omni-dimensional dynamic convolution", ICLR 2022, equation 2. An image's channel means give
    four kinds of attention, over kernels (softmax), input channels, filters and places in the kernel (logistic);
    the kernel is the sum of the candidates, each multiplied by all four.
    """

    def __init__(self, c_in: int, c_out: int, *, kernel_px: int, stride: int, n_kernels: int) -> None:
        super().__init__()
        self.kernel_px, self.stride = kernel_px, stride
        self.kernels = nn.Parameter(torch.empty(n_kernels, c_out, c_in, kernel_px, kernel_px))
        for kernel in self.kernels:
            nn.init.kaiming_normal_(kernel, mode="fan_out", nonlinearity="relu")
        self.squeeze = nn.Sequential(nn.Linear(c_in, _D_HIDDEN, bias=False), nn.BatchNorm1d(_D_HIDDEN), nn.ReLU())
        self.by_kernel, self.by_channel = nn.Linear(_D_HIDDEN, n_kernels), nn.Linear(_D_HIDDEN, c_in)
        self.by_filter, self.by_place = nn.Linear(_D_HIDDEN, c_out), nn.Linear(_D_HIDDEN, kernel_px**2)

    def forward(self, images: Tensor) -> Tensor:
        """From ``(n, c_in, rows, columns)`` to ``(n, c_out, ...)``."""
        windows = unfold(images, self.kernel_px, stride=self.stride)
        rows, columns = ((side - self.kernel_px) // self.stride + 1 for side in images.shape[2:])
        return (self.mixed(images).flatten(2) @ windows).unflatten(2, (rows, columns))

    def mixed(self, images: Tensor) -> Tensor:
        """Kernel of each image, ``(n, c_out, c_in, kernel_px ** 2)``."""
        seen = self.squeeze(images.mean((2, 3)))
        kernels = (self.by_kernel(seen).softmax(1) @ self.kernels.flatten(1)).view(
            -1, *self.kernels[0].flatten(2).shape
        )
        channel, filter_, place = (part(seen).sigmoid() for part in (self.by_channel, self.by_filter, self.by_place))
        return kernels * filter_[:, :, None, None] * channel[:, None, :, None] * place[:, None, None, :]
