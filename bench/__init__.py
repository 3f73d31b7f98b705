"""The benchmark: the bare network, and the whole pipeline around it, measured in one run.

The network is called as the stylizer calls it, with the same ONNX file. The pipeline paints a
640x360 clip on a stack that has already painted another one. The times of events are read from the
hubs afterwards, so that measuring costs the run nothing; CPU time and peak memory come from the
operating system.
"""
