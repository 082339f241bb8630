"""Monthly numbers of requests and estimations. They name no account and no person."""

from django.db import models


class RouteCount(models.Model):
    """Answers of a route in a month. `month`: its first day, UTC. `error_code`: empty for an answer without one."""

    month = models.DateField()
    service = models.CharField(max_length=32)
    route = models.CharField(max_length=200)
    status_code = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=16)
    count = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["month", "service", "route", "status_code", "error_code"], name="monitoring_route_count_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.route} {self.status_code}"


class EstimationCount(models.Model):
    """Estimations of one kind in a month, each of one face, body or picture."""

    month = models.DateField()
    name = models.CharField(max_length=64)
    count = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["month", "name"], name="monitoring_estimation_count_unique"),)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.name}"
