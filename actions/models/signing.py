from __future__ import annotations

from django.db import models


class SigningKey(models.Model):
    """The key that outgoing calls are signed, and secret inputs encrypted, with: one row.

    `sealed` is encrypted by `catalog.kernel.crypto`.
    """

    sealed = models.BinaryField(editable=False)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        verbose_name = "signing key"

    def __str__(self) -> str:
        return "Signing key"
