"""Features of images: extracted by a network or an ONNX file, kept in a cache or a file."""
