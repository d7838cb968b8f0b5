// Show the API's own document to a person: what can be asked for, with what, and what is answered.

import { el, refill } from "./dom.js";
import { listed, t } from "./format.js";
import { paint, preferredLanguage, speakIn } from "./settings.js";
import { ask, SignedOut } from "./stream.js";

const DOCUMENT = "/api/v1/openapi.json";
const main = document.getElementById("main");

/** Return what a schema allows: names of other schemas as links to them. */
function typeOf(schema = {}) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [el("a", { href: `#${name}` }, name)];
  }
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return options.flatMap((each, index) => [index ? " | " : "", ...typeOf(each)]);
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["[", ...typeOf(schema.items), "]"];
  if (schema.type === "object" && typeof schema.additionalProperties === "object") return ["{", ...typeOf(schema.additionalProperties), "}"];
  return [schema.type ?? "–"];
}

/** Return a table of rows `[name, where, schema, description, is required]`. */
function table(rows) {
  const cell = (row) => [
    el("th", { scope: "row" }, el("code", {}, row[0]), row[4] ? " *" : ""),
    el("td", {}, row[1]),
    el("td", {}, ...typeOf(row[2])),
    el("td", {}, row[3] ?? ""),
  ];
  return rows.length ? el("table", { class: "api" }, el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cell(row))))) : "";
}

function contents(kinds = {}) {
  return Object.entries(kinds).flatMap(([kind, { schema }], index) => [index ? ", " : "", el("code", {}, kind), " ", ...(schema ? typeOf(schema) : [])]);
}

function operation(path, method, of) {
  const given = (of.parameters ?? []).map((each) => [each.name, each.in, each.schema, each.description, each.required]);
  const body = of.requestBody ? [el("p", {}, el("code", {}, "body"), " ", ...contents(of.requestBody.content))] : [];
  const answers = Object.entries(of.responses);
  const [done, refused] = [answers.filter(([status]) => status < "400"), answers.filter(([status]) => status >= "400")];
  return el(
    "details",
    {},
    el("summary", {}, el("code", {}, `${method.toUpperCase()} ${path}`), " ", el("span", { class: "small" }, of.summary ?? "")),
    table(given),
    ...body,
    ...done.map(([status, answer]) => el("p", {}, el("code", {}, status), " ", ...contents(answer.content))),
    refused.length ? el("p", { class: "small" }, listed(refused.map(([status]) => status)), " ", el("code", {}, "application/problem+json")) : "",
  );
}

function schema(name, of) {
  const required = new Set(of.required ?? []);
  const rows = Object.entries(of.properties ?? {}).map(([key, each]) => [key, "", each, each.description, required.has(key)]);
  return el("details", { id: name }, el("summary", {}, el("code", {}, name)), of.description ? el("p", { class: "small" }, of.description) : "", rows.length ? table(rows) : el("p", {}, ...typeOf(of)));
}

/** Open the schema that the address names. */
function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.tagName === "DETAILS") named.open = true;
}

async function draw() {
  await speakIn(preferredLanguage());
  paint();
  const found = await ask("openapi.json");
  const operations = Object.entries(found.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, of]) => operation(path, method, of)));
  refill(
    main,
    el("h1", {}, `${found.info.title} ${found.info.version} API`),
    el("p", { class: "small" }, el("code", {}, DOCUMENT), ` · OpenAPI ${found.openapi}`),
    el("section", { class: "card" }, ...operations),
    el("section", { class: "card" }, ...Object.entries(found.components.schemas).map(([name, of]) => schema(name, of))),
  );
  openNamed();
}

window.addEventListener("hashchange", openNamed);
try {
  await draw();
} catch (error) {
  const isOut = error instanceof SignedOut;
  refill(main, el("section", { class: "card" }, el("p", { class: "bad" }, isOut ? t("not signed in") : error.message), isOut ? el("p", {}, el("a", { href: "/" }, t("Sign in"))) : ""));
}
window.dispatchEvent(new Event("botfleet-started"));
