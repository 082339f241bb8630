from django.db import models


class HandlerType(models.IntegerChoices):
    STATIC = 0
    DYNAMIC = 1
    LAMBDA = 2
