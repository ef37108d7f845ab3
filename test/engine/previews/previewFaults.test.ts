import { fork } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { FileReport } from "../../../extension/protocol/preview.ts";
import { PreviewEngine } from "../../../extension/supervisor/engines/preview.ts";
import { dist, experimentFile, useWorkspace } from "../workspace.ts";
import { usePreviews } from "../previews.ts";
import { gone } from "../../gone.ts";

const workspace = useWorkspace();
const previews = usePreviews();

const inspect = (file: string, text?: string, limit?: number): Promise<FileReport> =>
  previews.inspect({ file, ...(text === undefined ? {} : { text }) }, limit);

/** The line of a file that has a text. */
function lineOf(text: string, part: string): number {
  return text.split("\n").findIndex((line) => line.includes(part)) + 1;
}

describe("code that doesn't come back", () => {
  const places: Record<string, string> = {
    "at top level": `let i = 0;\nfor (;;) i++;\n${experimentFile()}`,
    "after a wait that is as long as reading a large file":
      "await new Promise((resolve) => setTimeout(resolve, 1000));\nfor (;;);\n",
    "in a constructor": experimentFile(
      { model: "() => new Slow()" },
      "class Slow extends nn.Module {\n  constructor() {\n    super();\n    for (;;);\n  }\n  forward() {}\n}",
    ),
    "in forward": experimentFile({}).replace("return this.fc(x);", "for (;;) this.fc(x);"),
  };
  // They wait, so they do it together.
  test(`${Object.keys(places).join(", ")}: its line, and the next preview works`, async () => {
    const file = workspace.file("net.nn.ts");
    const check = async (text: string): Promise<void> => {
      const own = new PreviewEngine(() => ({ dist }));
      try {
        // Four loops share the processors with what is to find their lines.
        const report = await own.inspect({ file, text }, 12);
        const position = { file, line: lineOf(text, "for (;;)") };
        expect(report?.errors).toMatchObject([{ code: "timeout", position }]);
        const next = await own.inspect({ file, text: experimentFile() }, 20);
        expect(next?.models[0]!.parameters.total).toBe(15);
      } finally {
        await own.dispose();
      }
    };
    await Promise.all(Object.values(places).map(check));
  });
});

describe("code that fails while it is typed: one message at its line, and the next preview works", () => {
  const faults: Record<string, { text: string; part: string; code: string }> = {
    "a throw at import": {
      text: `throw new Error("not today");\n${experimentFile()}`,
      part: "not today",
      code: "exception",
    },
    "a throw in a module that is imported": {
      text: `import "./broken.ts";\n${experimentFile()}`,
      part: "",
      code: "exception",
    },
    "a syntax error": {
      text: experimentFile().replace("this.fc(x);", "this.fc(x;"),
      part: "this.fc(x;",
      code: "syntax",
    },
    "a throw in forward": {
      text: experimentFile().replace("return this.fc(x);", 'throw new Error("in forward");'),
      part: "in forward",
      code: "exception",
    },
  };
  test.each(Object.entries(faults))("%s", async (_, { text, part, code }) => {
    const broken = workspace.write("broken.ts", 'export {};\nthrow new Error("broken");\n');
    const file = workspace.file("net.nn.ts");
    const report = await inspect(file, text);
    const errors = [...report.errors, ...report.models.flatMap((model) => model.error ?? [])];
    expect(errors).toMatchObject([
      {
        code,
        position: part === "" ? { file: broken, line: 2 } : { file, line: lineOf(text, part) },
      },
    ]);
    expect((await inspect(file, experimentFile())).errors).toEqual([]);
  });

  test("a process that ends", async () => {
    const file = workspace.file("net.nn.ts");
    const { errors } = await inspect(file, `process.kill(process.pid, "SIGKILL");\n${experimentFile()}`);
    expect(errors).toMatchObject([{ code: "crash", message: expect.stringContaining("SIGKILL") }]);
    expect((await inspect(file, experimentFile())).models[0]!.parameters.total).toBe(15);
  });
});

test("an engine whose parent is gone ends", async () => {
  const child = fork(path.join(dist, "previewEngine.js"), [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const [hello] = (await once(child, "message")) as [{ m: string }];
  expect(hello.m).toBe("hello");
  child.disconnect();
  await gone(child.pid);
});
