/* The part of the action builder about what does the work: its form is drawn from the schema that
 * the backend declares.
 */
(() => {
  window.actionMethod = ({ isObject }) => ({
    lastField: null, // where a template is put in

    get method() {
      return this.doc.invocationMethod;
    },

    get backend() {
      return this.backends.find((one) => one.type === this.method.type);
    },

    setMethodType(type) {
      if (type === this.method.type) return;
      this.kept[`method ${this.method.type}`] = this.method;
      this.doc.invocationMethod = this.kept[`method ${type}`] ?? { type };
    },

    get methodFields() {
      return this.backend ? this.fieldsOf(this.backend.schema) : [];
    },

    fieldsOf(schema, path = []) {
      return Object.entries(schema.properties ?? {}).flatMap(([key, one]) => {
        if (key === "type" && !path.length) return [];
        const place = [...path, key];
        if (one.properties) return this.fieldsOf(one, place);
        return [{
          key: place.join("."),
          path: place,
          title: one.title ?? key,
          help: one.description ?? "",
          kind: this.fieldKind(one),
          isRequired: (schema.required ?? []).includes(key),
          options: (one.enum ?? []).filter((value) => value !== null),
          standard: one.default,
        }];
      });
    },

    fieldKind(schema) {
      const types = [].concat(schema.type ?? []);
      if (schema.enum) return "choice";
      if (types.includes("boolean")) return "flag";
      return types.includes("object") || types.includes("array") ? "json" : "text";
    },

    /** Keys that the form has no input for: they stay as they are. */
    get otherKeys() {
      const known = new Set(["type", ...this.methodFields.map((field) => field.path[0])]);
      return Object.keys(this.method).filter((key) => !known.has(key));
    },

    valueAt(path) {
      return path.reduce((value, key) => (isObject(value) ? value[key] : undefined), this.method);
    },

    setAt(path, value) {
      let holder = this.method;
      for (const key of path.slice(0, -1)) {
        if (!isObject(holder[key])) holder[key] = {};
        holder = holder[key];
      }
      if (value === undefined || value === "") delete holder[path.at(-1)];
      else holder[path.at(-1)] = value;
    },

    /* --- templates --- */

    get templateGroups() {
      const inputs = this.isSelfService
        ? this.inputs.filter((row) => row.name).map((row) => `.inputs${this.member(row.name)}`)
        : [".event.context.entityIdentifier", ".event.diff.after.properties", ".event.action"];
      return [
        [this.isSelfService ? "Inputs" : "The event", inputs],
        ["The entity", [".entity.identifier", ".entity.title", ".entity.properties"]],
        ["Who and when", [".trigger.by.user.email", ".trigger.operation", ".run.id", ".action.identifier"]],
        ["Secrets", this.secrets.map((name) => `.secrets${this.member(name)}`)],
      ].filter(([, expressions]) => expressions.length);
    },

    member: (name) => (/^[A-Za-z_]\w*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`),

    /** Put a template where the caret was. */
    insert(expression) {
      const field = this.lastField;
      if (!field?.isConnected) return;
      const text = `{{ ${expression} }}`;
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    },
  });
})();
