"""For a WSGI server: `waitress-serve examples.django.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django.settings")
application = get_wsgi_application()
