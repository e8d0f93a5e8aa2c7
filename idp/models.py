"""Who may come in: people (`User`), programs (`ApiClient`); and what people keep here."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from catalog.kernel.actors import Role

ROLE_CHOICES = [(role.value, role.value) for role in Role]


class UserManager(BaseUserManager["User"]):
    def create_user(
        self, username: str, email: str = "", password: str | None = None, **fields: object
    ) -> User:
        user = self.model(username=username, email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(
        self, username: str, email: str = "", password: str | None = None, **fields: object
    ) -> User:
        return self.create_user(username, email, password, role=Role.ADMIN.value, **fields)


class User(AbstractBaseUser):
    """A person who logs in. Bound to the `_user` entity with the same e-mail address.

    What one may do follows from `role` alone, so there are no Django groups or model
    permissions to keep in step with it.
    """

    username = models.CharField(
        max_length=150, unique=True, validators=[UnicodeUsernameValidator()]
    )
    email = models.EmailField(blank=True)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=20, choices=ROLE_CHOICES, default=Role.MEMBER.value)
    is_active = models.BooleanField(
        default=True, help_text="Untick instead of deleting: the history keeps its names."
    )
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ["username"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                condition=~models.Q(email=""),
                violation_error_message="Another user has this e-mail address.",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[r.value for r in Role]), name="user_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.username

    def get_full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self) -> str:
        return self.first_name or self.username

    @property
    def is_staff(self) -> bool:
        """Whether the admin site opens for this user."""
        return self.is_active and self.role == Role.ADMIN.value

    @property
    def is_superuser(self) -> bool:
        return self.is_staff

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_staff

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff


class ApiClient(models.Model):
    """A program's credentials. The secret is shown once; only its keyed digest is stored."""

    name = models.CharField(max_length=100, help_text="Which program uses it, for the history.")
    client_id = models.CharField(max_length=100, unique=True)
    secret_digest = models.CharField(max_length=64, editable=False, db_index=True)
    has_fixed_token = models.BooleanField(
        "Fixed token",
        default=False,
        help_text="The secret is itself the bearer token, for programs that know no other way. It "
        "does not expire; give it a new secret when people leave.",
    )
    role = models.CharField(max_length=20, choices=ROLE_CHOICES, default=Role.MEMBER.value)
    account = models.CharField(
        max_length=1000,
        blank=True,
        editable=False,
        help_text="The service account (`_user` entity) whose credentials these are; it says the "
        "role, and without it they open nothing.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API client"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=[r.value for r in Role]), name="api_client_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def email(self) -> str:
        """By which a service account is found among the people of the catalogue."""
        return self.account

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def is_anonymous(self) -> bool:
        return False


class Favourite(models.Model):
    """An entity that a person starred."""

    user = models.ForeignKey(User, models.CASCADE, related_name="favourites")
    # the migration adds the constraint: entities are deleted by SQL, and take their stars along
    entity = models.ForeignKey(
        "catalog.Entity", models.CASCADE, related_name="+", db_constraint=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "entity"], name="favourite_unique")]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.entity_id}"


class SavedView(models.Model):
    """A table as somebody arranged it: the query string of its page, under a name.

    A view without a name holds the columns that its owner chose last (`columns=…`): the table
    opens with them where its URL names none.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="saved_views")
    blueprint = models.ForeignKey("catalog.Blueprint", models.CASCADE, related_name="+")
    name = models.CharField(max_length=80, blank=True)
    query = models.TextField(blank=True)
    is_shared = models.BooleanField(default=False, help_text="Everybody finds it at the table.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "blueprint", "name"], name="saved_view_unique"),
            models.CheckConstraint(
                condition=~models.Q(name="", is_shared=True), name="saved_view_shared_has_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"columns of {self.blueprint_id}"


class Organization(models.Model):
    """The one whose portal this is; a single row, made by the migration.

    settings: `portalTitle`, `portalIcon`, `hiddenBlueprints`, … as clients sent them.
    announcement: {"enabled", "content", "link", "color"} or null.
    """

    name = models.CharField(max_length=100, default="My organisation")
    settings = models.JSONField(default=dict, blank=True)
    announcement = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="organization_is_one"),
        ]

    def __str__(self) -> str:
        return self.name
