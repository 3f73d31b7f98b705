// Shows the API's description as a page.
import { get } from "./api.js";

const api = await get("/api/openapi.json");

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function typeOf(schema) {
  if (schema.$ref) return fieldsOf(schema.$ref.split("/").pop());
  if (schema.format === "binary") return "bytes";
  return [schema.type, ...(schema.anyOf ?? []).map((one) => one.type)].flat().filter(Boolean).join(" or ");
}

function fieldsOf(model) {
  const fields = Object.keys(api.components.schemas[model].properties ?? {});
  return `${model}: ${fields.join(", ")}`;
}

function contentOf(what) {
  return Object.entries(what?.content ?? {}).map(([type, { schema }]) => `${type}, ${typeOf(schema)}`).join("; ");
}

for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const section = element("section", "", "operation");
    const heading = element("h3", "");
    heading.append(element("b", method.toUpperCase()), element("code", path));
    const list = document.createElement("dl");
    const row = (name, words) => words && list.append(element("dt", name), element("dd", words));
    for (const { name, in: where, schema, required } of operation.parameters) {
      if (where === "query") row(`?${name}`, `${typeOf(schema)}${required ? ", required" : ""}`);
    }
    row("takes", contentOf(operation.requestBody));
    const statuses = Object.entries(operation.responses);
    const [good] = statuses;
    row("gives", `${good[0]} ${contentOf(good[1])}`);
    row("refuses", statuses.slice(1).map(([status]) => status).join(", "));
    section.append(heading, element("p", operation.summary), list);
    document.getElementById("operations").append(section);
  }
}
