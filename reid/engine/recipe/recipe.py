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
        source: what the recipe follows and what to expect of it, in one line; for the log.
        epochs: passes over the training images.
        sampler: how batches are drawn; ``random`` takes ``identities * instances`` images at a time.
        identities, instances: P and K of the PK batch, over all processes.
        head: what makes a vector of the backbone's feature map.
        zero_init_residual: whether the residual branches of a fresh network begin at 0, or of which blocks alone
            (``reid.models.residuals.ZeroInit``); no effect on a network that starts from given weights.
        precision: ``bf16`` and ``fp16`` run the backbone under autocast; head, classifiers and losses are fp32.
        channels_last: whether weights and maps are in channels-last memory format, with which convolutions are faster
            on most machines; the result is the same up to rounding.
        compile: whether ``torch.compile`` makes the backbone's kernels; their sums have another order.
        cuda_graph: whether a CUDA GPU replays the recorded forward and backward pass of a step, where all steps are
            alike (``reid.engine.cuda_graph``); the numbers are the same as when launched kernel by kernel.
        clip_gradient: greatest global L2 norm of the gradient, or null.
        averaging: the weights that are kept: the last ones, or an average over steps (EMA) or epochs (SWA).
        evaluate_every: epochs between evaluations on the monitor set, where there is one; 0 for never.
        checkpoint_every: epochs between checkpoints; there is one at the end too, and with ``keep_best`` after each
            epoch that is the best so far. Epochs since the last one are trained again after an interruption (except
            for long epochs: ``reid.engine.partway``). If an epoch takes a second, writing one after each takes a tenth
            of the time.
        keep_best: also write the weights of the best evaluation on the monitor set.
        early_stopping: ends the training when the monitor metric no longer improves; null for never.
        guard: what to do about a training that blows up.
        sync_batch_norm: BN statistics over the batches of all processes, as in a single one.
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
        # One that begins with the warm-up would fall from the warm-up's first rate.
        if begins < -rounded or begins <= rounded and (schedule.warmup or schedule.warmup_steps):
            raise ValueError(
                f"schedule.cool_down {schedule.cool_down:g}: the training has {counted(self.epochs, 'epoch')}, which "
                "leaves none before it; give fewer"
            )
        return self
