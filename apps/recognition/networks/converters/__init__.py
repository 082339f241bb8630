"""Converters of source files to ONNX models, one module per source format."""
