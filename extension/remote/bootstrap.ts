// The command that starts the agent. The login shell there is unknown; it gets "exec" and quoted words. All shells leave
// these alone, since they have no quote, no line end, no backslash and no "!".
import { UNSHARE, UNSHARE_OPTIONS, WITH_LOOPBACK } from "../processes/namespace.ts";
import type { Target } from "../protocol/target.ts";
import { MARK, NO_AGENT, NO_NAMESPACE, NO_NODE } from "./messages.ts";

/** Reads the agent's program from stdin and runs it. It must not read beyond: the agent's messages follow. */
const LOADER =
  `const fs=require("fs");` +
  `const read=(n)=>{const b=Buffer.alloc(n);let d=0;while(d<n){let k=0;` +
  `try{k=fs.readSync(0,b,d,n-d)}catch(e){if(e.code==="EAGAIN")continue;throw e}` +
  `if(k===0)process.exit(${NO_AGENT});d+=k}return b};` +
  `process.stdout.write("${MARK}"+String.fromCharCode(10));` +
  `const m={exports:{}};new Function("require","module","exports",read(read(4).readUInt32BE(0)).toString())(require,m,m.exports)`;

/** Node's usual folders: a shell without a terminal often doesn't have them on its PATH. */
const PLACES = [
  `"$2"`,
  `"$(command -v node)"`,
  `"$HOME"/.local/bin/node`,
  `/usr/local/bin/node`,
  `/usr/bin/node`,
  `/opt/homebrew/bin/node`,
  `"$HOME"/.nvm/versions/node/*/bin/node`,
  `"$HOME"/.volta/bin/node`,
  `"$HOME"/.local/share/fnm/aliases/default/bin/node`,
  `"$HOME"/.local/share/mise/shims/node`,
  `"$HOME"/.asdf/shims/node`,
  `"$HOME"/n/bin/node`,
  `/snap/bin/node`,
  `"$("\${SHELL:-sh}" -lc "command -v node" </dev/null 2>/dev/null | tail -n 1)"`,
];

/** @param run how a Node that was found is started */
const script = (run: string): string =>
  `for n in ${PLACES.join(" ")}; do ` +
  `if [ -x "$n" ] && "$n" -e "process.exit(parseInt(process.versions.node)<20?1:0)" </dev/null >/dev/null 2>&1; ` +
  `then ${run}; fi; done; exit ${NO_NODE}`;

const PLAIN = `exec "$n" -e "$1"`;

/** How the agent is started where its workers are to have a network of their own; "$3" sets that up. */
const isolated = (otherwise: string): string =>
  `if ${UNSHARE} ${UNSHARE_OPTIONS.join(" ")} /bin/sh -c "$3" sh true </dev/null >/dev/null 2>&1; ` +
  `then exec ${UNSHARE} ${UNSHARE_OPTIONS.join(" ")} /bin/sh -c "$3" sh /usr/bin/env ${ISOLATED}=1 "$n" -e "$1"; ` +
  `else ${otherwise}; fi`;

/** Environment variable of an agent in a network of its own. */
export const ISOLATED = "LAYERWISE_OWN_NETWORK";

/** The network of the agent: the machine's, or one of its own that has only a loopback, always or where that is possible. */
export type Network = "shared" | "own" | "own-if-possible";

/** The command for a target. Its node's path has letters, digits and `._/+@-` only. */
export function agentCommand({ node = "" }: Pick<Target, "node">, network: Network = "shared"): string {
  const run = network === "shared" ? PLAIN : isolated(network === "own" ? `exit ${NO_NAMESPACE}` : PLAIN);
  const loopback = network === "shared" ? "" : ` '${WITH_LOOPBACK}'`;
  return `exec /bin/sh -c '${script(run)}' layerwise '${LOADER}' '${node}'${loopback}`;
}
