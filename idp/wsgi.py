"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - known once Django is set up

from idp.settings.env import refuse_problems  # noqa: E402

refuse_problems(settings.IDP_PROBLEMS)
