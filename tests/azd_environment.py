"""What azd's environment contains after a deployment, as the templates output it."""

from __future__ import annotations

OUTPUTS = {
    "AZURE_ENV_NAME": "painting",
    "AZURE_CONTAINER_REGISTRY_NAME": "imagesabc",
    "AZURE_CONTAINER_REGISTRY_ENDPOINT": "imagesabc.azurecr.io",
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE": "stylestream-abc.servicebus.windows.net",
    "STORAGE_ACCOUNT_URL": "https://internalabc.blob.core.windows.net",
    "MEDIA_STORAGE_ACCOUNT_URL": "https://mediaabc.blob.core.windows.net",
    "EVENTGRID_TOPIC_ENDPOINT": "https://abc.eastus-1.eventgrid.azure.net/api/events",
    "CONSUMER_GROUP": "stylestream",
    "STYLES_CONTAINER": "styles",
    "INTERNAL_STORAGE_ACCOUNT": "internalabc",
    "SPLITTER_CLIENT_ID": "id-of-the-splitter",
    "STYLIZER_CLIENT_ID": "id-of-the-stylizer",
    "ASSEMBLER_CLIENT_ID": "id-of-the-assembler",
    "EXPORTER_CLIENT_ID": "id-of-the-exporter",
    "KEDA_CLIENT_ID": "id-of-keda",
    "STYLIZER_POOL": "gpu",
    "STYLIZER_MAX_REPLICAS": "8",
}
