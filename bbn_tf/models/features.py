"""BBN's features by name: how the classifier uses them, and which branches a second stage takes them from."""

# Arguments of `CumulativeClassifier`.
FEATURE_CONVENTIONS = {
    "published_code": {"feature_scale": 2.0, "use_bias": True},
    "paper": {"feature_scale": 1.0, "use_bias": False},
}
BRANCH_ALPHAS = {"both": 0.5, "conventional": 1.0, "rebalancing": 0.0}
