"""Payloads as tools of agents send them, and the nasty ones."""

from __future__ import annotations

from typing import Any

DEEP: Any = "bottom"
for _level in range(40):
    DEEP = {"level": DEEP}

PAYLOADS: dict[str, Any] = {
    "payment": {
        "tool": "payments.create",
        "dry_run": False,
        "arguments": {
            "creditor": {"name": "Nordwind GmbH", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"},
            "amount": {"value": 4821000, "currency": "EUR", "exponent": 2},
            "execution_date": "2026-12-03",
            "remittance": "INV-2026-1187",
            "sepa_instant": None,
            "lines": [
                {"sku": "PAL-80", "qty": 120, "unit_price": "312.50", "vat": 0.19},
                {"sku": "PAL-120", "qty": 30, "unit_price": "357.00", "vat": 0.19},
            ],
        },
    },
    "refund": {"tool": "refund", "customer": "8841", "amount": 1250, "currency": "EUR"},
    "shell": {
        "tool": "bash",
        "input": {
            "command": "set -euo pipefail\nkubectl -n prod apply -f app.yaml\n\nrm -rf build/",
            "cwd": "/srv",
        },
    },
    "edit": {
        "tool_name": "Edit",
        "tool_input": {
            "file_path": "app/settings.py",
            "old_string": "timeout = 30\nretries = 3\nlog = True",
            "new_string": "timeout = 300\nretries = 3\nlog = False",
            "replace_all": False,
        },
    },
    "patch": {"tool": "apply_patch", "patch": "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-one\n+two\n same\n"},
    "sql": {
        "tool": "run_sql",
        "args": {"database": "shop", "query": "UPDATE orders\n   SET state = 'paid'\n WHERE id IN (1, 2)"},
    },
    "http": {
        "tool": "http_request",
        "arguments": {
            "method": "DELETE",
            "url": "https://api.example.com/v1/users/7?force=true",
            "headers": {"X-Reason": "cleanup", "Accept": "application/json"},
            "body": '{"why": "left"}',
        },
    },
    "mail": {
        "tool": "send_email",
        "to": ["c.weber@example.org", "d.lang@example.org"],
        "subject": "Your refund",
        "body": "Dear Ms Weber,\n\nwe have refunded €1,250.00.\n\nKind regards\nThe team",
        "attachments": [],
    },
    "kubernetes": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "prod", "labels": {"app": "shop", "tier": "web"}},
        "spec": {
            "replicas": 12,
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "image": "registry.example.com/app:9f1c2e7",
                            "ports": [{"containerPort": 80}],
                        }
                    ]
                }
            },
        },
    },
    "grant": {
        "action": "grant_role",
        "principal": "user:eve@example.com",
        "role": "roles/owner",
        "resources": ["projects/shop", "projects/billing"],
        "expires": None,
    },
    "hotel": {
        "hotel": "Zum Löwen",
        "check_in": "2026-12-24",
        "nights": 3,
        "guests": [{"name": "Ana", "age": 41}, {"name": "Bo", "age": 7}],
        "breakfast": True,
        "price": {"total": 411.5, "currency": "EUR"},
    },
    "hebrew": {"סכום": "12,400", "חשבון א": "1234 בנק 77", "amount": "א 999 10", "הערה": "שלום\nעולם"},
    "arabic": {"المبلغ": 12400, "beneficiary": "شركة 77 (10)", "قائمة": ["واحد", "اثنان 2"]},
    "turned": {"to": "ana\u202egro.live@x\u202c", "\u2067key": "1\u2069\u0007", "hidden": "a\u200bb\u00adc"},
    "many fields": {f"field_{n}": f"value {n}." for n in range(200)},
    "long text": {"tool": "publish", "text": "Lorem ipsum dolor sit amet. " * 3700},
    "deep": {"tool": "nest", "value": DEEP},
    "rows": {"rows": [{"sku": f"SKU-{n}", "quantity": n, "note": f"note {n}."} for n in range(500)]},
    "strings": [f"entry {n}." for n in range(700)],
    "scalars": {
        "a": None,
        "b": True,
        "c": "yes",
        "d": "",
        "e": [],
        "f": {},
        "g": -0.5,
        "h": "  x ",
        "i": 10**15,
    },
    "names": {"user-id": 1, "user_id": 2, "User ID": 3, "": 4, "x" * 3000: 5, "a/b~c": 6},
    "mixed": {"list": [1, "two", {"three": 3}, [4, [5]], None]},
    "one": "rm -rf /",
    "wide": {"rows": [{"a": "x" * 70, "b": "y" * 70, "c": "z" * 70}] * 3},
}
