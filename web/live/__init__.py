"""The painted picture while it is being painted: segments in storage become a stream."""
