import { around, useFolder } from "../../folders.ts";
import { noSshd, Sshd } from "./sshd.ts";

/** A server for the tests of a file. */
export function useSshd(): Sshd {
  const sshd = new Sshd(useFolder("all"));
  around(
    "all",
    () => (noSshd === undefined ? sshd.start() : undefined),
    () => sshd.stop(),
  );
  return sshd;
}
