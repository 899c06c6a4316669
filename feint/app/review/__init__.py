"""The review page: the images of a run in the order of their p-values, marked by people, and a refit with the marks."""
