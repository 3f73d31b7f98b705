"""Training: how a painting becomes a style network.

The way of a style: ``data`` cuts crops out of photographs, ``features`` sees them with VGG19,
``losses`` says how far the network's picture is from the painting, ``trainer`` mends the
``network``, ``export`` writes the ONNX file and its card, and ``evaluate`` measures the result.
"""
