"""Where a table or a figure of the card comes from, in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from derma_assets.evaluation.model_card.evidence import Made

_STUDIES = {"cross_validation_summary": "make folds", "external_validation": "make external NAME={partition}"}


@dataclass(frozen=True)
class Sources:
    """What is known of the assets.

    Attributes:
        made: When each was stored.
        dataset: That the commands are for.
    """

    made: Mapping[str, Made]
    dataset: str

    def said_of(self, names: tuple[str, ...]) -> str:
        """Return the assets, when they were stored and the commands that make them, as Markdown; none: ""."""
        if not names:
            return ""
        assets = ", ".join(f"`{name}`{self._when(name)}" for name in names)
        commands = dict.fromkeys(f"`{self.command(name)}`" for name in names)
        return f"From {assets}; {', '.join(commands)}"

    def _when(self, name: str) -> str:
        return f" of {self.made[name].at:%Y-%m-%d %H:%M} UTC" if name in self.made else ""

    def command(self, name: str) -> str:
        """Return the command that makes an asset, or one partition of it given as `asset/partition`."""
        asset, _, partition = name.partition("/")
        command = _STUDIES.get(asset, f"make materialize SELECT='{asset}'").format(partition=partition)
        return f"DERMA_DATASET={self.dataset} {command}"
