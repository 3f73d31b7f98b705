"""Decide which uploads the pipeline accepts, by account, container and file extension.

An event only says where a blob is. Whoever can write events could name any address, so the
address is compared with those of our own storage account and never followed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.service.settings import listed
from splitter.intake.uploads import Upload
from splitter.settings import SplitterSettings


class Acceptance:
    """Tells uploads to the users' account from all others.

    ``account_url`` is the account's address; settings may name further addresses of it.
    """

    def __init__(self, settings: SplitterSettings, account_url: str) -> None:
        self._container = settings.uploads_container
        self._suffixes = tuple(listed(settings.upload_suffixes.lower())) or ("",)
        self._accounts = {_address(url) for url in (account_url, *listed(settings.upload_accounts))}

    def refusal(self, upload: Upload) -> str | None:
        """Return why an upload is not accepted; None if it is."""
        if not self._is_ours(upload):
            return "it is in another storage account"
        if upload.container != self._container:
            return "it is in another container"
        if not upload.name.lower().endswith(self._suffixes):
            return "its file extension is not in UPLOAD_SUFFIXES"
        return None

    def _is_ours(self, upload: Upload) -> bool:
        try:
            address = _address(upload.url)
        except ValueError:  # not an address at all
            return False
        return any(
            address.startswith(f"{account}/{upload.container}/") for account in self._accounts
        )


def _address(url: str) -> str:
    """Return an address without its scheme, so that an account's is a prefix of its blobs'.

    Data Lake events may give a blob's address under the account's other host name.

    >>> _address("https://Acc.dfs.core.windows.net/")
    'acc.blob.core.windows.net'
    """
    parts = urlsplit(url)
    host = parts.netloc.lower().replace(".dfs.core.", ".blob.core.")
    return f"{host}{parts.path}".rstrip("/")
