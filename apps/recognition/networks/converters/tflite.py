"""TensorFlow Lite → ONNX, for convolutional networks with one input and outputs of one row per picture.

The input keeps the file's layout (NHWC); layers use NCHW. float16 weights remain float16 in the file. The batch axis,
which the file fixes at 1, becomes free.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray

from apps.recognition.networks.converters.graph import GraphBuilder
from apps.recognition.networks.errors import NetworkError

TO_NCHW = [0, 3, 1, 2]
Builtin = tflite.BuiltinOperator
Activation = tflite.ActivationFunctionType
ELEMENT_TYPES = {tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.FLOAT16: "<f2", tflite.TensorType.INT32: "<i4"}
IDENTIFIER = slice(4, 8)


def convert(
    path: Path, *, name: str, input_name: str, outputs: list[tuple[str, tuple[int, ...]]], opset: int
) -> onnx.ModelProto:
    """Return the ONNX model: float32 input [N, H, W, C] and the file's outputs in order, with the names of `outputs`.

    Raises NetworkError for a file that is not a TensorFlow Lite model, and for an unsupported operation.
    """
    data = path.read_bytes()
    if data[IDENTIFIER] != b"TFL3":
        raise NetworkError(f"{path.name}: is not a TensorFlow Lite model")
    try:
        conversion = _Conversion(tflite.Model.GetRootAs(data), input_name)
        conversion.build([output for output, _ in outputs])
    except (KeyError, IndexError, ValueError, TypeError, struct.error) as error:
        raise NetworkError(f"{path.name}: cannot be converted: {error!r}") from error
    return conversion.builder.model(
        name,
        input_name=input_name,
        input_shape=conversion.input_shape,
        dtype="float32",
        outputs=outputs,
        opset=opset,
    )


class _Conversion:
    """Conversion of one network: constants and ONNX values by index of their tensor."""

    def __init__(self, model: Any, input_name: str) -> None:
        self.model, self.graph = model, model.Subgraphs(0)
        self.builder = GraphBuilder()
        self.constants: dict[int, NDArray[Any]] = {}
        for index in range(self.graph.TensorsLength()):
            if (array := self._stored(index)) is not None:
                self.constants[index] = array
        (entry,) = self.graph.InputsAsNumpy().tolist()
        self.input_shape = self._shape(entry)[1:]
        self.values = {entry: self.builder.node("Transpose", input_name, perm=TO_NCHW)}

    def build(self, names: list[str]) -> None:
        """Convert all operators in the file's order, and name the outputs."""
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            kind = self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            if kind not in HANDLERS:
                raise NetworkError(f"TensorFlow Lite operation {tflite.opcode2name(kind)} is not supported")
            HANDLERS[kind](self, operator, *operator.OutputsAsNumpy().tolist())
        for tensor, name in zip(self.graph.OutputsAsNumpy().tolist(), names, strict=True):
            self.builder.name_output(self.values[tensor], name)

    def dequantize(self, operator: Any, output: int) -> None:
        """Convert DEQUANTIZE of float16 weights; ONNX casts them at their use."""
        self.constants[output] = self.constants[operator.Inputs(0)]

    def convolution(self, operator: Any, output: int) -> None:
        """Convert CONV_2D: kernels [filters, height, width, channels]."""
        options = _options(operator, tflite.Conv2DOptions)
        kernel = self.constants[operator.Inputs(1)].transpose(TO_NCHW)
        self._convolve(operator, output, options, kernel, groups=1)

    def depthwise(self, operator: Any, output: int) -> None:
        """Convert DEPTHWISE_CONV_2D: kernels [1, height, width, channels × multiplier]."""
        options = _options(operator, tflite.DepthwiseConv2DOptions)
        kernel = self.constants[operator.Inputs(1)].transpose(3, 0, 1, 2)
        self._convolve(operator, output, options, kernel, groups=kernel.shape[0] // options.DepthMultiplier())

    def add(self, operator: Any, output: int) -> None:
        """Convert ADD of two values."""
        first, second = (self.values[tensor] for tensor in operator.InputsAsNumpy().tolist())
        added = self.builder.node("Add", first, second)
        self._keep(output, added, _options(operator, tflite.AddOptions).FusedActivationFunction())

    def pad(self, operator: Any, output: int) -> None:
        """Convert PAD with zeros, [4, 2] in NHWC."""
        edges = self.constants[operator.Inputs(1)].astype(np.int64)[TO_NCHW]
        self.values[output] = self.builder.node(
            "Pad", self.values[operator.Inputs(0)], self.builder.constant(edges.T.ravel())
        )

    def mean(self, operator: Any, output: int) -> None:
        """Convert MEAN over both sides of the picture, which are removed."""
        axes = sorted(self.constants[operator.Inputs(1)].ravel().tolist())
        if axes != [1, 2] or _options(operator, tflite.ReducerOptions).KeepDims():
            raise NetworkError(f"TensorFlow Lite MEAN over the axes {axes} is not supported")
        pooled = self.builder.node("GlobalAveragePool", self.values[operator.Inputs(0)])
        self.values[output] = self.builder.node("Flatten", pooled)

    def dense(self, operator: Any, output: int) -> None:
        """Convert FULLY_CONNECTED: weights [outputs, inputs]."""
        value, weights, bias = operator.InputsAsNumpy().tolist()
        matrix = self.builder.constant(self.constants[weights].T)
        product = self.builder.node("Gemm", self.values[value], matrix, self.builder.constant(self.constants[bias]))
        self._keep(output, product, _options(operator, tflite.FullyConnectedOptions).FusedActivationFunction())

    def _convolve(self, operator: Any, output: int, options: Any, kernel: NDArray[Any], *, groups: int) -> None:
        bias = self.constants[operator.Inputs(2)]
        same = {"auto_pad": "SAME_UPPER"} if options.Padding() == tflite.Padding.SAME else {}
        value = self.builder.node(
            "Conv",
            self.values[operator.Inputs(0)],
            self.builder.constant(kernel),
            self.builder.constant(bias),
            kernel_shape=list(kernel.shape[2:]),
            strides=[options.StrideH(), options.StrideW()],
            dilations=[options.DilationHFactor(), options.DilationWFactor()],
            group=groups,
            **same,
        )
        self._keep(output, value, options.FusedActivationFunction())

    def _keep(self, output: int, value: str, activation: int) -> None:
        if activation == Activation.RELU:
            value = self.builder.node("Relu", value)
        elif activation == Activation.RELU6:
            bounds = (self.builder.constant(np.float32(bound)) for bound in (0, 6))
            value = self.builder.node("Clip", value, *bounds)
        elif activation != Activation.NONE:
            raise NetworkError(f"TensorFlow Lite activation {activation} is not supported")
        self.values[output] = value

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.graph.Tensors(tensor).ShapeAsNumpy().tolist())

    def _stored(self, index: int) -> NDArray[Any] | None:
        """Return a tensor with values in the file, None for a computed one."""
        tensor = self.graph.Tensors(index)
        buffer = self.model.Buffers(tensor.Buffer())
        if not buffer.DataLength():
            return None
        if tensor.Sparsity() is not None:
            raise NetworkError("sparse TensorFlow Lite weights are not supported")
        dtype = ELEMENT_TYPES[tensor.Type()]
        return np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype).reshape(self._shape(index))


def _options(operator: Any, kind: Any) -> Any:
    """Return the settings of an operator."""
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


HANDLERS: dict[int, Callable[[_Conversion, Any, int], None]] = {
    Builtin.DEQUANTIZE: _Conversion.dequantize,
    Builtin.CONV_2D: _Conversion.convolution,
    Builtin.DEPTHWISE_CONV_2D: _Conversion.depthwise,
    Builtin.ADD: _Conversion.add,
    Builtin.PAD: _Conversion.pad,
    Builtin.MEAN: _Conversion.mean,
    Builtin.FULLY_CONNECTED: _Conversion.dense,
}
