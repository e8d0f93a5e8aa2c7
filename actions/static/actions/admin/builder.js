/* The action builder: the same action as a form, as JSON and as YAML, each following the others.
 *
 * What is sent is always the JSON. Keys that the form has no input for stay as they are.
 */
(() => {
  const base = window.builderBase;
  const { read, write, isObject } = base;
  const YAML_WAIT_MS = 400;

  /** Whether a problem with `field` belongs to this place of the document. */
  const isAt = (field, place) =>
    field === place || field.startsWith(`${place}.`) || field.startsWith(`${place}[`);

  const builder = () => base.compose(base.parts(), window.actionInputs(base), window.actionMethod(base), {
    doc: { trigger: {}, invocationMethod: {} },
    aside: "form",
    kept: {}, // triggers and methods of other types, for whoever turns back
    yaml: "",
    yamlProblem: "",
    ...JSON.parse(document.getElementById("builder-data").textContent),

    init() {
      this.begin(() => this.announce());
      this.openWrongRows();
      if (this.problems.length) this.$nextTick(() => this.showWrong());
    },

    /** Ask the server what it makes of the action. */
    announce() {
      if (this.problem) return;
      this.$dispatch("action-changed");
      if (this.aside === "plan") this.$dispatch("plan-wanted");
    },

    slugOf: (text) => base.slug(text ?? ""),

    get isSaved() {
      return Boolean(this.stored) && this.text === this.saved;
    },

    /* --- JSON to form and back --- */

    load(text) {
      let doc;
      try {
        doc = read(text);
      } catch (error) {
        this.problem = error.message;
        return;
      }
      this.problem = this.unfit(doc);
      if (this.problem) return;
      this.doc = doc;
      this.loadInputs();
      this.drawn = write(this.toDocument());
    },

    /** Why this JSON is no action that the form could show; "" when it is one. */
    unfit(doc) {
      if (!isObject(doc)) return "An action is a JSON object: {…}";
      for (const key of ["trigger", "invocationMethod"]) {
        if (!isObject(doc[key])) return `${key} must be an object`;
      }
      for (const [name, grant] of Object.entries(doc.permissions ?? {})) {
        if (!isObject(grant)) return `permissions.${name} must be an object`;
      }
      return this.unfitInputs(doc.trigger.userInputs);
    },

    toDocument() {
      const doc = { ...this.doc };
      const asked = this.isSelfService ? this.toUserInputs() : undefined;
      if (asked !== undefined) doc.trigger = { ...doc.trigger, userInputs: asked };
      return doc;
    },

    async showYaml() {
      this.tab = "yaml";
      this.yamlProblem = "";
      const answer = await this.converted(this.text, "yaml");
      if (answer) this.yaml = answer.text ?? "";
      this.yamlProblem = answer?.error ?? "";
    },

    typedYaml(text) {
      this.yaml = text;
      clearTimeout(this.yamlTimer);
      this.yamlTimer = setTimeout(async () => {
        const answer = await this.converted(text, "json");
        if (!answer) return;
        if (!answer.error) this.typed(answer.text);
        this.yamlProblem = answer.error || this.problem;
      }, YAML_WAIT_MS);
    },

    /** What the server makes of a text; null when a later one is under way. */
    async converted(text, to) {
      this.converting?.abort();
      this.converting = new AbortController();
      const body = new URLSearchParams({ text, to });
      try {
        const answer = await fetch(this.$refs.yaml.dataset.url, {
          method: "POST",
          body,
          headers: { "X-CSRFToken": this.$refs.yaml.dataset.token },
          signal: this.converting.signal,
        });
        if (!answer.ok) throw new Error(answer.statusText);
        return await answer.json();
      } catch (error) {
        return error.name === "AbortError" ? null : { error: "The server did not answer." };
      }
    },

    /* --- the trigger --- */

    get isSelfService() {
      return this.doc.trigger.type !== "automation";
    },

    get event() {
      return isObject(this.doc.trigger.event) ? this.doc.trigger.event : {};
    },

    get eventKeys() {
      return this.events.find((one) => one.type === this.event.type)?.keys ?? [];
    },

    setTriggerType(type) {
      const trigger = this.toDocument().trigger;
      if (trigger.type === type) return;
      this.kept[trigger.type] = trigger;
      const fresh = {
        "self-service": {
          type,
          operation: "CREATE",
          userInputs: { properties: {}, required: [], order: [] },
        },
        automation: {
          type,
          event: { type: "ENTITY_CREATED", blueprintIdentifier: this.kinds[0]?.identifier ?? "" },
        },
      }[type];
      this.doc.trigger = this.kept[type] ?? fresh;
      this.loadInputs();
    },

    setOperation(operation) {
      this.doc.trigger.operation = operation;
      if (operation === "CREATE") delete this.doc.trigger.condition;
      else if (!this.doc.trigger.blueprintIdentifier) this.setBlueprint(this.kinds[0]?.identifier);
    },

    setBlueprint(identifier) {
      base.put(this.doc.trigger, "blueprintIdentifier", identifier);
    },

    /** Another event, with those keys of the last one that it has, too. */
    setEventType(type) {
      const keys = this.events.find((one) => one.type === type)?.keys ?? [];
      const event = { type };
      for (const key of keys) event[key] = this.event[key] ?? this.standardKey(key);
      if (type === this.event.type) return;
      this.doc.trigger.event = event;
    },

    standardKey(key) {
      if (key === "blueprintIdentifier") return this.kinds[0]?.identifier ?? "";
      if (key === "actionIdentifier") return this.actions[0]?.identifier ?? "";
      if (key === "cron") return "0 6 * * 1";
      return "";
    },

    keyTitle(key) {
      const known = {
        blueprintIdentifier: "Blueprint",
        propertyIdentifier: "Property",
        actionIdentifier: "Action",
        scorecardIdentifier: "Scorecard",
        cron: "When (cron)",
      };
      return known[key] ?? key;
    },

    get timers() {
      return this.kind(this.event.blueprintIdentifier).properties.filter(
        (one) => one.format === "timer",
      );
    },

    kind(identifier) {
      const found = this.kinds.find((one) => one.identifier === identifier);
      return found ?? { title: identifier, properties: [], relations: [] };
    },

    /** What a rule over entities of a blueprint may ask for. */
    ruleNames(identifier) {
      const { properties, relations } = this.kind(identifier);
      return [...this.metas, ...properties.map((one) => one.name), ...relations.map((one) => one.name)];
    },

    get expressions() {
      const condition = this.doc.trigger.condition;
      return isObject(condition) && Array.isArray(condition.expressions) ? condition.expressions : [];
    },

    addExpression() {
      const condition = isObject(this.doc.trigger.condition) ? this.doc.trigger.condition : {};
      this.doc.trigger.condition = {
        ...condition,
        type: "JQ",
        expressions: [...this.expressions, ""],
        combinator: condition.combinator ?? "and",
      };
      this.$nextTick(() => [...this.$root.querySelectorAll("[data-expression]")].at(-1)?.focus());
    },

    removeExpression(at) {
      this.expressions.splice(at, 1);
      if (!this.expressions.length) delete this.doc.trigger.condition;
    },

    /* --- approval, time, permissions --- */

    get approval() {
      const required = this.doc.requiredApproval;
      return isObject(required) ? required.type : required ? "ANY" : "";
    },

    setApproval(type) {
      const required = this.doc.requiredApproval;
      if (!type) this.doc.requiredApproval = false;
      else this.doc.requiredApproval = { ...(isObject(required) ? required : {}), type };
    },

    setNotification(type) {
      const told = this.doc.approvalNotification;
      if (!type) delete this.doc.approvalNotification;
      else this.doc.approvalNotification = { ...(isObject(told) ? told : {}), type };
    },

    setWhole(key, text) {
      const value = base.number(text);
      if (text.trim() === "") delete this.doc[key];
      else if (value !== undefined) this.doc[key] = value;
    },

    grant(name) {
      return { ...this.grants[name], ...(this.doc.permissions?.[name] ?? {}) };
    },

    setGrant(name, key, value) {
      if (!isObject(this.doc.permissions)) this.doc.permissions = {};
      this.doc.permissions[name] = { ...this.grant(name), [key]: value };
    },

    setRole(name, role, isIn) {
      const roles = this.grant(name).roles.filter((one) => one !== role);
      this.setGrant(name, "roles", isIn ? [...roles, role] : roles);
    },

    /** Roles that may, and such as the document names though there are none here. */
    rolesOf(name) {
      return [...new Set([...this.roles, ...(this.grant(name).roles ?? [])])];
    },

    /** Let a picker show what the document says. */
    async showPicked(box, name, key) {
      const values = this.grant(name)[key] ?? [];
      const picker = box.querySelector("entity-picker");
      await customElements.whenDefined("entity-picker");
      if (write(picker.picked.map((one) => one.value)) === write(values)) return;
      picker.picked = values.map((value) => ({ value, label: value, missing: false }));
      picker.draw();
    },

    readPicked(box, name, key) {
      this.setGrant(name, key, box.querySelector("entity-picker").picked.map((one) => one.value));
    },

    /* --- what is wrong --- */

    problemsAt(...places) {
      return this.problems
        .filter((one) => places.some((place) => isAt(one.field, place)))
        .map((one) => one.message);
    },

    get isBlocked() {
      return (
        Boolean(this.problem) ||
        Boolean(this.yamlProblem) ||
        (this.isSelfService && this.rows.some((row) => this.isUnfinished(row))) ||
        Boolean(this.$root.querySelector("[data-unread]"))
      );
    },

    /** Before the form is sent: an unfinished row would be lost without a word. */
    send(event) {
      if (this.isBlocked) {
        event.preventDefault();
        this.openWrongRows();
        this.showWrong();
        return;
      }
      window.removeEventListener("beforeunload", this.leave);
    },
  });

  /** A part of the document as JSON of its own. get, set: of the value; undefined is none.
   * isText: what is no JSON is taken as text.
   */
  const jsonField = (get, set, isText = false) => ({
    text: "",
    problem: "",

    init() {
      this.stop = Alpine.effect(() => {
        const value = get();
        const next = this.told(value);
        if (this.typedAs !== next) {
          this.typedAs = next;
          this.text = next;
          this.problem = "";
        }
      });
    },

    destroy() {
      Alpine.release(this.stop);
    },

    told(value) {
      if (value === undefined || value === null) return "";
      return typeof value === "string" && isText ? value : write(value);
    },

    typed(text) {
      this.text = text;
      this.problem = "";
      let value;
      try {
        value = this.parsed(text);
      } catch (error) {
        this.problem = `Not JSON yet: ${error.message}`;
        return;
      }
      this.typedAs = this.told(value);
      set(value);
    },

    parsed(text) {
      if (!text.trim()) return undefined;
      const isTemplate = text.trim().startsWith("{{");
      if (isText && (isTemplate || !/^\s*[[{]/.test(text))) return text;
      return read(text);
    },
  });

  /** Rules over entities: {combinator, rules: [{property, operator, value}]}; others are JSON. */
  const ruleList = (get, set) => ({
    get query() {
      const query = get();
      return isObject(query) ? query : null;
    },

    get rules() {
      return Array.isArray(this.query?.rules) ? this.query.rules : [];
    },

    /** Whether each rule is a row: no groups, no relations. */
    get isFlat() {
      return this.rules.every((rule) => isObject(rule) && !("rules" in rule) && typeof rule.property === "string");
    },

    addRule(start) {
      const query = this.query ?? { ...start, combinator: "and", rules: [] };
      set({ ...query, rules: [...this.rules, { property: "$identifier", operator: "=", value: "" }] });
    },

    removeRule(at) {
      const rules = this.rules.filter((_, place) => place !== at);
      set(rules.length ? { ...this.query, rules } : undefined);
    },

    setCombinator(value) {
      set({ ...this.query, combinator: value });
    },

    setOperator(rule, operator, isBare) {
      rule.operator = operator;
      if (isBare) delete rule.value;
      else if (!("value" in rule)) rule.value = "";
    },

    valueText(rule) {
      return typeof rule.value === "string" ? rule.value : rule.value === undefined ? "" : JSON.stringify(rule.value);
    },

    /** Lists, numbers, true and {"jqQuery": …} as what they are, anything else as text. */
    setRuleValue(rule, text) {
      try {
        rule.value = read(text);
      } catch {
        rule.value = text;
      }
    },
  });

  document.addEventListener("alpine:init", () => {
    Alpine.data("actionBuilder", builder);
    Alpine.data("jsonField", jsonField);
    Alpine.data("ruleList", ruleList);
  });
})();
