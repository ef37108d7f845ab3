import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { jsonText, plainText } from "../protocol/text/plain.ts";
import { toUserError } from "../supervisor/errors.ts";
import { ANSWER_LIMIT, bounded, cleaned, NOTICE } from "./answers.ts";

/** Effect of a tool on its surroundings, for the client that asks its user. */
export type Effect =
  /** Reads files of the workspace; runs none of its code. */
  | "reads"
  /** Adds runs to the workspace, or replaces their values; runs none of its code. */
  | "imports"
  /** Runs code of the workspace, with the user's rights. */
  | "runs"
  /** Runs code of the workspace, and may replace a file. */
  | "writes"
  /** Ends something that runs. */
  | "ends";

export interface Call {
  /** Aborted when the client cancels the request. */
  signal: AbortSignal;
  /** Reports the progress of a call to the client, if it asked for that. */
  progress(done: number, total: number, message: string): void;
}

type Schema = v.GenericSchema<unknown, object>;

export interface Tool<I extends Schema = Schema, O extends Schema = Schema> {
  name: string;
  title: string;
  description: string;
  effect: Effect;
  input: I;
  output: O;
  call(input: v.InferOutput<I>, call: Call): Promise<v.InferInput<O>>;
}

/** A tool whose types follow from its schemas. */
export const tool = <I extends Schema, O extends Schema>(one: Tool<I, O>): Tool => one;

const HINTS: Record<Effect, { readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean }> = {
  reads: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
  imports: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
  runs: { readOnlyHint: false, destructiveHint: false, idempotentHint: false },
  writes: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
  ends: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
};

/** Registers a tool. Its errors become answers that say what is wrong and what to do. */
export function register(server: McpServer, one: Tool): void {
  const { name, title, description, effect, input, output } = one;
  server.registerTool(
    name,
    {
      title,
      description,
      inputSchema: toStandardJsonSchema(input),
      outputSchema: toStandardJsonSchema(output),
      // Code of the workspace may do anything, so it may reach other machines.
      annotations: { title, ...HINTS[effect], openWorldHint: effect === "runs" || effect === "writes" },
    },
    async (given: object, context: ServerContext) => {
      try {
        return answerOf(cleaned(await one.call(given, callOf(context))) as Record<string, unknown>);
      } catch (error) {
        return failureOf(error);
      }
    },
  );
}

function answerOf(value: Record<string, unknown>): CallToolResult {
  const text = jsonText(value);
  if (Buffer.byteLength(text) > ANSWER_LIMIT)
    throw new Error(
      `The answer would have ${Buffer.byteLength(text)} bytes; the limit is ${ANSWER_LIMIT}. Ask for fewer items (limit).`,
    );
  return { content: [{ type: "text", text: `${NOTICE}\n${text}` }], structuredContent: value };
}

function failureOf(thrown: unknown): CallToolResult {
  const { code, message, hint, position } = toUserError(thrown);
  const at = position === undefined ? "" : ` (line ${position.line}, column ${position.column})`;
  const lines = [`${plainText(message)}${at} [${code}]`, ...(hint === undefined ? [] : [`Hint: ${hint}`])];
  return { isError: true, content: [{ type: "text", text: bounded(`${NOTICE}\n${lines.join("\n")}`) }] };
}

/** Milliseconds between two progress notifications. */
const INTERVAL = 500;

function callOf({ mcpReq }: ServerContext): Call {
  const token = mcpReq._meta?.progressToken;
  let told = -Infinity;
  return {
    signal: mcpReq.signal,
    progress(done, total, message) {
      const now = performance.now();
      if (token === undefined || now - told < INTERVAL) return;
      told = now;
      const params = { progressToken: token, progress: done, total, message: bounded(message, 200) };
      mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined);
    },
  };
}
