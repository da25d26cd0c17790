"""Patches encoded per second of processor time: ours against PyTorch as it comes, on the CPU.

"As it comes" is the same network, batch norms as trained, in eager mode, in PyTorch's own layout, on batches of 16
images: larger ones are slower. Both encode the same patches, drawn at random, in turn and on one thread: machines are
noisy, ratios of one run less so. The largest difference between the two is printed beside the ratio.

    python benchmarks/encode.py
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from gr2st_core.images.efficientnet import MultiStage, load_lite0
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.pixels import Pixels

ENCODER = "efficientnet_lite0"
N_PATCHES, BATCH = 64, 16
REPEATS = 5


def eager_encoder() -> Callable[[Pixels], NDArray[np.float32]]:
    """The network as PyTorch and timm run it."""
    spec = encoder_spec(ENCODER)
    network = MultiStage(load_lite0(spec.sha256 or "")).eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))

    def encode(patches: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.concatenate(
                [
                    network((images.permute(0, 3, 1, 2).contiguous() / 255 - mean) / std).numpy()
                    for images in torch.from_numpy(patches).split(BATCH)
                ]
            )

    return encode


def main() -> None:
    """Print rates, their ratio and the largest difference; medians of interleaved repeats."""
    torch.set_num_threads(1)
    side = encoder_spec(ENCODER).input_px
    patches = np.random.default_rng(0).integers(0, 256, (N_PATCHES, side, side, 3), dtype=np.uint8)
    encoders = {"eager": eager_encoder(), "ours": encoder_spec(ENCODER).build("cpu")}
    features = {name: encode(patches) for name, encode in encoders.items()}
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(REPEATS):
        for name, encode in encoders.items():
            started = time.process_time()
            encode(patches)
            rates[name].append(N_PATCHES / (time.process_time() - started))
    eager, ours = (statistics.median(rates[name]) for name in ("eager", "ours"))
    difference = np.abs(features["ours"] - features["eager"]).max()
    print(f"{ENCODER}, one thread, {N_PATCHES} patches, median of {REPEATS}, patches per CPU-second")
    print(f"eager {eager:.1f}, ours {ours:.1f}, ratio {ours / eager:.1f}, largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
