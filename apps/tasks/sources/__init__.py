"""Places of pictures outside the platform, which the estimator reads: one module each."""
