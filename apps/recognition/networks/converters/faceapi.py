"""face-api's age and sex network (`age_gender_model`: weights without a graph) → ONNX.

The file has only weights and their names. The layers are those of face-api's `AgeGenderNet`: an Xception of three
residual stages, global average pooling, and two fully connected heads. Input: float32 [N, 3, 112, 112]. The manifest
contains mean and scale of the pixels.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from apps.recognition.networks.converters.graph import GraphBuilder
from apps.recognition.networks.converters.tfjs import read_weights
from apps.recognition.networks.errors import NetworkError

INPUT_SHAPE = (3, 112, 112)
AGE, GENDER = "age", "gender"
SAME = {"auto_pad": "SAME_UPPER"}


def convert(weights_manifest: Path, data: Path, *, name: str, input_name: str, opset: int) -> onnx.ModelProto:
    """Return the ONNX model with the outputs `age` [N, 1] in years and `gender` [N, 2], softmax of male and female.

    Raises NetworkError if the weights are not those of the network.
    """
    try:
        groups = json.loads(weights_manifest.read_bytes())
        weights = read_weights(data.read_bytes(), [entry for group in groups for entry in group["weights"]])
        network = _AgeGender(weights)
        network.build(input_name)
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkError(f"{weights_manifest.name}: is not face-api's age and sex network: {error!r}") from error
    return network.builder.model(
        name,
        input_name=input_name,
        input_shape=INPUT_SHAPE,
        dtype="float32",
        outputs=[(AGE, (1,)), (GENDER, (2,))],
        opset=opset,
    )


class _AgeGender:
    """Builder of the network from the input to both heads; it uses every weight once."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.unused = dict(weights)
        self.builder = GraphBuilder()

    def build(self, input_name: str) -> None:
        """Add all layers. Raises KeyError for a missing weight, ValueError for an unused one."""
        node = self.builder.node
        value = node("Relu", self._convolution(input_name, "entry_flow/conv_in", stride=2))
        value = self._reduction(value, "entry_flow/reduction_block_0", rectify=False)
        value = self._reduction(value, "entry_flow/reduction_block_1")
        block = 0
        while f"middle_flow/main_block_{block}/separable_conv0/bias" in self.unused:
            value = self._main(value, f"middle_flow/main_block_{block}")
            block += 1
        value = self._reduction(value, "exit_flow/reduction_block")
        value = node("Relu", self._separable(value, "exit_flow/separable_conv"))
        value = node("Flatten", node("GlobalAveragePool", value))
        self.builder.name_output(self._dense(value, "fc/age"), AGE)
        self.builder.name_output(node("Softmax", self._dense(value, "fc/gender"), axis=1), GENDER)
        if self.unused:
            raise ValueError(f"unused weights {', '.join(sorted(self.unused))}")

    def _reduction(self, value: str, block: str, *, rectify: bool = True) -> str:
        """Add a residual block that halves the size; its shortcut is a convolution of stride 2."""
        node = self.builder.node
        branch = node("Relu", value) if rectify else value
        branch = self._separable(branch, f"{block}/separable_conv0")
        branch = self._separable(node("Relu", branch), f"{block}/separable_conv1")
        branch = node("MaxPool", branch, kernel_shape=[3, 3], strides=[2, 2], **SAME)
        return node("Add", branch, self._convolution(value, f"{block}/expansion_conv", stride=2))

    def _main(self, value: str, block: str) -> str:
        """Add a residual block of three separable convolutions."""
        branch = value
        for index in range(3):
            branch = self._separable(self.builder.node("Relu", branch), f"{block}/separable_conv{index}")
        return self.builder.node("Add", branch, value)

    def _separable(self, value: str, layer: str) -> str:
        """Add a depthwise convolution and a 1×1 convolution with the bias."""
        depthwise = self._weight(f"{layer}/depthwise_filter").transpose(2, 3, 0, 1)
        value = self.builder.node(
            "Conv",
            value,
            self.builder.constant(depthwise),
            kernel_shape=list(depthwise.shape[2:]),
            group=depthwise.shape[0],
            strides=[1, 1],
            **SAME,
        )
        return self._conv(value, f"{layer}/pointwise_filter", f"{layer}/bias", stride=1)

    def _convolution(self, value: str, layer: str, *, stride: int) -> str:
        return self._conv(value, f"{layer}/filters", f"{layer}/bias", stride=stride)

    def _conv(self, value: str, filters: str, bias: str, *, stride: int) -> str:
        kernel = self._weight(filters).transpose(3, 2, 0, 1)
        return self.builder.node(
            "Conv",
            value,
            self.builder.constant(kernel),
            self.builder.constant(self._weight(bias)),
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            **SAME,
        )

    def _dense(self, value: str, layer: str) -> str:
        matrix, bias = self._weight(f"{layer}/weights"), self._weight(f"{layer}/bias")
        return self.builder.node("Gemm", value, self.builder.constant(matrix), self.builder.constant(bias))

    def _weight(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.unused.pop(name), np.float32)
