"""The drawn form of an action or a template: what `actions.inputs` says, as HTML and back.

    form = ActionForm(definition, context, data=request.POST, principal=request.user)
    if form.is_valid():
        start_run(action, {"properties": form.values}, secrets=form.secrets, …)

    {% include "actions/form/form.html" with form=form url=live_url %}

`url` answers a POST of the whole form with `live(request, form)`: what has changed of it since it
was drawn. Without scripts, nothing is asked there; a form that comes back with further questions
says so.
"""

from actions.portal.forms.form import ActionForm
from actions.portal.forms.live import live

__all__ = ["ActionForm", "live"]
