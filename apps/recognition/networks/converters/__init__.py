"""Converters: one module per source format, each from the source's files to an ONNX model."""
