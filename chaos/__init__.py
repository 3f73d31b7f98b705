"""Breaks a running pipeline on purpose, and proves from what was seen that its promises held.

A run uploads videos into a whole stack whose services reach Event Hubs and storage through proxies
of this package (`relay`, `storage_proxy`). A plan made from a seed (`plan`) kills, freezes and
restarts processes, cuts and stalls connections, repeats and shuffles events, and damages blobs
(`faults`). All the while every blob request, every event and every upload is noted (`recorder`,
`history`). When the run is over, `promises.check` holds the history alone against the
promises: it knows nothing of how the services work, only of what they must never be seen to do.
"""
