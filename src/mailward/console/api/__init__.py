"""The routes below /api/v1: JSON for programs, described at /api/v1/openapi.json."""
