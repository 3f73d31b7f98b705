"""The benchmark: the bare network, and the whole pipeline around it, measured in one run.

The network is called as the stylizer calls it, on the same ONNX file. The pipeline paints a
640x360 clip on a stack that has already painted another one. Moments are read from the hubs
afterwards, so that looking costs the run nothing; CPU time and peak memory come from the
operating system.
"""
