"""The `${{ }}` expressions of software templates: a subset of Nunjucks with JavaScript's values,
evaluated over JSON within a budget, so that templates of strangers can be rendered in process.
"""

from .budget import Budget
from .environment import Environment, is_truthy
from .errors import TemplateError, TemplateLimitExceeded
from .extensions import Function, Value
from .values import UNDEFINED

__all__ = [
    "UNDEFINED",
    "Budget",
    "Environment",
    "Function",
    "TemplateError",
    "TemplateLimitExceeded",
    "Value",
    "is_truthy",
]
