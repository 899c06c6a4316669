"""A run as an HTTP service. FastAPI and uvicorn are needed here alone: extra `serve`."""
