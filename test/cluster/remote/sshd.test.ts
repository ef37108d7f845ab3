// The server of the other tests.
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { useFolder } from "../../folders.ts";
import { freePort } from "../../freePort.ts";
import { noSshd, Sshd } from "./sshd.ts";

const folder = useFolder();

test.skipIf(noSshd !== undefined)(
  "a server whose port is taken before it listens has another one",
  async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const taken = (other.address() as AddressInfo).port;
    const ports = [taken, taken, await freePort()];
    const sshd = new Sshd(folder, () => Promise.resolve(ports.shift()!));
    onTestFinished(() => sshd.stop());
    await sshd.start();
    expect([ports, sshd.port === taken]).toEqual([[], false]);
  },
);
