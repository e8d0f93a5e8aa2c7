from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models


class Secret(models.Model):
    """A secret of the organisation, named in settings and payloads and never shown again.

    `sealed` is encrypted by `catalog.kernel.crypto`.
    """

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(r"\A[A-Za-z0-9_-]+\Z", "Letters, digits, - and _ only.")],
    )
    description = models.CharField(max_length=200, blank=True)
    sealed = models.BinaryField(editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
