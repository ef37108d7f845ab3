// TensorFlow's servers listen on all network interfaces and run any graph that they receive. So workers run in a network
// namespace of their own, which has only a loopback.

/** The program that runs a command in a namespace of its own, as its user. */
export const UNSHARE = "unshare";
export const UNSHARE_OPTIONS = ["-rn", "--"] as const;

/** A shell's script that sets up the loopback and becomes its arguments. Users' PATHs may lack the folder of `ip`. */
export const WITH_LOOPBACK = 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"';
