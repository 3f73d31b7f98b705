"""The codecs of the pipeline's own files: chunks, segments and planar pixels."""
