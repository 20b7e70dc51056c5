"""The commands of the example. From the root of the repository:

python -m examples.django.manage check
python -m examples.django.manage runserver
curl -i localhost:8000/
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django.settings")
    execute_from_command_line(sys.argv)
