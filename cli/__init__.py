"""The command ``stylestream``: arguments, progress and reports, over `client` and `local`."""
