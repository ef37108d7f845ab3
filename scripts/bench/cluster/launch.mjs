// @ts-check
/** Processes that train together, started side by side where there is only a loopback: TensorFlow's servers listen everywhere. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import process from "node:process";

/** Runs in the network namespace; what each process prints goes to a file. */
const LAUNCHER = `
const { spawn } = require("node:child_process"), { openSync } = require("node:fs");
const [environments, folder, ...command] = process.argv.slice(1);
JSON.parse(environments).forEach((env, i) => {
  const out = openSync(folder + "/" + i + ".txt", "w");
  spawn(command[0], command.slice(1), { env: { ...process.env, ...env }, stdio: ["ignore", out, out] });
});`;

/**
 * Runs a command in several processes, each with variables of its own.
 * @param {readonly Record<string, string>[]} environments
 * @param {string} folder for what they print, and their working directory
 * @param {readonly string[]} command
 * @returns {Promise<string[]>} what each printed
 */
export async function launch(environments, folder, command) {
  const launcher = [process.execPath, "-e", LAUNCHER, JSON.stringify(environments), folder];
  const isolated = ["-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...launcher, ...command];
  const child = spawn("unshare", isolated, {
    env: { ...process.env, NODE_OPTIONS: "" },
    cwd: folder,
    stdio: "inherit",
  });
  await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  return environments.map((_, i) => fs.readFileSync(`${folder}/${i}.txt`, "utf8"));
}

/** The variables of torchrun. @param {number} size @param {number} [port] @returns {Record<string, string>[]} */
export const torchrun = (size, port = 29517) =>
  Array.from({ length: size }, (_, rank) => ({
    RANK: String(rank),
    WORLD_SIZE: String(size),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(port),
  }));
