// docs/agents.md and the schema of --json are made from the code: `npx vitest run --project unit test/unit/docs -u` writes them.
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { toJsonSchemaDefs, toStandardJsonSchema } from "@valibot/to-json-schema";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as v from "valibot";
import { expect, test } from "vitest";
import { CURVE_RULES } from "../../../extension/mcp/curves.ts";
import { toolsFor } from "../../../extension/mcp/server.ts";
import type { Services } from "../../../extension/mcp/services.ts";
import type { Effect } from "../../../extension/mcp/tool.ts";
import { CLI_JSON, problemOfLine } from "../../../extension/protocol/cliJson.ts";
import { FINDING_RULES } from "../../../extension/protocol/findings.ts";
import { SourcePosition, UserError } from "../../../extension/protocol/errors.ts";
import { SummaryRow, TensorType } from "../../../extension/protocol/preview.ts";
import { CheckpointRecord, Metrics, MetricValue, RunRecord } from "../../../extension/protocol/run.ts";

const docs = (name: string): string => fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));

/** Schemas that several lines share. */
const SHARED = { RunRecord, UserError, SourcePosition, Metrics, CheckpointRecord, TensorType, SummaryRow };

/** Making a tool calls none of them. */
const tools = toolsFor({} as Services);

const EFFECTS: Record<Effect, string> = {
  reads: "reads files only",
  imports: "adds runs to the workspace",
  runs: "runs code",
  writes: "runs code, may replace a file",
  ends: "ends what runs",
};

const PARTS: Record<string, string> = {
  tools: tools
    .map(({ name, effect, description }) => `- \`${name}\` (${EFFECTS[effect]}): ${description}`)
    .join("\n"),
  findings: Object.entries(FINDING_RULES)
    .map(
      ([kind, { title, rule, reason, fix }]) =>
        `### ${title}\n\n\`${kind}\`. ${rule}\n\nReason: ${reason}\n\n${fix}`,
    )
    .join("\n\n"),
  curves: Object.entries(CURVE_RULES)
    .map(([word, rule]) => `- ${word}: ${rule}`)
    .join("\n"),
  json: Object.entries(CLI_JSON)
    .map(([name, { what, lines }]) => {
      const definitions = Object.keys(lines).map((line) => `\`${line}\``);
      return `- \`layerwise ${name} --json\`: ${what} Definitions: ${definitions.join(", ")}.`;
    })
    .join("\n"),
};

test("docs/agents.md lists the tools, rules and JSON output of the code", async () => {
  const page = fs.readFileSync(docs("agents.md"), "utf8");
  const written = page.replaceAll(
    /(<!-- list of (\w+) -->\n)[\s\S]*?(?=<!-- end -->)/g,
    (_, start: string, part: string) => `${start}\n${PARTS[part]}\n\n`,
  );
  await expect(written).toMatchFileSnapshot(docs("agents.md"));
});

test("docs/cli-output.schema.json describes every line that a command prints as JSON", async () => {
  const lines = Object.values(CLI_JSON).map(({ lines: all }) => all as Record<string, v.GenericSchema>);
  const definitions = toJsonSchemaDefs(Object.assign({ ...SHARED }, ...lines) as typeof SHARED, {
    target: "draft-2020-12",
    typeMode: "input",
    errorMode: "ignore",
    // JSON writes NaN and infinity as null.
    overrideSchema: ({ valibotSchema }) =>
      valibotSchema === MetricValue ? { type: ["number", "null"] } : undefined,
  });
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "What Layerwise's commands print with --json, a value a line",
    $defs: definitions,
  };
  expect(() => new Ajv2020({ strict: false }).compile(schema)).not.toThrow();
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(docs("cli-output.schema.json"));
});

test("a line with a field that isn't documented is a problem", () => {
  expect(problemOfLine("engine remove", { removed: true })).toBeUndefined();
  expect(problemOfLine("engine remove", { removed: true, more: 1 })).toContain(".more is not documented");
  expect(problemOfLine("engine remove", { removed: "yes" })).toContain("removed");
});

test("every tool has a closed input, an output and a name that clients accept", () => {
  expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
  for (const { name, input, output, description } of tools) {
    expect(name).toMatch(/^[a-z_]{1,64}$/);
    const schema = toStandardJsonSchema(input)["~standard"].jsonSchema.input({ target: "draft-2020-12" });
    expect(schema["additionalProperties"], name).toBe(false);
    expect(
      toStandardJsonSchema(output)["~standard"].jsonSchema.output({ target: "draft-2020-12" }),
    ).toMatchObject({
      type: "object",
    });
    expect(description.length, name).toBeLessThan(500);
  }
});
