// Prints what Ajv says of {"schemas": {name: schema}, "values": {name: value}}, read from stdin, as JSON.
// Usage: node schema_by_node.mjs FOLDER  (the one with node_modules)
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const Ajv = createRequire(`${process.argv[2]}/`)("ajv/dist/2020");
const { schemas, values } = JSON.parse(readFileSync(0, "utf8"));
const answers = {};
for (const [name, schema] of Object.entries(schemas)) {
  const ajv = new Ajv({ strict: false });
  const isSchema = ajv.validateSchema(schema);
  const isValid = ajv.compile(schema);
  answers[name] = {
    isSchema,
    valid: Object.fromEntries(Object.entries(values).map(([each, value]) => [each, isValid(value)])),
  };
}
console.log(JSON.stringify(answers));
