"""Into how many parts the pictures are dealt, and which part a picture is in."""

import hashlib

import pandas as pd


def shard_of(image_id: str, shards: int) -> int:
    """Return the shard of a picture, 0..shards-1: by a hash of its name, the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big") % shards


def pictures_of_shard(manifest: pd.DataFrame, shard: int, shards: int) -> pd.DataFrame:
    """Return the readable pictures of one shard, in the order of their names.

    Args:
        manifest: The table `raw_images`.
        shard: Which.
        shards: Of how many.

    Returns:
        `image_id`, `sha256` and `path`.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "path"]]
    here = [shard_of(image_id, shards) == shard for image_id in readable["image_id"]]
    return readable[here].sort_values("image_id", ignore_index=True)


def shard_names(shards: int) -> list[str]:
    """Return the names of the assets that hold the shards."""
    return [f"image_shard_{number:02d}" for number in range(shards)]
