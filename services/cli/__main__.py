"""The command line."""

from services.cli import main

main()
