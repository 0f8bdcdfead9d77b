"""``HeadConfig``: the layers between a backbone's feature map and the vector that persons are compared by."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import Count, Positive

Pool = Literal["avg", "max", "avg_max", "gem"]
Neck = Literal["bnneck", "bn", "none"]
Update = Literal["all", "random", "max_loss"]

Part = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class FeatureEraseConfig:
    """A random rectangle of the feature map is zeroed in training; see ``FeatureErase``.

    Attributes:
        height, width: sides of the rectangle as shares of the map's; width 1 is a horizontal stripe. The defaults are
            those of batch drop block (Dai et al. 2019).
        probability: chance that anything is erased: drawn once for the batch, or for each image where ``per_image``.
        per_image: a rectangle of its own for each image; otherwise all images of the batch lose the same one, so that
            the triplets are compared on what is left of the body in both.
    """

    height: Part = 0.33
    width: Part = 1.0
    probability: Part = 1.0
    per_image: bool = False

    @model_validator(mode="after")
    def _leaves_something(self):
        if self.height == 1 and self.width == 1:
            raise ValueError("height and width are both 1, which erases the whole map; lower one of them")
        return self


@dataclass(frozen=True, config=STRICT)
class SpectralConfig:
    """Spectral feature transformation (Luo et al. 2019): the batch's blurred vectors are classified too, in training.

    Attributes:
        temperature: of the softmax over the cosines of the batch; the authors train with 0.1. The smaller, the nearer
            each vector stays to itself.
        weight: of the additional classification loss, beside 1 for the ordinary one.
    """

    temperature: Positive = 0.1
    weight: Positive = 1.0


@dataclass(frozen=True, config=STRICT)
class PartsConfig:
    """Horizontal stripes, each with an embedding and a classifier of its own: PCB (Sun et al. 2018).

    Attributes:
        stripes: equal parts of the map's height; 6 in the paper. Where the height is no multiple of it, neighbouring
            stripes share a row, as in adaptive pooling.
        embedding: length of each stripe's vector.
        dropout: rate on the feature map before it is cut into stripes.
        neck: after each stripe's embedding; its own BN for every stripe.
        mask: the stripes' vectors are multiplied by gates computed from the whole map; see ``FeatureMask``.
        global_branch: the ordinary head beside the stripes; metric losses then see its feature, otherwise the stripes'
            features concatenated.
        update: which vectors' classification losses count in a step; see ``select_parts``.
        drop: how many of them ``random`` leaves out of each step.
        retrieve: ``all`` compares persons by the concatenated vectors of all branches; ``global`` by the global
            branch's alone, and the stripes then serve training only: inference does not compute them.
    """

    stripes: Annotated[int, Field(ge=2, le=8)] = 6
    embedding: Count = 256
    dropout: Rate = 0.0
    neck: Neck = "bn"
    mask: bool = False
    global_branch: bool = True
    update: Update = "all"
    drop: Count = 1
    retrieve: Literal["all", "global"] = "all"

    @model_validator(mode="after")
    def _consistent(self):
        if self.retrieve == "global" and not self.global_branch:
            raise ValueError("retrieve is 'global' without a global branch; set global_branch to true")
        branches = self.stripes + self.global_branch
        if self.update == "random" and self.drop >= branches:
            raise ValueError(f"drop {self.drop} leaves none of the {branches} branches; set it below {branches}")
        return self


@dataclass(frozen=True, config=STRICT)
class HeadConfig:
    """Any head, for any backbone. The default is average pooling and a BNNeck (Luo et al. 2019, "Bag of tricks").

    Attributes:
        pool: ``avg``, ``max``, ``avg_max`` (the mean of both) or ``gem`` (generalised mean, Radenovic et al. 2018).
        gem_p, gem_trainable: GeM's exponent at the start, and whether it is trained. The stripes' exponents are their
            own.
        embedding: outputs of a linear layer without bias after the pooling, or null for the pooled vector itself. That
            of the stripes is ``parts.embedding``.
        neck: ``bnneck`` is a BN whose shift stays 0, ``bn`` one with a trained shift. That of the stripes is
            ``parts.neck``.
        relu: a ReLU after the ordinary head's neck: with ``embedding`` and ``bn`` that is the ``fc`` of torchreid's
            OSNet (Zhou et al. 2019), whose output serves both classification and retrieval.
        mask: the vector is multiplied by gates computed from the pooled one; see ``FeatureMask``.
        dropout: rate on every vector right before its classifier; vectors for retrieval or metric losses have none.
        normalize: the retrieval vector has L2 norm 1, so that Euclidean and cosine ranks agree. With parts, each
            branch's vector is normalised, so that all count equally, and then their concatenation. Classified vectors
            stay as they are: a linear classifier of unit vectors cannot become confident.
        erase: feature erasing in training, before all branches. Beside stripes use a height below a stripe's.
        parts: stripes beside or instead of the ordinary head.
        spectral: spectral feature transformation of the ordinary head's vector.
    """

    pool: Pool = "avg"
    gem_p: Positive = 3.0
    gem_trainable: bool = True
    embedding: Count | None = None
    neck: Neck = "bnneck"
    relu: bool = False
    mask: bool = False
    dropout: Rate = 0.0
    normalize: bool = False
    erase: FeatureEraseConfig | None = None
    parts: PartsConfig | None = None
    spectral: SpectralConfig | None = None

    @model_validator(mode="after")
    def _global_branch_where_needed(self):
        if self.parts is not None and not self.parts.global_branch:
            if self.spectral is not None:
                raise ValueError("spectral works on the global branch; set parts.global_branch to true")
            if self.embedding is not None:
                raise ValueError(
                    "embedding belongs to the global branch; set parts.embedding instead, or parts.global_branch to "
                    "true"
                )
            if self.neck != "bnneck":
                raise ValueError(
                    "neck belongs to the global branch; set parts.neck instead, or parts.global_branch to true"
                )
            if self.relu:
                raise ValueError("relu belongs to the global branch; set parts.global_branch to true")
            if self.mask:
                raise ValueError(
                    "mask belongs to the global branch; set parts.mask instead, or parts.global_branch to true"
                )
        return self


DEFAULT_HEAD = HeadConfig()
