"""Fixtures of more than one stage. One server for all: a client is bound to the first address that it is made for."""

from derma_assets_tests.shared_bucket import new_client, proxy, server, shared

__all__ = ["new_client", "proxy", "server", "shared"]
