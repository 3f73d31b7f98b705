"""Training: how a painting becomes a style network.

``data`` takes crops from photographs, ``features`` computes VGG19's features of them, ``losses``
measures how far the network's picture is from the painting, ``trainer`` improves the ``network``,
``export`` writes the ONNX file and its card, and ``evaluate`` measures the result. ``retouch``
changes a trained style without training, ``narrowing`` and ``distil`` make one that costs less.
"""
