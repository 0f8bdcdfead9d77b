"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) of a retrieval, in bounded memory.

Features (or distances) to neighbour lists (``neighbours``), to sparse k-reciprocal encodings (``encoding``), to
Jaccard distances blended with the original ones (``jaccard``). ``docs/reranking.md`` has the definition, the
differences of other implementations and the measured cost.
"""

from evaluation.reranking.rerank import ReRanking, rerank_blocks, rerank_distances, rerank_from_distances

__all__ = ["ReRanking", "rerank_blocks", "rerank_distances", "rerank_from_distances"]
