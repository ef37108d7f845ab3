// @ts-check
/**
 * `npm run vscode`: a real VS Code with the extension, on a copy of the examples that may be edited. The desktop's own
 * if there is one, else (or with `--server`) VS Code in the browser at 127.0.0.1.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { copyExamples, exampleWorkspace as workspace } from "./example-workspace.mjs";
import { packageExtension } from "./package.mjs";
import { inRoot, main, root, ScriptError } from "./project.mjs";
import { setup } from "./setup.mjs";
import { ensureVscode, installExtension, startServer, windowUrl } from "./vscode/server.mjs";

const PORT = 8421;
const SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "telemetry.telemetryLevel": "off",
};
const shell = process.platform === "win32";

for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => {
    console.log("\nVS Code's server has ended.");
    process.exit(0);
  });
await main(async () => {
  await setup();
  copyExamples(workspace);
  if (process.argv.includes("--server") || !hasDesktop()) await serve();
  else openDesktop();
});

/** A desktop VS Code that can show a window: not on a machine without a screen, and VS Code refuses to run as root. */
function hasDesktop() {
  const screen = process.platform !== "linux" || process.env["DISPLAY"] || process.env["WAYLAND_DISPLAY"];
  return (
    Boolean(screen) && process.getuid?.() !== 0 && spawnSync("code", ["--version"], { shell }).status === 0
  );
}

function openDesktop() {
  const args = ["--new-window", `--extensionDevelopmentPath=${root}`, workspace];
  spawn("code", args, { stdio: "inherit", shell }).once("exit", (code) => {
    process.exitCode = code ?? 1;
  });
  console.log(`VS Code opens on ${workspace}`);
}

async function serve() {
  const server = await ensureVscode();
  const dataFolder = inRoot("out/vscode-user");
  const extensionsFolder = path.join(dataFolder, "extensions");
  await installExtension(server, { vsix: await packageExtension(), dataFolder, extensionsFolder });
  const token = randomBytes(16).toString("hex");
  const running = await startServer(server, {
    dataFolder,
    extensionsFolder,
    defaultSettings: SETTINGS,
    port: PORT,
    token,
  });
  console.log(`VS Code runs at ${windowUrl(running.port, workspace, [], token)}`);
  console.log("Open the address in a browser, then a .nn.ts file, and click Train. Ctrl-C here ends it.");
  await running.exited;
  throw new ScriptError("VS Code's server ended by itself.");
}
