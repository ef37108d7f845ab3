// An agent's side: the official client on the streams of `layerwise mcp`.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll } from "vitest";
import { dist } from "../workspace.ts";

/** An answer with its structured content; fails if a tool does. */
export interface Agent {
  readonly client: Client;
  call<T>(name: string, args?: Record<string, unknown>): Promise<T>;
  /** The text of a failure; fails if the tool doesn't. */
  refusal(name: string, args?: Record<string, unknown>): Promise<string>;
}

/** Connects before the first test of a file and disconnects after the last. */
export function useAgent(folder: () => string, env: Record<string, string> = {}): Agent {
  const client = new Client({ name: "test", version: "1.0.0" });
  beforeAll(async () => {
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [`${dist}/cli.js`, "mcp", folder()],
        env: { ...(process.env as Record<string, string>), ...env },
        stderr: "ignore",
      }),
    );
  });
  afterAll(() => client.close());
  const ask = async (
    name: string,
    args: Record<string, unknown>,
  ): Promise<{ failed: boolean; text: string; content: unknown }> => {
    const result = await client.callTool({ name, arguments: args }, { timeout: 120_000 });
    const [first] = result.content as { type: string; text: string }[];
    return { failed: result.isError === true, text: first?.text ?? "", content: result.structuredContent };
  };
  return {
    client,
    async call<T>(name: string, args: Record<string, unknown> = {}) {
      const { failed, text, content } = await ask(name, args);
      if (failed) throw new Error(`${name}: ${text}`);
      return content as T;
    },
    async refusal(name, args = {}) {
      const { failed, text } = await ask(name, args);
      if (!failed) throw new Error(`${name} answered: ${text}`);
      return text;
    },
  };
}
