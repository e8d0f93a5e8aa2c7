"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - known once Django is set up

from idp.settings import env  # noqa: E402

env.refuse([*settings.IDP_PROBLEMS, *settings.IDP_NO_LASTING_KEY])
