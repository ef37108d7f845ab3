/** Runs the extension host suite in a real VS Code and reports what it wrote. */
import fs from "node:fs";
import path from "node:path";
import { launchBrowser, newWindow, QUIET_SETTINGS, temporaryFolder } from "../browser/library/browser.ts";
import type { Outcome } from "../harness.ts";
import { patience } from "../patience.ts";
import { deferred } from "../../extension/processes/deferred.ts";
import { inRoot, root } from "../../scripts/project.mjs";
import {
  ensureVscode,
  OLDEST_VSCODE,
  RELEASES,
  remoteUri,
  startServer,
  windowUrl,
  type Release,
} from "../../scripts/vscode/server.mjs";

/** All tests have their own limits; this one is for a VS Code that never starts. */
const SUITE_LIMIT = patience(300_000);

interface SuiteRun {
  suite: string;
  workspace: string;
  env: Record<string, string>;
}

/** Answers once the suite has ended, however it ended. */
type Host = (run: SuiteRun) => Promise<void>;

const codeServer: (release: Release) => Host =
  (release) =>
  async ({ suite, workspace, env }) => {
    const dataFolder = temporaryFolder("vscode-data");
    const server = await startServer(await ensureVscode({ release }), {
      dataFolder,
      extensionsFolder: path.join(dataFolder, "extensions"),
      settings: QUIET_SETTINGS,
      env,
      smokeTestDriver: true,
    });
    const browser = await launchBrowser();
    try {
      const page = await newWindow(browser);
      const ended = deferred<string>();
      setTimeout(() => ended.resolve(`the suite was not done after ${SUITE_LIMIT} ms`), SUITE_LIMIT).unref();
      await page.exposeFunction("codeAutomationLog", (_type: string, args: unknown[]) => {
        const line = args.map(String).join(" ");
        if (process.env["LAYERWISE_TEST_VERBOSE"]) console.log(`  [host] ${line}`);
      });
      await page.exposeFunction("codeAutomationExit", () => ended.resolve(""));
      const development = remoteUri(server.port, root);
      const tests = remoteUri(server.port, suite);
      await page.goto(
        windowUrl(server.port, workspace, [
          ["extensionDevelopmentPath", development],
          ["extensionTestsPath", tests],
          ["skipWelcome", "true"],
        ]),
      );
      const problem = await ended.promise;
      if (!problem) return;
      const screenshot = inRoot("test/results/screenshots/extension-host-timeout.png");
      await page.screenshot({ path: screenshot });
      console.error(`${problem}; see ${screenshot}`);
    } finally {
      await browser.close();
      await server.stop();
    }
  };

const electron: (version?: string) => Host =
  (version) =>
  async ({ suite, workspace, env }) => {
    const { runTests } = await import("@vscode/test-electron");
    const userData = temporaryFolder("vscode-data");
    fs.mkdirSync(path.join(userData, "User"), { recursive: true });
    fs.writeFileSync(path.join(userData, "User/settings.json"), JSON.stringify(QUIET_SETTINGS));
    await runTests({
      extensionDevelopmentPath: root,
      extensionTestsPath: suite,
      extensionTestsEnv: env,
      launchArgs: [
        workspace,
        `--user-data-dir=${userData}`,
        "--disable-extensions",
        "--disable-workspace-trust",
      ],
      ...(version ? { version } : {}),
    }).catch((error: unknown) => console.error(error instanceof Error ? error.message : error));
  };

/** The releases that are tested: all of the suite in the newest, what matters most in the oldest that is promised. */
export type Age = "newest" | "oldest";

/** `LAYERWISE_VSCODE=electron` takes the desktop VS Code, which is downloaded; code-server is the default where it exists. */
function chooseHost(age: Age): Host {
  const version = age === "oldest" ? OLDEST_VSCODE : process.env["LAYERWISE_VSCODE_VERSION"];
  const wanted = process.env["LAYERWISE_VSCODE"] || (process.platform === "win32" ? "electron" : "server");
  if (wanted === "electron") return electron(version);
  if (wanted === "server") return codeServer(RELEASES[age]);
  throw new Error(`LAYERWISE_VSCODE is "${wanted}": expected "electron" or "server".`);
}

/** A folder; of several folders, the file that names them. */
function makeWorkspace(folders: readonly string[]): string {
  const workspace = temporaryFolder("workspace");
  if (folders.length === 0) return workspace;
  for (const name of folders) fs.mkdirSync(path.join(workspace, name));
  const file = path.join(workspace, "tests.code-workspace");
  fs.writeFileSync(file, JSON.stringify({ folders: folders.map((name) => ({ path: name })) }));
  return file;
}

/** Runs a bundled suite, prints its tests as they come, and answers what came of them. */
export async function runSuite(
  suite: string,
  { age, folders = [] }: { age: Age; folders?: readonly string[] },
  print: (text: string) => void,
): Promise<Outcome[]> {
  const workspace = makeWorkspace(folders);
  const output = temporaryFolder("results");
  const results = path.join(output, "results.json");
  const log = path.join(output, "log.txt");
  const env = {
    LAYERWISE_TEST_RESULTS: results,
    LAYERWISE_TEST_LOG: log,
    LAYERWISE_TEST_ONLY: process.env["LAYERWISE_TEST_ONLY"] ?? "",
    LAYERWISE_TEST_QUICK: process.env["LAYERWISE_TEST_QUICK"] ?? "",
    LAYERWISE_TEST_STRICT: process.env["LAYERWISE_TEST_STRICT"] ?? "",
  };
  const printed = followLog(log, print);
  await chooseHost(age)({ suite, workspace, env });
  printed.end();
  if (fs.existsSync(results)) return JSON.parse(fs.readFileSync(results, "utf8"));
  const error = "The extension host ended without results.";
  print(`FAILED ${error}\n`);
  return [{ name: suite, milliseconds: 0, error }];
}

/** Prints what the suite appends to its log, as it comes. */
function followLog(file: string, print: (text: string) => void): { end(): void } {
  let shown = 0;
  const show = (): void => {
    if (!fs.existsSync(file)) return;
    const text = fs.readFileSync(file, "utf8");
    print(text.slice(shown));
    shown = text.length;
  };
  const timer = setInterval(show, 200);
  return {
    end() {
      clearInterval(timer);
      show();
    },
  };
}

export { countsOf } from "../harness.ts";
