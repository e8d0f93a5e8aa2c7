"""Read by Python at its start, where this folder is on PYTHONPATH: leads the library of the MCP
server, which knows two addresses of Port alone, to the server under test."""

import os

import pyport.client.client

pyport.client.client.PORT_API_URL = os.environ["IDP_CONTRACT_URL"] + "/v1"
