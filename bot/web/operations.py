"""Every operation of the HTTP API."""

from __future__ import annotations

from bot.web.api.actions import Changes
from bot.web.api.events import Events
from bot.web.api.keys import Keys
from bot.web.api.receipts import ReceiptCalls
from bot.web.api.requests import Api
from bot.web.calls.operation import operations_of
from bot.web.compat.glaip import Glaip
from bot.web.compat.humanlayer.routes import ContactRequests, FunctionCalls
from bot.web.openapi.docs_page import DocsPage
from bot.web.server.health import HealthCalls
from bot.web.server.metrics import Metrics

OPERATIONS = operations_of(
    Api,
    Changes,
    Events,
    ReceiptCalls,
    Keys,
    Glaip,
    FunctionCalls,
    ContactRequests,
    HealthCalls,
    Metrics,
    DocsPage,
)
