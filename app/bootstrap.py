"""The one place that chooses: from settings to the services that every entry runs on."""

import importlib
import importlib.util

for room in ("access", "people", "archive", "capture", "screening", "oversight"):
    if importlib.util.find_spec(f"app.{room}.models"):
        importlib.import_module(f"app.{room}.models")
import app.foundation.followers
import app.foundation.jobs
import app.foundation.keys
