"""Assets of the stage `dataset`."""

import warnings

import dagster as dg
import pandas as pd
from dagster_pandera import pandera_schema_to_dagster_type

from derma_assets.dataset.figures import arrays_figure, class_counts, class_counts_figure, pictures_figure
from derma_assets.dataset.here import on_this_host, picture_files
from derma_assets.dataset.image_arrays import ImageArrays, build_image_arrays
from derma_assets.dataset.incoming import read_batches, with_batches
from derma_assets.dataset.manifest import build_manifest, manifest_fingerprint, previous_manifest, problems
from derma_assets.dataset.metadata_schema import SCHEMA, read_metadata
from derma_assets.dataset.source import locate_dataset
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.storage.published import fetched_path
from derma_assets.ui_metadata import figure, note, table_preview

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
def raw_metadata() -> dg.MaterializeResult:
    """HAM10000's metadata, one row per picture in the order of the file, every value checked; then those dropped since.

    Read the counts by lesion, not by image: pictures of one lesion are nearly copies of each other, and the rarest
    diagnosis decides how far the results can be trusted. A file that breaks the schema stops here, each wrong value
    named by its line.
    """
    dataset = locate_dataset(settings())
    batches = read_batches(settings().incoming)
    metadata = with_batches(read_metadata(dataset.metadata), batches)
    counts = class_counts(metadata)
    return dg.MaterializeResult(
        value=metadata,
        metadata={
            "images": len(metadata),
            "lesions": int(metadata["lesion_id"].nunique()),
            "batches_taken_in": sum(batch.is_whole for batch in batches),
            "batches_waiting": dg.MetadataValue.json(
                {batch.folder.name: batch.waiting_for[:5] for batch in batches if not batch.is_whole}
            ),
            "missing_ages": int(metadata["age"].isna().sum()),
            **{f"images_{dx}": int(images) for dx, images in zip(counts["dx"], counts["images"], strict=True)},
            "classes": table_preview(counts),
            "class_counts": figure(class_counts_figure(metadata)),
            "preview": table_preview(metadata),
            "file": dg.MetadataValue.path(str(dataset.metadata)),
            "dagster/column_schema": Ham10000Metadata.metadata["schema"],
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(metadata)),
    )


@stage_asset("dataset", kinds={"pandas", "pillow"}, io_manager_key="table", code_version="1", reuse=False)
def raw_images(raw_metadata: pd.DataFrame) -> dg.MaterializeResult:
    """The manifest of pictures: for each row of the metadata its file's path, state, SHA-256 and perceptual hash.

    Look at `status`: a missing, empty, truncated or foreign file has a row that says so and is left out of training;
    more of them than `DERMA_ALLOWED_UNREADABLE` stop the run. A file unchanged since the last run is not read again.
    """
    dataset = locate_dataset(settings())
    previous = previous_manifest(fetched_path(settings().store, "raw_images", "table"))
    pictures = picture_files(dataset, settings().incoming)
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
            "pictures_by_class": figure(pictures_figure(raw_metadata, manifest.table)),
            "preview": table_preview(manifest.table),
            "folder": dg.MetadataValue.path(str(dataset.folder)),
            "note": note(),
        },
        data_version=dg.DataVersion(manifest_fingerprint(manifest.table)),
    )


@stage_asset(
    "dataset", kinds={"numpy", "pillow"}, io_manager_key="folder", code_version="1", reads_settings=["image_size"]
)
def image_arrays(raw_images: pd.DataFrame) -> dg.MaterializeResult:
    """Every readable picture at the model's size (`DERMA_IMAGE_SIZE`), as one memory-mapped array of 8-bit RGB.

    The figure shows what the model sees: upright, cut to the central square, scaled down. `decoded` counts the
    pictures whose file or size has changed since the last run; the others are copied from it.
    """
    store = settings().store
    with building_folder(store, "image_arrays") as folder:
        counts = build_image_arrays(
            on_this_host(raw_images, settings()),
            settings().image_size,
            folder,
            previous=fetched_path(store, "image_arrays", "folder"),
        )
        arrays = ImageArrays.open(folder)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "pictures": len(arrays.pixels),
            "left_out": len(raw_images) - len(arrays.pixels),
            "size_px": arrays.size,
            "decoded": counts.decoded,
            "copied": counts.reused,
            "megabytes": round(arrays.pixels.nbytes / 1e6, 1),
            "as_the_model_sees_them": figure(arrays_figure(arrays.pixels)),
            "preview": table_preview(arrays.index),
            "note": note(),
        },
        data_version=dg.DataVersion(arrays.fingerprint),
    )
