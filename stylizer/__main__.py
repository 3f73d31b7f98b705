"""Run a stylizer: ``python -m stylizer``, configured by environment variables."""

from __future__ import annotations

from shared.service.runtime import main
from stylizer.metrics import StylizerMetrics
from stylizer.service import build
from stylizer.settings import StylizerSettings

main("stylizer", StylizerSettings, StylizerMetrics, build)
