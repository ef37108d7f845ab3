import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { McpServer } from "@modelcontextprotocol/server";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { FINDING_RULES } from "../protocol/findings.ts";
import { CURVE_RULES } from "./curves.ts";

/** The package's folder, above dist/ and above extension/mcp alike. */
const media = (path: string): string => {
  const levels = import.meta.url.endsWith(".ts") ? "../../" : "../";
  return fileURLToPath(new URL(`${levels}media/${path}`, import.meta.url));
};

const GUIDE = "agents/layerwise/SKILL.md";
const guide = (): string => readFileSync(media(GUIDE), "utf8").replace(/^---\n.*?\n---\n+/s, "");

/** Registers what a client can read: how to write models, the rules of findings and curves, examples. */
export function registerGuides(server: McpServer): void {
  const text = (uri: URL, mimeType: string, content: string) => ({
    contents: [{ uri: uri.href, mimeType, text: content }],
  });
  server.registerResource(
    "guide",
    "layerwise://guide",
    {
      title: "How to Write a Model",
      description: "The form of a .nn.ts file, common mistakes, and how to work with these tools",
      mimeType: "text/markdown",
    },
    (uri) => text(uri, "text/markdown", guide()),
  );
  server.registerResource(
    "rules",
    "layerwise://rules",
    {
      title: "Rules of Findings and Curves",
      description: "When a probable mistake is reported, why, and what helps; how curves are put into words",
      mimeType: "application/json",
    },
    (uri) =>
      text(
        uri,
        "application/json",
        JSON.stringify({ findings: FINDING_RULES, curves: CURVE_RULES }, null, 2),
      ),
  );
  for (const name of readdirSync(media("examples")).filter((file) => file.endsWith(".nn.ts")))
    server.registerResource(
      name,
      `layerwise://examples/${name}`,
      { title: name, description: "An example that trains as it stands", mimeType: "text/typescript" },
      (uri) => text(uri, "text/typescript", readFileSync(media(`examples/${name}`), "utf8")),
    );
  server.registerPrompt(
    "write_model",
    {
      title: "Write a Model",
      description: "Writes a .nn.ts file for a task, trains it and says how good it is",
      argsSchema: toStandardJsonSchema(
        v.strictObject({
          task: v.pipe(v.string(), v.maxLength(4000), v.description("What to predict, and from which data")),
        }),
      ),
    },
    ({ task }) => ({
      messages: [
        {
          role: "user",
          content: { type: "text", text: `${guide()}\n\nWrite and train a model for this task: ${task}` },
        },
      ],
    }),
  );
}
