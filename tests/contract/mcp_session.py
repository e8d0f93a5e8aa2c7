"""Runs in the environment of the MCP server: starts it as an assistant does, over its standard
input and output, and calls tools.

Input: [[tool, arguments], …] as JSON; an argument "$run" stands for the last run's id. Output:
{"tools": [names], "results": [{"error": bool, "text": text}]}.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def session(steps: list) -> dict:
    server = StdioServerParameters(
        command=os.path.join(os.path.dirname(sys.executable), "mcp-server-port"),
        args=[
            f"--client-id={os.environ['PORT_CLIENT_ID']}",
            f"--client-secret={os.environ['PORT_CLIENT_SECRET']}",
            f"--api-validation-enabled={os.environ['PORT_API_VALIDATION_ENABLED']}",
        ],
        env=dict(os.environ),
    )
    with open(os.devnull, "w") as nowhere:
        async with (
            stdio_client(server, errlog=nowhere) as streams,
            ClientSession(*streams) as client,
        ):
            await client.initialize()
            tools = [tool.name for tool in (await client.list_tools()).tools]
            results, run = [], ""
            for tool, arguments in steps:
                filled = {k: run if v == "$run" else v for k, v in arguments.items()}
                answer = await client.call_tool(tool, filled)
                text = "".join(getattr(part, "text", "") for part in answer.content)
                results.append({"error": bool(answer.isError), "text": text})
                if tool.startswith("run_") and not answer.isError:
                    run = json.loads(text)["action_run"]["id"]
    return {"tools": tools, "results": results}


print(json.dumps(asyncio.run(session(json.load(sys.stdin)))))
