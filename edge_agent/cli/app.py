"""The commands for people, one file each; daemons are dispatched before this is imported (`edge_agent.__main__`)."""

import typer

from edge_agent.cli.check import check
from edge_agent.cli.doctor import doctor
from edge_agent.cli.sample import sample
from edge_agent.cli.spool import spool
from edge_agent.cli.status import status

app = typer.Typer(
    name="edge-agent",
    help="Telemetry agent for Jetson boards and Linux hosts.",
    epilog="Daemons, each with its own --help: `edge-agent run`, `edge-agent hub`, and `edge-agent up` for both here."
    " Example: edge-agent sample --once",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(check)
app.command()(sample)
app.command()(status)
app.command()(doctor)
app.add_typer(spool, name="spool")
