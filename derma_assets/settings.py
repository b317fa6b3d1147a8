"""Every setting of the project, read once from environment variables that start with `DERMA_`.

A setting left empty takes the default of the chosen data set (`DATASET_DEFAULTS`): the embedded sample is
small, synthetic and trained from scratch; HAM10000 is fine-tuned from ImageNet weights.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from derma_assets.errors import UserError
from derma_assets.storage.paths import promoted_path, store_path

DATASET_DEFAULTS: dict[str, dict[str, Any]] = {
    "sample": {
        "image_size": 96,
        "backbone_weights": "random",
        "alpha": 0.25,
        "recipe": "sample",
        "validation_fraction": 0.2,
        "test_fraction": 0.2,
        "latency_runs": 5,
        "shards": 4,
        "sensitivity_margin": 0.25,
        "ece_margin": 0.1,
    },
    "ham10000": {
        "image_size": 160,
        "backbone_weights": "imagenet",
        "alpha": 1.0,
        "validation_fraction": 0.1,
        "test_fraction": 0.1,
    },
}


class Settings(BaseSettings):
    """Settings of one process. See each field's description for its environment variable's meaning."""

    model_config = SettingsConfigDict(env_prefix="DERMA_", env_ignore_empty=True, frozen=True)

    dataset: Literal["sample", "ham10000"] = Field(
        "sample", description="Which data set: `sample` is generated, `ham10000` is the real one."
    )
    ham10000_dir: Path | None = Field(
        None,
        description="Folder that holds HAM10000 in Dataverse's layout. Empty: it is downloaded from Harvard Dataverse.",
    )
    dataverse_url: str = Field(
        "https://dataverse.harvard.edu", description="The Dataverse installation to download HAM10000 from."
    )
    data_dir: Path = Field(Path("data"), description="Folder that everything a run writes goes under.")
    storage: str = Field(
        "",
        description="Where assets are stored: a folder, or s3://bucket/prefix of any S3 server, whose address, region "
        "and keys are read from AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. "
        "Empty: `store` below the data folder; docs/storage.md.",
    )
    storage_attempts: int = Field(
        5, ge=1, description="How often a request to object storage is tried before the run fails."
    )
    storage_timeout_s: float = Field(
        30,
        gt=0,
        description="How long, in seconds, object storage may keep silent in a request before it is tried again.",
    )
    incoming_dir: Path | None = Field(
        None,
        description="Folder that new pictures are dropped into, in a folder of their own with a metadata.csv each. "
        "Empty: `incoming/<data set>` below the data folder.",
    )
    image_size: int = Field(160, ge=32, le=512, description="Side, in pixels, of the square picture the model sees.")
    shards: int = Field(
        8,
        ge=1,
        le=100,
        description="Into how many parts the decoded pictures are dealt: so many steps decode side by side, and new "
        "pictures touch only the parts they fall into. No result depends on it.",
    )
    release_dir: Path | None = Field(
        None, description="Folder of the release, a trained model that ships. Empty: `release` below the data folder."
    )
    backbone_weights: str = Field(
        "imagenet",
        description="`imagenet` (of MobileNet downloaded by Keras, of EfficientNet-Lite0 installed with the project), "
        "`random`, `release` (the backbone of the released model, which must be the same network, width and split), or "
        "the path of a file of the network's weights.",
    )
    backbone: Literal["mobilenet", "efficientnet_lite0"] = Field(
        "mobilenet", description="Which convolutional network the classifier is made of, see `training/backbones.py`."
    )
    alpha: float = Field(1.0, gt=0, le=1, description="Width multiplier of the backbone.")
    trainable_layers: int | None = Field(
        None, ge=0, description="How many of the backbone's last layers are trained. Empty: all."
    )
    recipe: Literal["default", "paper", "continued", "sample"] = Field(
        "default", description="Training recipe, see `training/recipe.py`."
    )
    precision: Literal["auto", "float32"] = Field(
        "auto",
        description="`auto`: training multiplies in bfloat16 or float16 where the machine does so natively (GPUs from "
        "2018 on, processors with AMX). `float32`: never.",
    )
    cluster_wait_s: float = Field(
        600, gt=0, description="How long, in seconds, the processes of a TF_CONFIG wait for each other to start."
    )
    epochs: int | None = Field(None, ge=1, description="Epochs to train for. Empty: what the recipe says.")
    seed: int = Field(42, ge=0, description="Seed of splits, sample, training and bootstrap.")
    validation_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of lesions held out for validation.")
    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of lesions held out for test.")
    folds: int = Field(5, ge=2, description="Number of lesion-grouped folds written beside the split.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of lesions behind each 95 % interval.")
    melanoma_specificity: float = Field(
        0.95, gt=0, lt=1, description="Specificity on validation at which melanoma's operating point is set."
    )
    referral_sensitivity: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Sensitivity on validation at which the referral operating point is set.",
    )
    clinic_prevalence: float = Field(
        0.02, gt=0, lt=1, description="Share of malignant lesions in the clinic that `decision_curve` is weighted to."
    )
    external_datasets: Annotated[dict[str, Path], NoDecode] = Field(
        {},
        description="Data sets of others to validate on: `name=folder,name2=folder2`; docs/external_validation.md.",
    )
    allowed_unreadable: int = Field(
        0, ge=0, description="How many missing or unreadable pictures a run may leave out; more stop it."
    )
    bundle_variant: Literal["float32", "float16", "uint8"] = Field(
        "uint8",
        description="How the model in the bundle keeps its weights; tfjs_model lists what each loses on test.",
    )
    time_budget_ms: int = Field(
        300,
        ge=0,
        description="How long, in milliseconds, the app may take for one picture with more than one view of it. "
        "0: always one view.",
    )
    latency_runs: int = Field(
        10,
        ge=2,
        description="Measured runs behind each row of latency_benchmark; the embedded sample: 5, at full speed only.",
    )
    automatic: bool = Field(
        False,
        description="Whether `dagster dev` watches for new pictures and makes again what they change, from its start.",
    )
    watch_seconds: int = Field(
        30,
        ge=1,
        description="How often, in seconds, the folder of new pictures is looked at; a batch is taken in once two "
        "looks in a row find it the same.",
    )
    webhook: str | None = Field(
        None, description="Address that is told of every failed run, as JSON. It may be a secret: it is never shown."
    )
    retrain_lesions: int = Field(
        50,
        ge=0,
        description="New lesions that make a run that nobody asked for train a new model; fewer wait for the weekly "
        "schedule, or for someone who materializes training_set.",
    )
    promote: Literal["gate", "always", "never"] = Field(
        "gate",
        description="When released_bundle serves a new bundle. `gate`: if it passed every blocking check and is no "
        "worse than the one served now. `always`: if it passed them. `never`: not.",
    )
    sensitivity_margin: float = Field(
        0.05,
        gt=0,
        le=1,
        description="By how much a new model's sensitivity on test, to melanoma and to what is to be referred, may be "
        "worse than the served one's. Of the few lesions that the embedded sample has on test, one more found or "
        "missed moves it by up to a tenth; there: 0.25.",
    )
    ece_margin: float = Field(
        0.02,
        gt=0,
        le=1,
        description="By how much a new model's calibration error on test may be worse than the served one's. On few "
        "pictures the error itself varies by more than on many; the embedded sample's 70: 0.1.",
    )
    force: bool = Field(False, description="Compute everything that is asked for anew, whatever is stored.")
    browser: Path | None = Field(
        None,
        description="Chromium-like browser for browser_parity and latency_benchmark. Empty: the first one on the PATH.",
    )
    executor: Literal["in_process", "multiprocess", "celery", "k8s"] = Field(
        "in_process",
        description="Where the steps of a run are computed: in one process, in several, by the workers of `celery` on "
        "any number of hosts, or in a pod each on Kubernetes (`k8s`). docs/cluster.md.",
    )
    broker_url: SecretStr | None = Field(
        None,
        description="Address of RabbitMQ for `celery`, `amqp://user:password@host:5672//`. It is a secret: it is never "
        "shown.",
    )

    @field_validator("broker_url")
    @classmethod
    def _is_of_rabbitmq(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("amqp://", "amqps://")):
            raise ValueError("the broker is RabbitMQ, its address starts with amqp:// or amqps://")
        return value

    @field_validator("external_datasets", mode="before")
    @classmethod
    def _split_external_datasets(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found: dict[str, Path] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, equals, folder = (piece.strip() for piece in part.partition("="))
            if not equals or not folder or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise ValueError(
                    f"{part!r} is not name=folder (a name is letters, digits, - and _), several separated by commas"
                )
            if name in found:
                raise ValueError(f"the name {name} is there twice")
            found[name] = Path(folder).expanduser()
        return found

    @field_validator("storage")
    @classmethod
    def _check_storage(cls, value: str) -> str:
        if "://" not in value:
            return value
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[^/?#]+)*/?", value):
            raise ValueError("neither a folder nor s3://bucket/prefix (keys go into AWS_ACCESS_KEY_ID and so on)")
        return value

    @model_validator(mode="before")
    @classmethod
    def _take_defaults_of_the_dataset(cls, values: dict[str, Any]) -> dict[str, Any]:
        defaults = DATASET_DEFAULTS.get(values.get("dataset", "sample"), {})
        return {**defaults, **values}

    @property
    def root(self) -> Path:
        """Absolute `data_dir`."""
        return self.data_dir.expanduser().resolve()

    @property
    def store(self) -> Path:
        """Folder of the stored assets of this data set; of object storage, that of the working copy."""
        return store_path(self.root, self.storage, self.dataset)

    @property
    def served(self) -> Path:
        """Folder of the promoted bundles of this data set; with object storage, that of the working copy."""
        return promoted_path(self.root, self.dataset, self.storage)

    @property
    def incoming(self) -> Path:
        """Folder that new pictures of this data set are dropped into; nothing needs to be there."""
        return self.incoming_dir.expanduser().resolve() if self.incoming_dir else self.root / "incoming" / self.dataset

    @property
    def release(self) -> Path:
        """Folder of the release; nothing needs to be there."""
        return self.release_dir.expanduser().resolve() if self.release_dir else self.root / "release"

    @property
    def initial_weights(self) -> str:
        """`backbone_weights`, with the path of its file in place of `release`."""
        return str(self.release / "weights.npz") if self.backbone_weights == "release" else self.backbone_weights

    @property
    def is_synthetic(self) -> bool:
        """Whether everything built comes from the embedded sample, and has to say so."""
        return self.dataset == "sample"


@cache
def settings() -> Settings:
    """Return the settings of this process, read on the first call.

    Raises:
        UserError: a setting has a value that it cannot have; the message names each such setting.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"DERMA_{'_'.join(map(str, one['loc'])).upper()}={_shown(one)}: {one['msg']}" for one in error.errors()
        ]
        raise UserError("; ".join(wrong)) from None


def _shown(problem: Mapping[str, Any]) -> str:
    """Return a setting's value without the passwords that an address may hold."""
    if problem["loc"] == ("broker_url",):
        return "(not shown)"
    return re.sub(r"//[^/@]*@|\?.*", "***", repr(problem["input"]))
