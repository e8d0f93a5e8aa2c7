"""Runs in the environment of Cortex's client: its commands, one after the other, in one process.

Each line of input is {"args": […], "key": an API key, "input": what the command reads}; each line
of output {"code": exit code, "text": what it printed}.
"""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from cortexapps_cli.cli import app
from typer.main import get_command

command = get_command(app)  # once: it has hundreds of parts
asked, answers = sys.stdin, sys.stdout
for line in asked:
    call = json.loads(line)
    os.environ["CORTEX_API_KEY"] = call["key"]
    sys.stdin = io.TextIOWrapper(io.BytesIO(call["input"].encode()), encoding="utf-8")
    printed = io.StringIO()
    code = 0
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            command.main(call["args"], prog_name="cortex")
        except SystemExit as end:
            code = end.code or 0
    answers.write(json.dumps({"code": code, "text": printed.getvalue()}) + "\n")
    answers.flush()
