// An OpenSSH server on the loopback, with keys and settings of its own, and an ssh that knows it as "box".
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findExecutable } from "../../../extension/processes/programs.ts";
import { familyOf, killAll, processes } from "../../processes.ts";
import { freePort } from "../../freePort.ts";
import { patience } from "../../patience.ts";

const SSHD = findExecutable(["sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"]);

/** Why the tests can't run here; undefined if they can. */
export const noSshd: string | undefined =
  SSHD === undefined
    ? "no OpenSSH server (sshd) is installed"
    : findExecutable(["ssh"]) === undefined
      ? "no ssh is installed"
      : undefined;

/** Ports that are tried: another process may take one before the server does. */
const ATTEMPTS = 5;

export class Sshd {
  readonly folder: string;
  #server: ChildProcess | undefined;
  readonly #choose: () => Promise<number>;
  #port = 0;
  #config = "";

  /** @param choose gives a port that is free, or was */
  constructor(folder: string, choose = freePort) {
    this.folder = folder;
    this.#choose = choose;
  }

  /** The folder of the machine "box" that runs go to. */
  get there(): string {
    return path.join(this.folder, "there");
  }

  /** The folder in which programs on the machine write their weights, in a file for each process. */
  get weights(): string {
    return path.join(this.folder, "weights");
  }

  /** The environment of commands that use it. */
  get env(): Record<string, string> {
    return {
      LAYERWISE_SSH: path.join(this.folder, "ssh"),
      XDG_CONFIG_HOME: path.join(this.folder, "config"),
      LAYERWISE_CACHE: path.join(this.folder, "cache"),
    };
  }

  get port(): number {
    return this.#port;
  }

  #file(name: string, text: string, mode = 0o600): string {
    const file = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text, { mode });
    return file;
  }

  async start(): Promise<void> {
    const { folder } = this;
    for (const name of ["host", "user", "stranger"])
      spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(folder, name)]);
    fs.copyFileSync(path.join(folder, "user.pub"), path.join(folder, "authorized"));
    this.#file("unknown", "");
    this.#file("ssh", `#!/bin/sh\nexec ssh -F ${folder}/ssh_config "$@"\n`, 0o700);
    const settings = (host: string, place = ""): object => ({ host, folder: path.join(this.there, place) });
    this.#file(
      "config/layerwise/targets.json",
      JSON.stringify({
        box: settings("box"),
        refused: settings("refused"),
        unknown: settings("unknown"),
        one: settings("box", "one"),
        two: settings("box", "two"),
        bare: settings("bare", "bare"),
      }),
    );
    fs.mkdirSync(this.weights, { recursive: true });
    // Where it runs as root, it wants this folder.
    if (process.getuid?.() === 0) fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    await this.listen();
  }

  /** Writes the settings of the server and of its clients for a port. */
  #configure(port: number): void {
    const { folder } = this;
    this.#port = port;
    this.#config = this.#file(
      "sshd_config",
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${folder}/host`,
        `AuthorizedKeysFile ${folder}/authorized`,
        `PidFile ${folder}/sshd.pid`,
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "MaxStartups 100",
        // Programs there write their weights to this folder.
        `SetEnv WEIGHTS=${this.weights}`,
        "AcceptEnv LAYERWISE_CACHE",
      ].join("\n"),
    );
    const key = fs.readFileSync(path.join(folder, "host.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    this.#file("known", `[127.0.0.1]:${port} ${key}\n`);
    const host = (name: string, identity: string, known: string): string =>
      `Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  User ${os.userInfo().username}\n  IdentityFile ${folder}/${identity}\n  UserKnownHostsFile ${folder}/${known}\n`;
    this.#file(
      "ssh_config",
      host("box", "user", "known") +
        host("refused", "stranger", "known") +
        host("unknown", "user", "unknown") +
        host("bare", "user", "known") +
        `  SetEnv LAYERWISE_CACHE=${folder}/nothing\n` +
        "Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile /dev/null\n",
    );
  }

  /** Starts the server, also again after {@link deafen}: at another port if a process has taken the one it had. */
  async listen(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (attempt > 1 || this.#port === 0) this.#configure(await this.#choose());
      const problem = await this.#spawn();
      if (problem === undefined) return;
      if (attempt === ATTEMPTS || !problem.includes("Address already in use"))
        throw new Error(`sshd did not start:\n${problem}`);
    }
  }

  /** @returns what the server said if it didn't start */
  async #spawn(): Promise<string | undefined> {
    const server = spawn(SSHD!, ["-D", "-e", "-f", this.#config], { stdio: ["ignore", "ignore", "pipe"] });
    this.#server = server;
    let said = "";
    let ended = false;
    // With all that it said.
    server.once("close", () => (ended = true));
    server.stderr?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    for (const end = performance.now() + patience(5000); !said.includes("Server listening");) {
      if (ended) return said;
      if (performance.now() > end) {
        server.kill("SIGKILL");
        return `${said}It said no more in time.`;
      }
      await delay(50);
    }
    return undefined;
  }

  /** Cuts all lines, as when a network goes. */
  cut(): number {
    const pid = this.#server?.pid;
    const lines =
      pid === undefined
        ? []
        : familyOf(pid).filter((one) => one.pid !== pid && one.command.startsWith("sshd"));
    return killAll(lines.map((line) => line.pid));
  }

  /** Ends the server and all lines, as when a network goes for longer. */
  async deafen(): Promise<void> {
    const server = this.#server;
    this.cut();
    if (server === undefined || server.exitCode !== null) return;
    server.kill("SIGTERM");
    await once(server, "exit");
  }

  /** The processes of runs on the machine. */
  runProcesses(): { pid: number; command: string }[] {
    return processes().filter(({ command }) => command.includes(this.there));
  }

  /** Kills all that works at runs there, as when the machine is switched off. */
  killRuns(): number {
    return killAll(this.runProcesses().map(({ pid }) => pid));
  }

  async stop(): Promise<void> {
    this.killRuns();
    await this.deafen();
  }
}
