// The command that starts the agent. The login shell there is unknown; it gets "exec" and quoted words. All shells leave
// these alone, since they have no quote, no line end, no backslash and no "!".
import { MARK, NO_AGENT, NO_NODE } from "./messages.ts";
import type { Target } from "../protocol/target.ts";

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

const SCRIPT =
  `for n in ${PLACES.join(" ")}; do ` +
  `if [ -x "$n" ] && "$n" -e "process.exit(parseInt(process.versions.node)<20?1:0)" </dev/null >/dev/null 2>&1; ` +
  `then exec "$n" -e "$1"; fi; done; exit ${NO_NODE}`;

/** The command for a target. Its node's path has letters, digits and `._/+@-` only. */
export const agentCommand = ({ node = "" }: Target): string =>
  `exec /bin/sh -c '${SCRIPT}' layerwise '${LOADER}' '${node}'`;
