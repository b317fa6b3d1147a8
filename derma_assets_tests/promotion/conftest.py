"""Two machines that share a bucket, as for the assets."""

from derma_assets_tests.storage.conftest import proxy, server, shared

__all__ = ["proxy", "server", "shared"]
