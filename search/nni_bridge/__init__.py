"""All that imports nni: the space, the search and the engine as NNI knows them."""
