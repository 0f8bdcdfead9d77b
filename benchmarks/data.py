"""The data pipeline of a training step: decoding, the cache, augmentation, and their share of the step.

    python benchmarks/data.py --images data/Market-1501-v15.09.15/bounding_box_train --torchreid FOLDER

prints, beside a limit or a peer of the same run,

* images/s decoded into a new cache with 1, 2, 4 ... threads, and the seconds that Market-1501's 36,036 images would
  take at that rate (limit: 60 s);
* milliseconds to open the finished cache, and how many times as long building it takes;
* images/s augmented on one thread, in the thread's own time, and the ratio to what the field does: torchvision's
  transforms (resize, flip, pad and crop, tensor, normalise, random erasing) image by image on decoded PIL images, and
  torchreid's of the same kind;
* gathering and augmenting a PK batch as a share of MobileNetV2's training step (limit: 3 %).

Without ``--images`` it writes 128x64 JPEGs of its own into a temporary folder. FOLDER is a checkout of
KaiyangZhou/deep-person-reid; without it an installed torchreid is taken, and without either that peer is left out.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch
from PIL import Image

from benchmarks.parts.augmentation_peers import augmentation_peers
from reid.data.augment import AugmentConfig, augment
from reid.data.cache import load_images
from reid.data.records import ImageRecord, ImageSet
from reid.engine.batches import training_batches
from reid.engine.machine.memory import keep_freed_memory
from reid.engine.recipe import Recipe
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.training_step import TrainingStep
from reid.options import Parser
from supernet.files import mobilenet_v2
from supernet.network import build_network

MARKET1501 = 36036
"""Images of Market-1501's three lists together."""

SIZES = ((128, 64), (256, 128))
BATCH = 64
CPU = torch.device("cpu")


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="a folder of JPEGs (default: some are made)")
    parser.add_argument("--count", type=int, default=2048, help="images that are decoded at most (default: 2048)")
    parser.add_argument("--torchreid", type=Path, metavar="FOLDER", help="checkout of deep-person-reid")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each measurement (default: 7)")
    options = parser.parse_args()
    keep_freed_memory()
    peers = augmentation_peers(options.torchreid)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.images or made_images(Path(scratch) / "images", options.count)
        paths = sorted(folder.rglob("*.jpg"))[: options.count]
        if not paths:
            parser.error(f"no .jpg below {folder}")
        data = decoding(paths, Path(scratch), options.rounds)
        for size in SIZES:
            augmentation(data, size, peers, options.rounds)
    for size in SIZES:
        share_of_step(size, options.rounds)


def made_images(folder: Path, count: int) -> Path:
    """Coloured blots with some noise: JPEGs of about the size of Market-1501's."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        blots = Image.fromarray(random.integers(0, 256, (8, 4, 3), dtype=np.uint8)).resize((64, 128), Image.BICUBIC)
        pixels = np.asarray(blots) + random.normal(0, 6, (128, 64, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=85)
    return folder


def decoding(paths: list[Path], scratch: Path, rounds: int) -> ImageSet:
    records = [ImageRecord(str(path), 1 + number // 16, 1) for number, path in enumerate(paths)]
    for path in paths:
        path.read_bytes()  # what is measured is the decoder, not the disk
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < cores] + [cores]
    builds: dict[int, list[float]] = {count: [] for count in threads}
    for number in range(rounds):
        for count in threads:
            cache = scratch / f"cache{number}-{count}"
            builds[count].append(seconds(lambda c=cache, n=count: load_images(records, c, progress=False, workers=n)))
    opens = [seconds(lambda: load_images(records, cache, progress=False)) for _ in range(rounds)]
    size = sum(path.stat().st_size for path in paths) / len(paths)
    print(f"decoding {len(paths)} JPEGs of {size:,.0f} bytes on average; {cores} cores to use")
    for count, times in builds.items():
        rate = len(paths) / statistics.median(times)
        print(
            f"  {count:2d} threads  {rate:8,.0f} images/s  best {len(paths) / min(times):8,.0f}"
            f"   {MARKET1501:,} images: {MARKET1501 / rate:5.1f} s  (limit 60 s)"
        )
    opened, built = statistics.median(opens), statistics.median(builds[cores])
    print(f"  opening the cache {1000 * opened:6.1f} ms, building it takes {built / opened:,.0f} times as long")
    return load_images(records, cache, progress=False)


def augmentation(data: ImageSet, size: tuple[int, int], peers: dict[str, Callable], rounds: int) -> None:
    """Batches of the same images by ours and by the peers, in turn; both on one thread."""
    config, generator = AugmentConfig(), torch.Generator().manual_seed(0)
    index = torch.randperm(len(data.images), generator=generator)[:BATCH]
    pictures = [Image.fromarray(image.numpy()) for image in data.images[index]]

    def ours() -> torch.Tensor:
        return augment(data.images.index_select(0, index), size, config, generator)

    pipelines = {name: make(size) for name, make in peers.items()}
    runs = {"ours": ours} | {
        name: lambda p=pipeline: torch.stack([p(picture) for picture in pictures])
        for name, pipeline in pipelines.items()
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in range(rounds + 2):
            for name, run in runs.items():
                took = seconds(run, time.thread_time)
                if number >= 2:
                    times[name].append(took)
    finally:
        torch.set_num_threads(before)
    stored = "x".join(map(str, data.images.shape[1:3]))
    print(f"augmenting {len(index)} images of {stored} to {size[0]}x{size[1]}, one thread")
    for name, taken in times.items():
        ratio = statistics.median(their / own for their, own in zip(taken, times["ours"], strict=True))
        beside = "" if name == "ours" else f"   ours is {ratio:.1f} times as fast"
        print(f"  {name:<12} {len(index) / statistics.median(taken):8,.0f} images/s{beside}")


def share_of_step(size: tuple[int, int], rounds: int) -> None:
    recipe = Recipe()
    pids = torch.arange(64).repeat_interleave(16)
    pixels = torch.randint(0, 256, (len(pids), 128, 64, 3), dtype=torch.uint8)
    batches = training_batches(ImageSet(pixels, pids, torch.zeros_like(pids)), recipe, size, 0, CPU)
    task = IdentityTask(build_network(mobilenet_v2(size)), batches.classes, recipe.losses)
    task.to(memory_format=torch.channels_last).train()
    step = TrainingStep(task, recipe, CPU, batches.per_epoch)
    drawn, taken = [], []
    for number in range(rounds + 2):
        batch = []
        epoch = batches.epoch(number + 1)
        next(epoch)  # the sampler draws a whole epoch here
        times = seconds(lambda e=epoch, b=batch: b.append(next(e))), seconds(lambda n=number, b=batch: step(*b[0], n))
        if number >= 2:  # the first steps choose kernels and grow the heap
            drawn.append(times[0])
            taken.append(times[1])
    share = statistics.median(a / b for a, b in zip(drawn, taken, strict=True))
    print(
        f"MobileNetV2 {size[0]}x{size[1]} from 128x64, batch {len(batch[0][1])}, {torch.get_num_threads()} threads: "
        f"batch {1000 * statistics.median(drawn):.1f} ms, step {1000 * statistics.median(taken):.0f} ms, "
        f"share {100 * share:.2f} %  (limit 3 %)"
    )


def seconds(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    run()
    return clock() - start


if __name__ == "__main__":
    main()
