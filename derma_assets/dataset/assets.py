"""Assets of the stage `dataset`."""

import warnings
from pathlib import Path

import dagster as dg
import pandas as pd
from dagster_pandera import pandera_schema_to_dagster_type

from derma_assets.dataset.figures import arrays_figure, class_counts, class_counts_figure, pictures_figure
from derma_assets.dataset.here import on_this_host, picture_files
from derma_assets.dataset.image_arrays import ImageArrays, build_shard, gather_shards
from derma_assets.dataset.incoming import TAKEN_IN, read_batches, stop_if_damaged, with_batches
from derma_assets.dataset.manifest import build_manifest, known_files, manifest_fingerprint, problems
from derma_assets.dataset.metadata_schema import SCHEMA, read_metadata
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.dataset.shards import pictures_of_shard, shard_names
from derma_assets.dataset.source import locate_dataset
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.storage.published import what_was_stored
from derma_assets.ui_metadata import Later, figure, note, table_preview

with warnings.catch_warnings():
    # dagster-pandera calls this function beta; its version is pinned.
    warnings.simplefilter("ignore", dg.BetaWarning)
    Ham10000Metadata = pandera_schema_to_dagster_type(SCHEMA)


@stage_asset(
    "dataset",
    kinds={"pandas"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["dataset", "ham10000_dir", "seed"],
    dagster_type=Ham10000Metadata,
    reuse=False,
    automatic=False,
)
def raw_metadata(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """HAM10000's metadata, one row per picture in the order of the file, every value checked; then those dropped since.

    Read the counts by lesion, not by image: pictures of one lesion are nearly copies of each other, and the rarest
    diagnosis decides how far the results can be trusted. A file that breaks the schema stops here, each wrong value
    named by its line; so does a batch that was taken in earlier and is no longer whole. `files_read` counts the dropped
    pictures that were read, to see whether they are whole: those that `raw_images` does not know yet.
    """
    dataset, store = locate_dataset(settings()), settings().store
    known = None if context.resources.reuse.force else earlier_table(store, "raw_images")
    batches = read_batches(settings().incoming, known_files(known))
    metadata = with_batches(read_metadata(dataset.metadata), batches)
    earlier = earlier_table(store, "raw_metadata")
    if earlier is not None:
        stop_if_damaged(batches, metadata, earlier["image_id"], earlier.attrs.get(TAKEN_IN, ()))
    metadata.attrs[TAKEN_IN] = [batch.folder.name for batch in batches if batch.is_whole]
    counts = class_counts(metadata)
    return dg.MaterializeResult(
        value=metadata,
        metadata={
            "images": len(metadata),
            "lesions": int(metadata["lesion_id"].nunique()),
            "batches_taken_in": len(metadata.attrs[TAKEN_IN]),
            "files_read": sum(batch.examined for batch in batches),
            "batches_waiting": dg.MetadataValue.json(
                {batch.folder.name: batch.waiting_for[:5] for batch in batches if not batch.is_whole}
            ),
            "missing_ages": int(metadata["age"].isna().sum()),
            **{f"images_{dx}": int(images) for dx, images in zip(counts["dx"], counts["images"], strict=True)},
            "classes": table_preview(counts),
            "class_counts": Later(lambda: figure(class_counts_figure(metadata))),
            "preview": table_preview(metadata),
            "file": dg.MetadataValue.path(str(dataset.metadata)),
            "dagster/column_schema": Ham10000Metadata.metadata["schema"],
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(metadata)),
    )


@stage_asset("dataset", kinds={"pandas", "pillow"}, io_manager_key="table", code_version="1", reuse=False)
def raw_images(context: dg.AssetExecutionContext, raw_metadata: pd.DataFrame) -> dg.MaterializeResult:
    """The manifest of pictures: for each row of the metadata its file's path, state, SHA-256 and perceptual hash.

    Look at `status`: a missing, empty, truncated or foreign file has a row that says so and is left out of training;
    more of them than `DERMA_ALLOWED_UNREADABLE` stop the run. A file unchanged since the last run is not read again.
    """
    dataset = locate_dataset(settings())
    previous = None if context.resources.reuse.force else earlier_table(settings().store, "raw_images")
    pictures = picture_files(dataset, settings().incoming, raw_metadata.attrs.get(TAKEN_IN, ()))
    manifest = build_manifest(raw_metadata["image_id"].tolist(), pictures, dataset.folder, previous)
    unreadable = problems(manifest.table)
    return dg.MaterializeResult(
        value=manifest.table,
        metadata={
            "pictures": len(manifest.table),
            "readable": len(manifest.table) - len(unreadable),
            "unreadable": len(unreadable),
            "files_read": manifest.read,
            "files_unchanged": manifest.unchanged,
            "megabytes": round(float(manifest.table["bytes"].sum()) / 1e6, 1),
            "problems": table_preview(unreadable, rows=50) if len(unreadable) else "none",
            "pictures_by_class": Later(lambda: figure(pictures_figure(raw_metadata, manifest.table))),
            "preview": table_preview(manifest.table),
            "folder": dg.MetadataValue.path(str(dataset.folder)),
            "note": note(),
        },
        data_version=dg.DataVersion(manifest_fingerprint(manifest.table)),
    )


def _image_shard(shard: int, shards: int) -> dg.AssetsDefinition:
    def decides(raw_images: pd.DataFrame) -> list[list[str]]:
        return pictures_of_shard(raw_images, shard, shards)[["image_id", "sha256"]].to_numpy().tolist()

    def decode_shard(raw_images: pd.DataFrame) -> dg.MaterializeResult:
        """The readable pictures of one part of the data, at the model's size (`DERMA_IMAGE_SIZE`), as 8-bit RGB.

        A picture is in the part that a hash of its name says. `decoded` counts the pictures whose file or size has
        changed since the last run; the others are copied from it. New pictures elsewhere do not touch this part.
        """
        store, pictures = settings().store, on_this_host(pictures_of_shard(raw_images, shard, shards), settings())
        earlier = (what_was_stored(store, asset, "folder") for asset in (name, "image_arrays"))
        with building_folder(store, name) as folder:
            counts = build_shard(pictures, settings().image_size, folder, filter(None, earlier))
            arrays = ImageArrays.open(folder)
        return dg.MaterializeResult(
            value=folder,
            metadata={
                "pictures": len(arrays.pixels),
                "decoded": counts.decoded,
                "copied": counts.reused,
                "megabytes": round(arrays.pixels.nbytes / 1e6, 1),
                "preview": table_preview(arrays.index),
                "note": note(),
            },
            data_version=dg.DataVersion(arrays.fingerprint),
        )

    name = decode_shard.__name__ = shard_names(shards)[shard]
    return stage_asset(
        "dataset",
        kinds={"numpy", "pillow"},
        io_manager_key="folder",
        code_version=f"1-{PREPROCESSING_VERSION}",
        reads_settings=["image_size"],
        decided_by={"raw_images": decides},
    )(decode_shard)


image_shards = [_image_shard(shard, settings().shards) for shard in range(settings().shards)]


@stage_asset(
    "dataset",
    kinds={"numpy"},
    io_manager_key="folder",
    code_version="2",
    ins={name: dg.AssetIn(name) for name in shard_names(settings().shards)},
)
def image_arrays(**shards: Path) -> dg.MaterializeResult:
    """Every readable picture at the model's size, gathered from the shards (`DERMA_SHARDS`): the same for any number.

    The figure shows what the model sees: upright, cut to the central square, scaled down.
    """
    with building_folder(settings().store, "image_arrays") as folder:
        gather_shards([shards[name] for name in sorted(shards)], folder)
        arrays = ImageArrays.open(folder)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "pictures": len(arrays.pixels),
            "size_px": arrays.size,
            "shards": len(shards),
            "megabytes": round(arrays.pixels.nbytes / 1e6, 1),
            "as_the_model_sees_them": figure(arrays_figure(arrays.pixels)),
            "preview": table_preview(arrays.index),
            "note": note(),
        },
        data_version=dg.DataVersion(arrays.fingerprint),
    )
