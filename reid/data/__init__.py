"""Data sets, identity splits, the decoded-image cache, the PK sampler, batched augmentation, synthetic pedestrians."""
