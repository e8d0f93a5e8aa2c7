"""Icons and colours of kinds.

Blueprints name their icons as Port and Backstage do; pages draw them with Material Symbols, the
font that comes with the shell. Each kind has a hue of its own, the same on every page.
"""

from __future__ import annotations

from zlib import crc32

DEFAULT_ICON = "category"

# Port's icon names and Backstage's kinds, in lower case, to names of Material Symbols.
_SYMBOLS = {
    "_rule": "rule",
    "_rule_result": "rule",
    "_scorecard": "leaderboard",
    "_team": "groups",
    "_user": "person",
    "actions": "bolt",
    "airesource": "smart_toy",
    "alert": "notifications_active",
    "ansible": "settings_suggest",
    "api": "api",
    "apps": "apps",
    "argo": "sync",
    "aws": "cloud",
    "azure": "cloud",
    "bitbucket": "source",
    "blankpage": "draft",
    "blueprint": "schema",
    "book": "menu_book",
    "box": "package_2",
    "bucket": "database",
    "bug": "bug_report",
    "calendar": "calendar_month",
    "catalog": "category",
    "chat": "forum",
    "cicd": "rocket_launch",
    "clock": "schedule",
    "cloud": "cloud",
    "cluster": "hive",
    "code": "code",
    "component": "deployed_code",
    "confluence": "menu_book",
    "cost": "payments",
    "cpu": "memory",
    "customer": "handshake",
    "dashboard": "dashboard",
    "database": "database",
    "datadog": "monitoring",
    "defaultblueprint": DEFAULT_ICON,
    "defaultentity": "trip_origin",
    "defaultproperty": "label",
    "deployedat": "rocket_launch",
    "deployment": "rocket_launch",
    "devopstool": "build",
    "docker": "deployed_code",
    "docs": "menu_book",
    "domain": "hub",
    "email": "mail",
    "environment": "globe",
    "falcosidekick": "shield",
    "gcp": "cloud",
    "git": "commit",
    "github": "source",
    "gitlab": "source",
    "gitversion": "history",
    "gpu": "developer_board",
    "grafana": "monitoring",
    "group": "groups",
    "help": "help",
    "incident": "emergency",
    "infinity": "all_inclusive",
    "issue": "task_alt",
    "jenkins": "rocket_launch",
    "jira": "task_alt",
    "k8s": "hive",
    "kafka": "swap_horiz",
    "kubernetes": "hive",
    "lambda": "function",
    "launchdarkly": "toggle_on",
    "leftarrow": "arrow_back",
    "link": "link",
    "location": "pin_drop",
    "lock": "lock",
    "metric": "monitoring",
    "microservice": "deployed_code",
    "moreicon": "more_horiz",
    "namespace": "select_all",
    "network": "lan",
    "newrelic": "monitoring",
    "node": "dns",
    "okta": "badge",
    "opsgenie": "emergency",
    "package": "package_2",
    "pagerduty": "emergency",
    "permission": "key",
    "piechart": "pie_chart",
    "pipeline": "account_tree",
    "port": "anchor",
    "prometheus": "monitoring",
    "queue": "list_alt",
    "repository": "source",
    "resource": "database",
    "restapi": "api",
    "rightarrow": "arrow_forward",
    "runbook": "menu_book",
    "s3": "database",
    "scorecards": "leaderboard",
    "search": "search",
    "secret": "key",
    "sentry": "bug_report",
    "server": "dns",
    "service": "deployed_code",
    "servicenow": "support",
    "slack": "forum",
    "snyk": "shield",
    "sonarqube": "verified",
    "source": "source",
    "star": "star",
    "storage": "storage",
    "switch": "toggle_on",
    "system": "workspaces",
    "table": "table",
    "team": "groups",
    "template": "note_stack",
    "terraform": "stacks",
    "twousers": "groups",
    "unlock": "lock_open",
    "url": "link",
    "user": "person",
    "users": "groups",
    "vm": "dns",
    "vulnerability": "shield",
    "web": "language",
    "webhook": "webhook",
    "website": "language",
    "wiki": "menu_book",
    "workflow": "account_tree",
}

# Hues (degrees of OKLCH) that read apart from each other, for the kinds everybody has.
_HUES = {
    "_team": 190,
    "_user": 85,
    "api": 155,
    "component": 255,
    "domain": 350,
    "resource": 50,
    "service": 255,
    "system": 300,
}


def symbol(icon: str | None, kind: str = "") -> str:
    """The Material Symbol for an icon name; without a known one, that of the kind's name."""
    for name in (icon, kind):
        if name and (found := _SYMBOLS.get(name.lower())):
            return found
    return DEFAULT_ICON


def hue(kind: str) -> int:
    """The hue of a kind, in degrees; stable, and one of twelve that can be told apart."""
    known = _HUES.get(kind.lower())
    return known if known is not None else own_hue(kind)


def own_hue(name: str) -> int:
    """A hue that belongs to a name."""
    return crc32(name.encode()) % 12 * 30
