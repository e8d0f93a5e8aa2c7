"""Runs in the environment of Cortex's client: its commands, one after the other, in one process.

Each line of input is {"args": […], "key": an API key, "input": what the command reads}; each line
of output {"code": exit code, "text": what it printed}.
"""

import json
import sys

from cortexapps_cli.cli import app
from typer.testing import CliRunner

runner = CliRunner()
for line in sys.stdin:
    asked = json.loads(line)
    done = runner.invoke(
        app, asked["args"], input=asked["input"], env={"CORTEX_API_KEY": asked["key"]}
    )
    text = done.output
    if done.exception and not isinstance(done.exception, SystemExit):
        text += repr(done.exception)
    sys.__stdout__.write(json.dumps({"code": done.exit_code, "text": text}) + "\n")
    sys.__stdout__.flush()
