"""Plain functions from scores, labels or embeddings to numbers: ROC, two-sample criteria, guards. numpy only."""
