"""ReID networks: a backbone that gives a feature map, a head that makes a feature vector of it, and the baselines."""
