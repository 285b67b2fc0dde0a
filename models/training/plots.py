"""All plots of the story grammar."""

from . import plots_friends, plots_help, plots_work

PLOTS = plots_friends.PLOTS + plots_help.PLOTS + plots_work.PLOTS
