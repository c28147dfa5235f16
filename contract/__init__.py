"""The contract suite: whether a server keeps `openapi.yaml`. Knows HTTP and that file alone."""
