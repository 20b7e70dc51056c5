"""For an ASGI server: `uvicorn --lifespan off examples.django.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django.settings")
application = get_asgi_application()
