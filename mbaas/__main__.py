"""`python -m mbaas` is the `mbaas` command."""

from mbaas.cli import main

main()
