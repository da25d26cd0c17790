"""``python -m gr2st_assets``: the ``gr2st`` command. Does not belong here: anything else."""

from gr2st_assets.cli import main

main()
