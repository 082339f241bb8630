"""gRPC messages of the Open Inference Protocol v2, with only the fields that this client uses.

A descriptor pool of its own avoids conflicts with the definitions of other libraries. Protobuf skips undeclared fields,
and names of nested messages are not part of the wire format.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

# Number and type of each field; [] marks a repeated field.
FIELDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": (1, "bool")},
    "ModelReadyRequest": {"name": (1, "string")},
    "ModelReadyResponse": {"ready": (1, "bool")},
    "TensorContents": {"fp32_contents": (6, "float[]"), "fp64_contents": (7, "double[]")},
    "InputTensor": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64[]")},
    "RequestedOutput": {"name": (1, "string")},
    "OutputTensor": {
        "name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64[]"), "contents": (5, "TensorContents"),
    },
    "ModelInferRequest": {
        "model_name": (1, "string"), "inputs": (5, "InputTensor[]"), "outputs": (6, "RequestedOutput[]"),
        "raw_input_contents": (7, "bytes[]"),
    },
    "ModelInferResponse": {"outputs": (5, "OutputTensor[]"), "raw_output_contents": (6, "bytes[]")},
}  # fmt: skip


def _declared() -> dict[str, Any]:
    file = FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            element = kind.removesuffix("[]")
            declared = message.field.add(name=field, number=number)
            declared.label = declared.LABEL_OPTIONAL if element == kind else declared.LABEL_REPEATED
            if element in FIELDS:
                declared.type, declared.type_name = declared.TYPE_MESSAGE, f".{PACKAGE}.{element}"
            else:
                declared.type = FieldDescriptorProto.Type.Value(f"TYPE_{element.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS}


MESSAGES = _declared()
