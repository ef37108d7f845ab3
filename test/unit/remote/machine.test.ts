import fs from "node:fs";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { AGENT, SshMachine } from "../../../extension/remote/sshMachine.ts";
import { MARK } from "../../../extension/remote/messages.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

/** Connects by a program in place of ssh. @returns why the connection has ended */
async function endOf(script: string): Promise<{ code: string; hint?: string | undefined }> {
  fs.writeFileSync(path.join(folder, AGENT), "");
  const ssh = path.join(folder, "ssh");
  fs.writeFileSync(ssh, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  vi.stubEnv("LAYERWISE_SSH", ssh);
  try {
    const machine = await SshMachine.connect({ name: "box", host: "box" }, folder);
    const { cause } = await machine.ended;
    return cause;
  } catch (error) {
    return (error as { cause: { code: string } }).cause;
  } finally {
    vi.unstubAllEnvs();
  }
}

test.skipIf(process.platform === "win32")(
  "takes no banner and no failed start-up file of a shell for the reason of a later end",
  async () => {
    const noise = "echo 'bash: /etc/x: Permission denied' >&2";
    const said = await endOf(`${noise}; sleep 0.2; echo ${MARK}; sleep 0.3; exit 255`);
    expect(said.code).toBe("line");
    expect(said.hint).toBeUndefined();
    const cut = await endOf(
      `${noise}; echo ${MARK}; sleep 0.3; echo 'Timeout, server box not responding.' >&2; exit 255`,
    );
    expect(cut.code).toBe("ssh-unreachable");
    const refused = await endOf("echo 'me@box: Permission denied (publickey).' >&2; exit 255");
    expect(refused.code).toBe("ssh-refused");
  },
);
