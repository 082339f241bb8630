from django.db import models
from django.utils.translation import gettext_lazy as _


class HandlerType(models.IntegerChoices):
    STATIC = 0, _("Static")
    DYNAMIC = 1, _("Dynamic")
    LAMBDA = 2, _("Lambda")
