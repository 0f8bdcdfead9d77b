"""A predictor of candidates' scores, learnt from those that a search has evaluated.

predictor = fit_predictor(space, candidates)
predictor.predict(archs)                       # expected scores
cross_validated_rank(space, candidates)        # how well it orders unseen candidates
"""

from search.predictor.encoding import encode
from search.predictor.model import Predictor, fit_predictor
from search.predictor.validation import cross_validated_rank

__all__ = ["Predictor", "cross_validated_rank", "encode", "fit_predictor"]
