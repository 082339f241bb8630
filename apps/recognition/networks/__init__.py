"""Networks: manifests, sources, conversion to ONNX (converters, builder), installation (registry), verification
(reference).

This package does not import Django; directories are parameters.
"""
