"""Where assets are kept: the only place that builds a path of the store."""
