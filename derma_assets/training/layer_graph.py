"""Which layer of a functional Keras model reads what."""

from collections import defaultdict
from typing import Any


def inputs_of(layer: Any) -> list[Any]:
    """Return the tensors that a layer reads, one for most."""
    return layer.input if isinstance(layer.input, list) else [layer.input]


class LayerGraph:
    """The layers of a model, each used once, but for its input's, in an order in which each follows what it reads.

    Attributes:
        layers: Those layers.
    """

    def __init__(self, model: Any) -> None:
        """Read the layers of a functional model that gives one tensor."""
        self.layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
        self._readers: dict[int, list[Any]] = defaultdict(list)
        self._makers = {id(layer.output): layer for layer in self.layers}
        for layer in self.layers:
            for tensor in inputs_of(layer):
                self._readers[id(tensor)].append(layer)

    def readers_of(self, layer: Any) -> list[Any]:
        """Return the layers that read what a layer gives."""
        return self._readers[id(layer.output)]

    def makers_of(self, layer: Any) -> list[Any]:
        """Return the layers that make what a layer reads; the model's input is made by none."""
        return [self._makers[id(tensor)] for tensor in inputs_of(layer) if id(tensor) in self._makers]


class Remade:
    """What takes the place of each tensor of a model while another is built after it."""

    def __init__(self, tensor: Any, instead: Any) -> None:
        """Begin with one tensor."""
        self._instead = {id(tensor): instead}

    def __contains__(self, layer: Any) -> bool:
        """Return whether all that a layer reads has something in its place."""
        return all(id(tensor) in self._instead for tensor in inputs_of(layer))

    def given_to(self, layer: Any) -> Any:
        """Return what a layer's stand-in reads: a tensor, or a list where the layer reads several."""
        tensors = [self._instead[id(tensor)] for tensor in inputs_of(layer)]
        return tensors if isinstance(layer.input, list) else tensors[0]

    def put(self, layer: Any, instead: Any) -> None:
        """Say what takes the place of what a layer gives."""
        self._instead[id(layer.output)] = instead
