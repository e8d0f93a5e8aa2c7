"""REST framework and its OpenAPI document."""

from idp import __version__

REST_FRAMEWORK = {
    # The first one's challenge makes a refusal 401 instead of 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "idp.auth.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["catalog.api.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["catalog.api.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "catalog.api.renderers.JSONOnly",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is a method that no route has
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "idp.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "idp",
    "DESCRIPTION": "The open-source, self-hosted internal developer platform.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["idp.api.schema.only_documented"],
    "POSTPROCESSING_HOOKS": ["idp.api.schema.with_components"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
