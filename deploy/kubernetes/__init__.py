"""The manifests, and what checks them: schemas, and rules that no schema knows."""
