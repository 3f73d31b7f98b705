"""The pipeline in Azure: Bicep, what azd runs around it, and what checks both."""
