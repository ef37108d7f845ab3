/** Shared by the bench's measurements: workers, load of the machine, medians. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createInterface } from "node:readline";

/** A window counts only while other processes use less than this share of a core. */
export const QUIET = 0.12;

/** @typedef {ReturnType<typeof worker>} Worker */

/** @param {readonly number[]} values @returns {number} */
export function median(values) {
  const sorted = [...values].sort((p, q) => p - q);
  const at = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[at] : (sorted[at - 1] + sorted[at]) / 2;
}

/** @param {readonly number[]} values */
export const geomean = (values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/**
 * Processor time used by all processes but this one, its ended children and the workers, in ticks of 10 ms; undefined without
 * /proc.
 * @param {readonly Worker[]} workers
 */
export function busy(workers) {
  if (!fs.existsSync("/proc/stat")) return undefined;
  const all = fs.readFileSync("/proc/stat", "utf8").split("\n")[0].trim().split(/\s+/).slice(1).map(Number);
  const own = [process.pid, ...workers.map((w) => w.pid)].reduce((sum, pid) => {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return sum + fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0);
  }, 0);
  return { at: performance.now(), others: all[0] + all[1] + all[2] + all[5] + all[6] + (all[7] ?? 0) - own };
}

/**
 * Share of a core that other processes used between two calls of {@link busy}.
 * @param {ReturnType<typeof busy>} before
 * @param {ReturnType<typeof busy>} after
 */
export function othersShare(before, after) {
  if (before === undefined || after === undefined) return 0;
  return ((after.others - before.others) * 10) / (after.at - before.at);
}

/**
 * Starts a process that answers each JSON line with one of its own. After its end, every request is rejected.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, quiet?: boolean }} [options] quiet: what it prints to stderr isn't shown
 */
export function worker(command, args, { env, quiet = false } = {}) {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", quiet ? "ignore" : "inherit"],
    env: { ...process.env, ...env },
  });
  /** @type {{ resolve: (answer: any) => void, reject: (error: Error) => void }[]} */
  const waiting = [];
  /** @type {Error | undefined} */
  let ended;
  createInterface(child.stdout).on("line", (line) => {
    const answer = JSON.parse(line);
    const one = waiting.shift();
    if (answer.error === undefined) one?.resolve(answer);
    else one?.reject(new Error(answer.error));
  });
  const end = (/** @type {Error} */ error) => {
    ended = error;
    for (const one of waiting.splice(0)) one.reject(error);
  };
  child.on("error", end);
  child.stdin.on("error", () => undefined);
  child.on("exit", (code, signal) => end(new Error(`${command} ended with ${signal ?? `code ${code}`}`)));
  return {
    pid: child.pid ?? 0,
    /** @param {object} message @returns {Promise<any>} */
    ask: (message) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        waiting.push({ resolve, reject });
        return child.stdin.write(`${JSON.stringify(message)}\n`);
      }),
    close: () => {
      child.stdin.end();
      // Kill a process that doesn't end by itself, such as a running compiler.
      setTimeout(() => child.kill(), 3000).unref();
    },
  };
}
