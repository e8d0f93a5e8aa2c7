"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - known once Django is set up
from django.urls import get_resolver  # noqa: E402

from idp.settings import env  # noqa: E402

env.refuse([*settings.IDP_PROBLEMS, *settings.IDP_NO_LASTING_KEY])

# Load all views now, in the process that others are forked from: the first visitor need not wait
# for it, and no process mixes modules of two versions when the code changes under it.
get_resolver().url_patterns  # noqa: B018 - reading it imports them
