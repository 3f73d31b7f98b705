"""Run a splitter: ``python -m splitter``, configured by environment variables."""

from __future__ import annotations

from shared.runtime import main
from splitter.metrics import SplitterMetrics
from splitter.service import build
from splitter.settings import SplitterSettings

main("splitter", SplitterSettings, SplitterMetrics, build)
