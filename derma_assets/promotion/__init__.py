"""Which bundle a clinic is served: a new one only if it is not worse than the one that is served now."""
