// The protocol's own conformance suite against `layerwise mcp`.
import { execFile } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRoot } from "../../../scripts/project.mjs";
import { dist, useWorkspace } from "../workspace.ts";
import { type Bridge, openBridge } from "./httpBridge.ts";

const SUITE = inRoot("node_modules/@modelcontextprotocol/conformance/dist/index.js");

/** Scenarios that any server with tools, resources and prompts has to pass. */
const APPLICABLE = ["server-initialize", "ping", "tools-list", "resources-list", "prompts-list"];

/** Why the others say nothing about this server. */
const INAPPLICABLE: Readonly<Record<string, readonly string[]>> = {
  "need tools that only the suite's example server has (test_simple_text, test_image_content, …)": [
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-with-logging",
    "tools-call-error",
    "tools-call-with-progress",
    "tools-call-sampling",
    "tools-call-elicitation",
    "json-schema-2020-12",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
  ],
  "need resources and prompts that only the suite's example server has (test://static-text, test_simple_prompt, …)":
    [
      "resources-read-text",
      "resources-read-binary",
      "resources-templates-read",
      "prompts-get-simple",
      "prompts-get-with-args",
      "prompts-get-embedded-resource",
      "prompts-get-with-image",
    ],
  "test capabilities that this server doesn't declare": [
    "logging-set-level",
    "completion-complete",
    "resources-subscribe",
    "resources-unsubscribe",
  ],
  "test HTTP, which the server doesn't speak": [
    "server-sse-polling",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
  ],
};

const workspace = useWorkspace("all");
let bridge: Bridge;
beforeAll(async () => {
  const command = [process.execPath, `${dist}/cli.js`, "mcp", workspace.folder];
  bridge = await openBridge(command, { ...(process.env as Record<string, string>), LAYERWISE_DEVICE: "cpu" });
});
afterAll(() => bridge.close());

function suite(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: workspace.folder, timeout: 60_000 };
    execFile(process.execPath, [SUITE, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

test("each scenario is run, or has a reason why it says nothing about this server", async () => {
  const { output } = await suite("list", "--server");
  const listed = [...output.matchAll(/^ {2}- ([\w-]+)/gm)].map(([, name]) => name!);
  expect(listed.toSorted()).toEqual([...APPLICABLE, ...Object.values(INAPPLICABLE).flat()].toSorted());
});

test("declares no capability whose scenarios are left out", async () => {
  const response = await fetch(bridge.url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } },
    }),
  });
  const [, json = "{}"] = /^data: (\{.*)$/m.exec(await response.text()) ?? [];
  const { result } = JSON.parse(json) as {
    result: { capabilities: Record<string, { subscribe?: boolean }> };
  };
  expect(Object.keys(result.capabilities).toSorted()).toEqual(["prompts", "resources", "tools"]);
  expect(result.capabilities["resources"]!.subscribe ?? false).toBe(false);
});

test.each(APPLICABLE)(
  "conformance: %s",
  async (scenario) => {
    const { code, output } = await suite("server", "--url", bridge.url, "--scenario", scenario);
    expect(code, output).toBe(0);
    expect(output).toMatch(/Passed: [1-9]\d*\/\d+, 0 failed, 0 warnings/);
  },
  90_000,
);

test("the suite fails where nothing answers", async () => {
  const { code } = await suite("server", "--url", "http://127.0.0.1:1/mcp", "--scenario", "ping");
  expect(code).not.toBe(0);
});
