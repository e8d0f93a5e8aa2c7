/* The part of the action builder about inputs: one list of questions, headings and steps, in the
 * order in which people see them. A step is a row of its own; what stands below it is on its page.
 */
(() => {
  const PICKED = ["entity", "user", "team"];
  const JQ = "jqQuery";

  window.actionInputs = ({ uid, put, slug, isObject, write }) => ({
    rows: [],

    /* --- JSON to rows and back --- */

    unfitInputs(given) {
      const at = "trigger.userInputs";
      if (!isObject(given ?? {})) return `${at} must be an object`;
      for (const key of ["properties", "titles"]) {
        const group = given?.[key] ?? {};
        if (!isObject(group)) return `${at}.${key} must be an object`;
        for (const [name, one] of Object.entries(group)) {
          if (!isObject(one)) return `${at}.${key}.${name} must be an object`;
        }
      }
      const steps = given?.steps ?? [];
      if (!Array.isArray(steps) || !steps.every(isObject)) return `${at}.steps must be a list of objects`;
      if (!Array.isArray(given?.order ?? [])) return `${at}.order must be a list`;
      const required = given?.required ?? [];
      if (!Array.isArray(required) && !isObject(required)) return `${at}.required must be a list`;
      return "";
    },

    loadInputs() {
      const given = this.doc.trigger.userInputs ?? {};
      this.numberSteps(this.rows);
      const before = Object.fromEntries(this.rows.map((row) => [this.sign(row), row]));
      const required = Array.isArray(given.required) ? given.required : [];
      const inputs = given.properties ?? {};
      const titles = given.titles ?? {};
      const left = new Set([...Object.keys(inputs), ...Object.keys(titles)]);
      const rows = [];
      const take = (name) => {
        if (!left.delete(name)) return;
        if (name in inputs) rows.push(this.inputRow(name, inputs[name], required.includes(name)));
        else rows.push(this.plainRow("heading", titles[name], name));
      };
      for (const step of given.steps ?? []) {
        rows.push(this.plainRow("step", step));
        for (const name of step.order ?? []) take(name);
      }
      if (!given.steps?.length) for (const name of given.order ?? []) take(name);
      for (const name of [...left]) take(name);
      this.numberSteps(rows);
      for (const row of rows) {
        const known = before[this.sign(row)];
        if (known) Object.assign(row, { uid: known.uid, open: known.open });
      }
      this.rows = rows;
      this.signed = this.signature();
    },

    inputRow(name, def, required) {
      const row = {
        kind: "input", uid: uid(), name, def, required, open: false, auto: false,
        values: [], defaultText: "", defaultProblem: "",
      };
      this.readValues(row);
      return row;
    },

    plainRow(kind, def, name = "") {
      return { kind, uid: uid(), name, def, open: false, auto: false, number: 0 };
    },

    numberSteps(rows) {
      rows.filter((row) => row.kind === "step").forEach((row, at) => {
        row.number = at + 1;
      });
    },

    sign: (row) => `${row.kind}:${row.kind === "step" ? row.number : row.name}`,

    /** Which rows there are, in order; while it is the same, the document keeps its own order. */
    signature() {
      return write(this.rows.map((row) => [row.kind, row.kind === "step" ? row.uid : row.name]));
    },

    toUserInputs() {
      const given = this.doc.trigger.userInputs;
      const rows = this.rows.filter((row) => row.kind === "step" || row.name);
      if (!isObject(given) && !rows.length) return given;
      const asked = { ...given };
      const isMoved = this.signature() !== this.signed;
      for (const [key, kind] of [["properties", "input"], ["titles", "heading"]]) {
        const those = rows.filter((row) => row.kind === kind);
        if (those.length || isObject(given?.[key])) asked[key] = this.named(those, given?.[key], isMoved);
      }
      this.writeRequired(asked, rows);
      if (isMoved) this.writeOrder(asked, rows);
      return asked;
    },

    named(rows, given, isMoved) {
      const defs = Object.fromEntries(rows.map((row) => [row.name, row.def]));
      if (isMoved || !given) return defs;
      return Object.fromEntries(Object.keys(given).map((name) => [name, defs[name]]));
    },

    writeRequired(asked, rows) {
      if (isObject(asked.required)) return; // JQ
      const was = asked.required ?? [];
      const names = rows.filter((row) => row.kind === "input").map((row) => row.name);
      const ticked = rows.filter((row) => row.required).map((row) => row.name);
      const now = [
        ...was.filter((name) => ticked.includes(name) || !names.includes(name)),
        ...ticked.filter((name) => !was.includes(name)),
      ];
      if (now.length || Array.isArray(asked.required)) asked.required = now;
    },

    writeOrder(asked, rows) {
      const steps = [];
      const before = []; // what was dragged above the first step goes into that
      for (const row of rows) {
        if (row.kind === "step") steps.push({ ...row.def, order: steps.length ? [] : before });
        else (steps.at(-1)?.order ?? before).push(row.name);
      }
      if (steps.length) asked.steps = steps;
      else if (asked.steps?.length) delete asked.steps;
      if (steps.length) delete asked.order; // a form has one or the other
      else asked.order = rows.map((row) => row.name);
    },

    /* --- what the inputs do --- */

    get inputs() {
      return this.rows.filter((row) => row.kind === "input");
    },

    addInput() {
      const row = this.inputRow("", { type: "string", title: "" }, false);
      row.open = row.auto = true;
      this.rows.push(row);
      this.focusOn(row);
    },

    addHeading() {
      const row = this.plainRow("heading", { title: "" });
      row.open = row.auto = true;
      this.rows.push(row);
      this.focusOn(row);
    },

    /** The first step takes in what there is; a later one begins at the end. */
    addStep() {
      const isFirst = !this.rows.some((row) => row.kind === "step");
      const row = this.plainRow("step", { title: "", order: [] });
      row.open = true;
      if (isFirst) this.rows.unshift(row);
      else this.rows.push(row);
      this.focusOn(row);
    },

    setRowTitle(row, text) {
      row.def.title = text;
      if (row.auto) this.rename(row, slug(text));
    },

    /** Another name; what says the old one says the new one. */
    rename(row, name) {
      const old = row.name;
      row.name = name;
      if (!old || row.kind !== "input") return;
      const swap = (names) => names.map((one) => (one === old ? name : one));
      for (const other of this.inputs) {
        if (Array.isArray(other.def.dependsOn)) other.def.dependsOn = swap(other.def.dependsOn);
      }
      const given = this.doc.trigger.userInputs;
      if (Array.isArray(given?.required)) given.required = swap(given.required);
    },

    chooseType(row, key) {
      this.setType(row, key);
      this.tidyType(row);
    },

    chooseItemType(row, key) {
      this.setItemType(row, key);
      this.tidyType(row);
    },

    /** Keys that mean something for picked entities only. */
    tidyType(row) {
      if (!this.isPicked(row)) for (const key of ["dataset", "sort"]) delete row.def[key];
      for (const one of [row.def, isObject(row.def.items) ? row.def.items : {}]) {
        if (one.format === "entity") one.blueprint ??= this.kinds[0]?.identifier ?? "";
        else delete one.blueprint;
      }
      if (!this.canEncrypt(row)) delete row.def.encryption;
    },

    isPicked(row) {
      return PICKED.includes(this.holder(row).format);
    },

    pickedBlueprint(row) {
      const { format, blueprint } = this.holder(row);
      return { user: "_user", team: "_team" }[format] ?? blueprint;
    },

    canEncrypt(row) {
      return ["string", "object"].includes(row.def.type) && !this.isPicked(row);
    },

    isSecret: (row) => Boolean(row.def.encryption),

    /** The key that keeps people from changing an answer: there are two words for it. */
    lockKey: (row) => ("readOnly" in row.def ? "readOnly" : "disabled"),

    isJq: (value) => isObject(value) && JQ in value,

    setJq(holder, key, isOn) {
      if (isOn) holder[key] = { [JQ]: "" };
      else delete holder[key];
    },

    setEnumJq(row, isOn) {
      const holder = this.holder(row);
      this.setJq(holder, "enum", isOn);
      this.readValues(row);
    },

    setDefaultJq(row, isOn) {
      this.setJq(row.def, "default", isOn);
      this.readValues(row);
    },

    /** "" as most have it, "false", or "jq". */
    flagState(value, standard) {
      if (this.isJq(value)) return "jq";
      return value === undefined || value === null || value === standard ? "" : "off";
    },

    setFlag(holder, key, state, off) {
      if (state === "jq") holder[key] = { [JQ]: "" };
      else if (state === "off") holder[key] = off;
      else delete holder[key];
    },

    setDepends(row, name, isIn) {
      const names = (row.def.dependsOn ?? []).filter((one) => one !== name);
      put(row.def, "dependsOn", isIn ? [...names, name] : names.length ? names : "");
    },

    get requiredQuery() {
      const required = this.doc.trigger.userInputs?.required;
      return this.isJq(required) ? required : null;
    },

    setRequiredJq(isOn) {
      this.doc.trigger.userInputs ??= {};
      const ticked = this.inputs.filter((row) => row.required).map((row) => row.name);
      this.doc.trigger.userInputs.required = isOn ? { [JQ]: "" } : ticked;
    },

    inputBadge(row) {
      const marks = [this.typeTitle(row.def)];
      if (this.isJq(row.def.visible)) marks.push("conditional");
      if (this.isSecret(row)) marks.push("secret");
      return marks.join(" · ");
    },

    /* --- what is wrong --- */

    wrongRow(row) {
      const told = this.toldOf(row);
      if (row.kind === "step") return told;
      if (!row.name) told.push("It needs an identifier");
      else if (this.isTakenName(row)) told.push("Another one has this identifier");
      return told;
    },

    placeOf(row) {
      const group = { input: "properties", heading: "titles", step: "steps" }[row.kind];
      return `trigger.userInputs.${group}.${row.kind === "step" ? row.number - 1 : row.name}`;
    },

    toldOf(row) {
      if (row.kind !== "step" && !row.name) return [];
      return this.problemsAt(this.placeOf(row));
    },

    /** Of the inputs as a whole: what no row shows. */
    get toldOfInputs() {
      const shown = new Set(this.rows.flatMap((row) => this.toldOf(row)));
      return this.problemsAt("trigger.userInputs").filter((one) => !shown.has(one));
    },

    isTakenName(row) {
      return this.rows.filter((other) => other.kind !== "step" && other.name === row.name).length > 1;
    },

    isUnfinished(row) {
      if (row.kind === "step") return false;
      return !row.name || this.isTakenName(row) || Boolean(row.defaultProblem);
    },

    openWrongRows() {
      for (const row of this.rows) if (this.wrongRow(row).length) row.open = true;
    },
  });
})();
