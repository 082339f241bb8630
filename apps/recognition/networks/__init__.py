"""Networks: what there is (manifests), where it comes from (sources), how it becomes ONNX (converters, builder),
what is installed (registry) and whether it still computes what it should (reference).

Nothing here knows Django; directories are parameters.
"""
