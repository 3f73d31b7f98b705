"""The subcommands of ``stylestream``; each takes the parsed arguments and returns the exit code.

`cli.main` imports the one module that a command needs: asking for a status must not load codecs.
"""
