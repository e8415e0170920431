"""The peer that does nothing: what the framework itself costs a request.

    uvicorn --app-dir bench/ingest noop:app

Started from its own folder, so that it holds no more memory than the framework.
"""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"ok": True}


@app.post("/noop")
async def noop() -> dict[str, bool]:
    """An answer, the body unread."""
    return {"ok": True}
