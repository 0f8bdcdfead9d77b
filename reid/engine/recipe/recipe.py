"""``Recipe``: how a network is trained. One recipe runs on any network."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.augment import AugmentConfig
from reid.data.samplers import SamplerKind
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.divergence import GuardConfig
from reid.engine.recipe.optimizers import OptimizerConfig
from reid.engine.recipe.schedule import ScheduleConfig
from reid.engine.recipe.stopping import EarlyStopping
from reid.losses.config import LossConfig
from reid.models.heads.config import HeadConfig
from reid.models.residuals import ZeroInit
from reid.numbers import Count, Epochs, Positive, Several, Whole
from reid.words import counted


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """Everything about a training except the data and the network's backbone.

    Attributes:
        source: what the recipe follows and what to expect of it, in one line for the log.
        epochs: passes over the training images.
        sampler: how batches are drawn; ``random`` takes ``identities * instances`` images at a time.
        identities, instances: P and K of the PK batch, over all processes.
        head: turns the backbone's feature map into a vector.
        zero_init_residual: whether residual branches of a fresh network start at 0, or in which blocks
            (``reid.models.residuals.ZeroInit``); no effect on a network that starts from given weights.
        precision: ``bf16`` and ``fp16`` run the backbone under autocast; head, classifiers and losses are fp32.
        channels_last: whether weights and maps use channels-last memory format, which makes convolutions faster on most
            machines; the result is the same up to rounding.
        compile: whether ``torch.compile`` makes the backbone's kernels, which add up in another order.
        cuda_graph: whether a CUDA GPU replays a recorded forward and backward pass, if all steps are alike
            (``reid.engine.cuda_graph``); the numbers are the same as when kernels are launched one by one.
        clip_gradient: maximum global L2 norm of the gradient, or null.
        averaging: the weights to keep: the last ones, or an average over steps (EMA) or epochs (SWA).
        evaluate_every: epochs between evaluations on the monitor set, if there is one; 0 for never.
        checkpoint_every: epochs between checkpoints. There is also one at the end and, with ``keep_best``, after each
            epoch that is the best so far. After an interruption, epochs since the last checkpoint are trained again
            (except for long epochs: ``reid.engine.partway``). If an epoch takes a second, writing one after each takes
            a tenth of the time.
        keep_best: whether to write the weights of the best evaluation on the monitor set too.
        early_stopping: ends the training when the monitor metric no longer improves; null for never.
        guard: what to do about a training that blows up.
        sync_batch_norm: whether BN statistics cover the batches of all processes, as in a single one.
    """

    source: str = ""
    epochs: Epochs = 60
    sampler: SamplerKind = "pk"
    identities: Several = 16
    instances: Several = 4
    head: HeadConfig = HeadConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    augment: AugmentConfig = AugmentConfig()
    losses: LossConfig = LossConfig()
    zero_init_residual: ZeroInit = False
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    cuda_graph: bool = True
    clip_gradient: Positive | None = None
    averaging: AveragingConfig = AveragingConfig()
    evaluate_every: Whole = 0
    checkpoint_every: Count = 1
    keep_best: bool = False
    early_stopping: EarlyStopping | None = None
    guard: GuardConfig = GuardConfig()
    sync_batch_norm: bool = True

    @model_validator(mode="after")
    def _cools_down_within(self):
        schedule, rounded = self.schedule, 1e-9 * self.epochs
        begins = self.epochs - schedule.cool_down
        # One that begins with the warm-up would fall from the warm-up's initial rate.
        if begins < -rounded or begins <= rounded and (schedule.warmup or schedule.warmup_steps):
            raise ValueError(
                f"schedule.cool_down {schedule.cool_down:g}: the training has {counted(self.epochs, 'epoch')}, which "
                "leaves none before it; give fewer"
            )
        return self
