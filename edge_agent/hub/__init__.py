"""Floor 3: the hub. Ingest, audit, instruction stream, live streams and page, one process with SQLite inside.

The agent never imports it. Handlers are plain functions of an `exchange.Ask` and the store; aiohttp is their rim.
"""
