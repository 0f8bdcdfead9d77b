"""Features of images: from a network or an ONNX file, kept in a cache or a file."""
