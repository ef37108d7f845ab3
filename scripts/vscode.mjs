// @ts-check
/**
 * `npm run vscode`: opens a VS Code with the extension on an editable copy of the examples. Uses the desktop's VS Code if there is
 * one, else (or with `--server`) VS Code in the browser at 127.0.0.1.
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

/** Whether a desktop VS Code can show a window: it needs a screen, and refuses to run as root. */
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
  console.log("Open the address in a browser, open a .nn.ts file and click Train. Ctrl-C ends the server.");
  await running.exited;
  throw new ScriptError("VS Code's server ended by itself.");
}
