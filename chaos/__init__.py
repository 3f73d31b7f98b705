"""Breaks a running pipeline on purpose, and proves from observations that its promises held.

A run uploads videos into a whole stack whose services reach Event Hubs and storage through proxies
of this package (`relay`, `storage_proxy`). A plan made from a seed (`plan`) kills, freezes and
restarts processes, cuts and stalls connections, repeats and shuffles events, and damages blobs
(`faults`). Meanwhile every blob request, every event and every upload is recorded (`recorder`,
`history`). When the run is over, `promises.check` compares the history with the promises: it does
not know how the services work, only what they must never be seen to do.
"""
