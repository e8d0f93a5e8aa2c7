"""The home folder, PostgreSQL and Redis."""

from idp.settings import env

# Everything the program writes by itself: engines, logs, static files, credentials.
IDP_HOME = env.path("IDP_HOME", ".idp")

# Without the variable nothing listens there, unless `up` runs on this home: commands that need no
# database load the settings all the same, and others say that they cannot connect.
_embedded_database = f"postgresql://idp@/idp?host={IDP_HOME / 'postgres' / 'run'}"

DATABASES = {
    "default": {
        **env.database("DATABASE_URL", _embedded_database),
        "CONN_MAX_AGE": 0,
        # A connection that died with its server is replaced before the pool hands it out.
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}

# One pool per process, shared by its threads. 0 turns it off, as behind PgBouncer.
_pool_size = env.whole("IDP_DB_POOL", 8, high=100)
if env.text("DATABASE_URL") and _pool_size:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": _pool_size,
        "timeout": 10,
    }

IDP_REDIS_URL = env.redis("REDIS_URL", f"unix://{IDP_HOME / 'redis' / 'run' / 'redis.sock'}?db=0")

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": IDP_REDIS_URL,
        "KEY_PREFIX": "idp",
        # A Redis that hangs must not hang a page.
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 5},
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# How many months of changes stay; 0 keeps all.
IDP_HISTORY_MONTHS = env.whole("IDP_HISTORY_MONTHS", 0, high=1200)

# How many days points of metrics stay; 0 keeps all.
IDP_METRIC_DAYS = env.whole("IDP_METRIC_DAYS", 400, high=36500)

# Folders of this machine that sources may read files from; none unless the operator names some.
IDP_FILES = env.listed("IDP_FILES")
