"""An arch as a row of boxes, one per block: the height shows the channels, the colour the kernel size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from evaluation.pictures.style import INK, MUTED, SCALE, new_figure, save_figure
from reid.words import counted
from supernet.arch import INVERTED_RESIDUAL, AnyStage, Arch
from supernet.layers.activations import RELU6
from supernet.omni.arch import OMNI_SCALE

FIXED = "#d5d9de"
"""Colour of the parts that a search does not choose: stem, last convolution, embedding."""

FLOOR, CEILING, LINE = 0.98, 0.72, 0.1
"""Room below and above the middle of the boxes, and the height of one more caption line."""

KERNELS = {3: SCALE(0.12), 5: SCALE(0.45), 7: SCALE(0.75)}


@dataclass(frozen=True)
class Look:
    """How one kind of stage is drawn.

    Attributes:
        word: what the text in a box means.
        text: gives the text of a block's box.
        extras: gives the features of a stage beyond plain blocks, a line each.
    """

    word: str
    text: Callable[..., str]
    extras: Callable[..., dict[str, bool]]


LOOKS = {
    INVERTED_RESIDUAL: Look(
        word="expansion",
        text=lambda block: f"{block.expand}",
        extras=lambda stage: {"SE": stage.se, "IBN": stage.ibn, stage.act: stage.act != RELU6},
    ),
    OMNI_SCALE: Look(
        word="streams x their channels",
        text=lambda block: f"{block.streams}x{block.hidden}",
        extras=lambda stage: {"transition": stage.transition},
    ),
}


@dataclass(frozen=True)
class Box:
    """One layer or block; ``kernel`` is None for layers that are not blocks, ``stage`` None outside stages."""

    channels: int
    text: str
    kernel: int | None
    stage: int | None


def draw_architecture(arch: Arch, path: Path, title: str = "") -> Path:
    """A PNG of ``arch`` from the image on the left to the feature on the right; below each stage its width,
    stride and map, and its features beyond plain blocks.

    A box's height grows with the square root of its channels, ``LOOKS`` gives its text, and its colour is the kernel's.
    """
    boxes = boxes_of(arch)
    further = LINE * max(len(_extras(stage)) for stage in arch.stages)
    height = FLOOR + CEILING + further
    figure = new_figure(max(7.0, 1.6 + 0.42 * len(boxes) + 0.2 * len(arch.stages)), 3.9 * height / (FLOOR + CEILING))
    axes = figure.subplots()
    axes.axis("off")
    tallest = max(box.channels for box in boxes) ** 0.5
    places: list[float] = []
    x = 0.0
    for index, box in enumerate(boxes):
        if index and (boxes[index - 1].stage != box.stage or box.stage is None):
            x += 0.55
        _draw_box(axes, x, box, box.channels**0.5 / tallest)
        places.append(x)
        x += 1.0
    _draw_captions(axes, arch, boxes, places)
    _draw_legend(axes, boxes)
    axes.set_xlim(-0.6, x + 0.4)
    axes.set_ylim(-FLOOR - further, CEILING)
    height, width = arch.input_size
    bold = {"fontsize": 11, "fontweight": "bold", "color": INK}
    axes.set_title(title or "Architecture", loc="left", pad=6, parse_math=False, **bold)
    axes.text(
        -0.36,
        0.66,
        f"{height}x{width} image, {counted(arch.depth, 'block')}, feature of {arch.feature_dim}.  "
        f"In a box: {box_words(arch)}.",
        fontsize=8.5,
        color=MUTED,
        va="top",
    )
    return save_figure(figure, path)


def box_words(arch: Arch) -> str:
    """What the text in a block's box means: ``"expansion"``."""
    return ", ".join(dict.fromkeys(LOOKS[stage.kind].word for stage in arch.stages))


def boxes_of(arch: Arch) -> list[Box]:
    """The boxes of ``arch`` in the order in which an image passes through them."""
    boxes = [Box(arch.stem, "stem", None, None)]
    for number, stage in enumerate(arch.stages):
        text = LOOKS[stage.kind].text
        boxes += [Box(stage.width, text(block), block.kernel, number) for block in stage.blocks]
    if arch.last_width:
        boxes.append(Box(arch.last_width, "1x1", None, None))
    if arch.embedding:
        boxes.append(Box(arch.embedding, "fc", None, None))
    return boxes


def _draw_box(axes: Axes, x: float, box: Box, height: float) -> None:
    colour = FIXED if box.kernel is None else KERNELS.get(box.kernel, SCALE(0.98))
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.36, -height / 2),
            0.72,
            height,
            boxstyle="round,pad=0,rounding_size=0.09",
            mutation_aspect=0.12,
            facecolor=colour,
            edgecolor="white",
            linewidth=0.8,
        )
    )
    dark = box.kernel is not None and box.kernel >= 5
    axes.text(x, 0, box.text, ha="center", va="center", fontsize=8, color="white" if dark else INK)


def _draw_captions(axes: Axes, arch: Arch, boxes: list[Box], places: list[float]) -> None:
    """Draws below the boxes, once per stage: channels, size of the output map, and stride."""
    sizes = list(arch.stage_sizes())
    stem = f"{arch.stem}\n{sizes[0][0]}x{sizes[0][1]}\nstride {4 if arch.stem_pool else 2}"
    for index, (box, x) in enumerate(zip(boxes, places, strict=True)):
        if box.stage is None:
            _caption(axes, x, x, stem if index == 0 else f"{box.channels}")
        elif box.stage != boxes[index - 1].stage:
            stage = arch.stages[box.stage]
            height, width = stage.out_size(*sizes[box.stage])
            lines = [str(stage.width), f"{height}x{width}", f"stride {stage.stride}" if stage.stride > 1 else ""]
            text = "\n".join((*lines, *_extras(stage)))
            _caption(axes, x, places[index + len(stage.blocks) - 1], text)


def _extras(stage: AnyStage) -> list[str]:
    """A stage's features beyond plain blocks, a line each."""
    return [name for name, there in LOOKS[stage.kind].extras(stage).items() if there]


def _caption(axes: Axes, left: float, right: float, text: str) -> None:
    axes.plot([left - 0.36, right + 0.36], [-0.6, -0.6], color="#b6bcc3", linewidth=1.2, solid_capstyle="butt")
    axes.text((left + right) / 2, -0.64, text, ha="center", va="top", fontsize=8, color=INK, linespacing=1.35)


def _draw_legend(axes: Axes, boxes: list[Box]) -> None:
    kernels = sorted({box.kernel for box in boxes if box.kernel is not None})
    handles = [Patch(color=KERNELS.get(kernel, SCALE(0.98)), label=f"kernel {kernel}x{kernel}") for kernel in kernels]
    axes.legend(
        handles=handles,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        ncols=len(handles),
        loc="lower left",
        handlelength=1.1,
        handleheight=1.1,
        bbox_to_anchor=(0, -0.08),
    )
