/**
 * Every code of a `SwitchbackError`: what it means, who raises it, what to do. docs/errors.md is
 * generated from this table (`npm run docs:pages`), and a code that is not in it does not compile.
 * Only its types are imported: a program never loads these texts.
 */
export interface ErrorCodeEntry {
  /** Heading of docs/errors.md under which it stands. */
  readonly group: ErrorGroup
  /** What happened, and what it means. */
  readonly meaning: string
  /** The call, command or request that raises it. */
  readonly raisedBy: string
  /** What to do. */
  readonly remedy: string
}

export type ErrorGroup =
  | 'Cache calls'
  | 'Redis'
  | 'File store'
  | 'Start-up options'
  | 'Flags file'
  | 'Changing the split'
  | 'flagd and metrics'
  | 'Guard'
  | 'Control page'
  | 'Command line'

export type SwitchbackErrorCode = keyof typeof errorCodes

export const errorCodes = {
  SB_KEY_INVALID: {
    group: 'Cache calls',
    meaning: 'The cache key is not a string, or is empty.',
    raisedBy: 'every operation of a cache',
    remedy: 'Build the key from a stable id, such as `user:${id}`, and check that the id is set.',
  },
  SB_COPY_UNSUPPORTED: {
    group: 'Cache calls',
    meaning: 'The store cannot say which keys it has.',
    raisedBy: '`cache.copy()`',
    remedy: 'Let its values change sides with their users, or copy from another store.',
  },
  SB_KEY_TOO_LONG: {
    group: 'Cache calls',
    meaning: 'The cache key has more than 64 KiB of UTF-8.',
    raisedBy: 'every operation of a cache',
    remedy: 'Use a digest of the long part as the key.',
  },
  SB_TTL_INVALID: {
    group: 'Cache calls',
    meaning: 'The time to live is not a number of milliseconds or a duration such as "10m".',
    raisedBy: '`set`, `getOrSet`, and options that take a duration',
    remedy: 'Pass milliseconds, or "500ms", "30s", "10m", "2h", "7d"; leave it out for no expiry.',
  },
  SB_NOT_LISTABLE: {
    group: 'Cache calls',
    meaning: 'A cache cannot list its keys, nor clear a part of a mount of unstorage.',
    raisedBy: '`unstorageDriver()`',
    remedy: 'Keep the keys elsewhere; clear a whole mount, or a namespace of the cache.',
  },
  SB_VALUE_UNDEFINED: {
    group: 'Cache calls',
    meaning: '`undefined` was to be cached. It stands for "not cached".',
    raisedBy: '`set`; a loader of `getOrSet` that returns `undefined` is returned but not stored',
    remedy: 'Cache `null` to remember that there is nothing.',
  },
  SB_VALUE_NOT_SERIALIZABLE: {
    group: 'Cache calls',
    meaning: 'The value could not be encoded (not JSON, or refused by your codec).',
    raisedBy: '`set`; for a value of a loader the event `value-not-cached`',
    remedy: 'Cache a value that JSON can hold, or pass a `codec` that encodes it.',
  },
  SB_VALUE_TOO_LARGE: {
    group: 'Cache calls',
    meaning: 'The encoded value is larger than `maxValueBytes`, or than the whole file cache.',
    raisedBy: '`set`; for a value of a loader the event `value-not-cached`',
    remedy: 'Cache a smaller value, or raise `maxValueBytes` (or `maxBytes` of the file cache).',
  },
  SB_CLOSED: {
    group: 'Cache calls',
    meaning: 'The cache was closed before this operation began.',
    raisedBy: 'every operation after `close()`',
    remedy: 'Close the cache after the last operation: stop accepting requests first.',
  },
  SB_LOADS_BUSY: {
    group: 'Cache calls',
    meaning: 'All places for loads are in use and the queue is full: the origin is too slow.',
    raisedBy: '`getOrSet` on a miss',
    remedy: 'Look at the origin. `originConcurrency` and `originQueue` set the two limits.',
  },
  SB_DEADLINE: {
    group: 'Cache calls',
    meaning: 'A side did not answer within its deadline; the operation continued without it.',
    raisedBy: 'never thrown at callers: the detail of `side-out` events and of `cache.health()`',
    remedy: 'Look at the side that is named: a hung server, a slow disk, a stalled event loop.',
  },
  SB_MEMORY_OPTIONS: {
    group: 'Cache calls',
    meaning: '`memoryCache` got a `maxEntries` that is not a whole number from 1.',
    raisedBy: '`memoryCache()`',
    remedy: 'Leave it out for 10,000.',
  },
  SB_STORE_INVALID: {
    group: 'Cache calls',
    meaning: 'The store given to `adaptCache` lacks one of `get`, `set`, `delete`, `clear`.',
    raisedBy: '`adaptCache()`',
    remedy: 'Pass a Keyv, or an object with these four methods.',
  },
  SB_STORE_FAILED: {
    group: 'Cache calls',
    meaning: 'An adapted store answered a write with `false`.',
    raisedBy: 'writes through `adaptCache()`',
    remedy: "Read Keyv's `error` event, or set its `throwOnErrors`, to see the reason.",
  },

  SB_STORE_FOREIGN: {
    group: 'Cache calls',
    meaning:
      "A store adapted with `values: 'plain'` has a value that the codec cannot read. Loads, moves and `clear()` leave it as it is, and the cache cannot use its key on this side until it is set or deleted through the switch.",
    raisedBy: 'the event `warning`, once; `foreign` of `cache.health()` counts',
    remedy:
      'Pass a `codec` that turns such values into text and back: `adaptCache(store, { codec })`.',
  },

  SB_REDIS_URL: {
    group: 'Redis',
    meaning:
      'The Redis URL cannot be used as it is written: its scheme, host, port or database, a blank around it, a character of the password that is not encoded; or only one of URL and server means TLS.',
    raisedBy:
      '`redisCache()`, `switchback start`, `switchback doctor`; the event `warning` about TLS',
    remedy:
      'Write `redis://host:6379` or `rediss://user:password@host:6380/0`, with `%25` for `%`.',
  },
  SB_REDIS_OPTIONS: {
    group: 'Redis',
    meaning: 'An option of `redisCache` is wrong or contradicts another one.',
    raisedBy: '`redisCache()`',
    remedy: 'Follow the hint; `RedisCacheOptions` documents each option.',
  },
  SB_REDIS_CLUSTER: {
    group: 'Redis',
    meaning:
      'The client of a single Redis is connected to a node of a Cluster, which has a part of the keys only.',
    raisedBy: 'the event `warning`, once; the detail of `side-out`',
    remedy: 'Pass a Cluster client: `redisCache({ client: new Cluster([{ host, port }]) })`.',
  },
  SB_REDIS_CLIENT: {
    group: 'Redis',
    meaning: 'The client that was passed is not one that `redisCache` knows, or it cannot be used.',
    raisedBy: '`redisCache({ client })`',
    remedy:
      'Pass a client of ioredis, iovalkey, node-redis or Valkey GLIDE, or `url` instead of `client`.',
  },
  SB_REDIS_CLIENT_UNSAFE: {
    group: 'Redis',
    meaning: 'Options of your client make an outage of Redis last longer for callers.',
    raisedBy: 'the event `warning`, once at the start',
    remedy: 'Set the options that the hint names.',
  },
  SB_REDIS_UNREACHABLE: {
    group: 'Redis',
    meaning: 'There is no connection to Redis, or it was lost before the answer arrived.',
    raisedBy: 'the event `warning`, once per lost connection; the detail of `side-out`',
    remedy:
      'Check that Redis runs and that this host reaches it. The client reconnects by itself, but for one of node-redis that is closed: `await client.connect()` before `createCacheSwitch`, and close it only after the cache.',
  },
  SB_REDIS_TIMEOUT: {
    group: 'Redis',
    meaning: 'Redis did not answer in time. The command may still be applied.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Look for a hung server, a slow command (`SLOWLOG`) or a stalled event loop.',
  },
  SB_REDIS_OUT_OF_MEMORY: {
    group: 'Redis',
    meaning: '`maxmemory` is reached and Redis may not evict anything.',
    raisedBy: 'the detail of `side-out` and of `cache.health()`',
    remedy: 'Raise `maxmemory`, or set `maxmemory-policy volatile-lru`.',
  },
  SB_REDIS_REFUSED: {
    group: 'Redis',
    meaning:
      'Redis answered a command with an error: a password, a permission, a missing database.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Grant what the hint names. It does not recover by itself.',
  },
  SB_REDIS_RIGHTS: {
    group: 'Redis',
    meaning: 'The ACL user may not do something that is needed, perhaps only in an outage.',
    raisedBy: 'the event `warning`, once at the start',
    remedy: 'Run the `ACL SETUSER` line of the hint.',
  },
  SB_REDIS_ANONYMOUS: {
    group: 'Redis',
    meaning: 'Redis hides its `run_id`, so every new connection counts as a restarted server.',
    raisedBy: 'the event `warning`, once',
    remedy: 'Allow `INFO` for the ACL user: `+info`.',
  },
  SB_REDIS_FOREIGN: {
    group: 'Redis',
    meaning:
      "Redis has data of another program under the prefix. It stays as it is; the cache cannot use these keys on this side. With `values: 'plain'`: a key of another type, which stays, or a text that the codec cannot read, which stays until its key is set or deleted through the switch.",
    raisedBy: 'the event `warning`, once; `foreign` of `cache.health()` counts',
    remedy:
      "Give the cache a prefix of its own, under which no other program writes: `redisCache({ prefix })`. With `values: 'plain'`: the codec of the program that writes these texts, `redisCache({ codec })`; or other keys.",
  },
  SB_TOMBSTONE_TTL_RAISED: {
    group: 'Redis',
    meaning: 'Other processes use a longer `tombstoneTtl` on the same data; theirs is used.',
    raisedBy: 'the event `warning`',
    remedy: 'Give all processes the same `tombstoneTtl`.',
  },

  SB_FILE_OPTION_INVALID: {
    group: 'File store',
    meaning: 'An option of `fileCache` is wrong, or one `fileCache` was given to two caches.',
    raisedBy: '`fileCache()`, `createCacheSwitch()`',
    remedy: 'Follow the hint; call `fileCache()` once per cache.',
  },
  SB_FILE_STORE_FULL: {
    group: 'File store',
    meaning: 'The disk of the file cache is full.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Free space, or lower `maxBytes`. The cache recovers by itself.',
  },
  SB_FILE_STORE_READONLY: {
    group: 'File store',
    meaning: 'The process may not write to the directory of the file cache.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Check the owner, the mode and the mount of the directory.',
  },
  SB_FILE_STORE_DIRECTORY: {
    group: 'File store',
    meaning: 'The path of the file cache is not a usable directory.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Name a directory, not a file.',
  },
  SB_FILE_STORE_BUSY: {
    group: 'File store',
    meaning: 'Another process held the lock of the file cache for too long.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Look for a process that was stopped (`SIGSTOP`, a debugger) during a write.',
  },
  SB_FILE_STORE_NEWER: {
    group: 'File store',
    meaning: 'A newer version of Switchback made this directory; this version does not touch it.',
    raisedBy: 'the first operation; the detail of `side-out`',
    remedy: 'Use another directory for the older version until it is updated.',
  },
  SB_FILE_STORE_UNAVAILABLE: {
    group: 'File store',
    meaning: 'The package libsql is installed but cannot be loaded on this platform.',
    raisedBy: '`fileCache()` before Node.js 22.16',
    remedy:
      'Install without `--omit=optional`, on Linux, macOS or Windows on x64 or arm64; or use Node.js 22.16 or later, which has SQLite.',
  },
  SB_FILE_STORE_FAILED: {
    group: 'File store',
    meaning: 'The file cache failed for another reason, which is the `cause`.',
    raisedBy: 'the event `warning`; the detail of `side-out`',
    remedy: 'Look at the cause. The next operation tries again.',
  },
  SB_FILE_STORE_CLOSED: {
    group: 'File store',
    meaning: 'The file cache was used after it was closed.',
    raisedBy: 'operations of `fileCache` without a switch',
    remedy: 'Close it after the last operation.',
  },
  SB_FILE_STORE_RESET: {
    group: 'File store',
    meaning: 'The file cache was reset. What both sides cached before is no longer trusted.',
    raisedBy: 'the event `warning`',
    remedy: 'If it recurs without a reboot or an upgrade, find out what empties the directory.',
  },
  SB_FILE_STORE_DAMAGED: {
    group: 'File store',
    meaning: 'The database was damaged. It was moved aside, and the file cache was reset.',
    raisedBy: 'the event `warning`',
    remedy: 'Look at the disk, and never copy the directory while it is in use.',
  },
  SB_DIRECTORY_SHARED: {
    group: 'File store',
    meaning: 'Another machine uses this directory; this process serves nothing cached.',
    raisedBy: 'the health of the old side',
    remedy:
      'Give each machine a directory on its own disk. If the other is gone, delete the directory.',
  },

  SB_PEER_MISSING: {
    group: 'Start-up options',
    meaning: 'A package that only some users need is not installed.',
    raisedBy:
      '`redisCache({ url })`, `fileCache()` before Node.js 22.16, `flagsFromEnvironment()` with flagd',
    remedy: 'Install it as the hint says, e.g. `npm i ioredis`.',
  },
  SB_OPTION_INVALID: {
    group: 'Start-up options',
    meaning: 'An option or argument cannot work, or no option has the name that was given.',
    raisedBy: 'the function that is named in the message',
    remedy: 'Follow the hint; the documentation of the option states its meaning and default.',
  },
  SB_FLAGS_ENVIRONMENT: {
    group: 'Start-up options',
    meaning: 'A `FLAGD_*` environment variable has a value that cannot work.',
    raisedBy: '`flagsFromEnvironment()`, `switchback start`',
    remedy: 'Correct the variable that the message names ([all variables](configuration.md)).',
  },
  SB_METRIC_NAME_INVALID: {
    group: 'Start-up options',
    meaning: 'The name of a metric or a label of your own does not fit.',
    raisedBy: '`telemetry.gauge()`, `telemetry.gauges()`',
    remedy: 'Metric names match `switchback_[a-z0-9_]+`, label names `[a-z][a-z0-9_]*`.',
  },

  SB_FILE_MISSING: {
    group: 'Flags file',
    meaning: 'A file that was named (flags, users, plan) does not exist.',
    raisedBy: 'every command that reads a file; `openfeature-switchback/rollout`',
    remedy: 'Name it with `--file`, or run the command where `flags/` is.',
  },
  SB_FILE_UNREADABLE: {
    group: 'Flags file',
    meaning: 'The file exists but cannot be read.',
    raisedBy: 'every command that reads a file; `openfeature-switchback/rollout`',
    remedy: 'Check the permissions and that it is a file. flagd may have the same problem.',
  },
  SB_FILE_READ_ONLY: {
    group: 'Flags file',
    meaning: 'The flags file cannot be replaced without changing who may read it, or not at all.',
    raisedBy: '`set`, `rollback`, `undo`, `pilot`, the control page, the guard',
    remedy: 'Run as its owner, make it readable for all, or change the ConfigMap it comes from.',
  },
  SB_TARGET_MISSING: {
    group: 'Flags file',
    meaning: 'The object that `--target` names does not exist in this namespace and cluster.',
    raisedBy: 'every command with `--target configmap/NAME` or `featureflag/NAME`',
    remedy:
      'Check the name, `--namespace` and `--context`. Switchback changes objects and creates none: apply it first.',
  },
  SB_KUBERNETES_CONFIG: {
    group: 'Flags file',
    meaning: 'No cluster is known, or the kubeconfig does not say how to reach it and as whom.',
    raisedBy: 'every command with `--target configmap/NAME` or `featureflag/NAME`',
    remedy:
      'Set `KUBECONFIG`, log in so that kubectl works, or name a context with `--context`. In a pod, mount the token of its service account.',
  },
  SB_KUBERNETES_AWAY: {
    group: 'Flags file',
    meaning: 'The Kubernetes API does not answer, or answers that it is overloaded.',
    raisedBy: 'every command with `--target configmap/NAME` or `featureflag/NAME`',
    remedy:
      'Try again. flagd and the processes keep the flags that they have; `switchback status` shows whether a change was written.',
  },
  SB_KUBERNETES_DENIED: {
    group: 'Flags file',
    meaning:
      'The Kubernetes API does not accept the credentials (401), or they lack a right (403).',
    raisedBy: 'every command with `--target configmap/NAME` or `featureflag/NAME`',
    remedy:
      'Log in again, or grant `get` and `update` on that one object: `deploy/kubernetes-api` has the Role.',
  },
  SB_KUBERNETES_REFUSED: {
    group: 'Flags file',
    meaning: 'The Kubernetes API refuses the change: an admission rule, a schema, the size.',
    raisedBy: 'every command that writes with `--target configmap/NAME` or `featureflag/NAME`',
    remedy: 'Nothing was written. Correct what the message names.',
  },
  SB_GIT_STATE: {
    group: 'Flags file',
    meaning:
      'The repository is not ready for a commit of the flags file: uncommitted changes of it, a branch that is behind, ahead or has diverged, or none. Nothing was written.',
    raisedBy:
      'every command that writes with `--target git`, also when the file here says already what is wanted',
    remedy: 'Commit, pull or push, as the message says, then try again.',
  },
  SB_GIT_FAILED: {
    group: 'Flags file',
    meaning:
      'A git command failed, e.g. the push, or a hook refused it: its words are in the message. Nothing was written.',
    raisedBy: 'every command with `--target git`',
    remedy: 'Run the git command of the message by hand to see more.',
  },
  SB_FLAGS_FILE_MISSING: {
    group: 'Flags file',
    meaning: 'The sidecar was given a flags file that does not exist.',
    raisedBy: '`switchback sidecar`, `switchback start`',
    remedy: 'Name a file that exists, or start from the example in the package.',
  },
  SB_FLAGS_SYNTAX: {
    group: 'Flags file',
    meaning: 'The flags file is not JSON that Switchback edits: syntax, comments, encoding.',
    raisedBy: 'every command that reads the flags file; `openfeature-switchback/rollout`',
    remedy: 'Correct the line and column that are named; `switchback validate` lists all problems.',
  },
  SB_FLAGS_YAML: {
    group: 'Flags file',
    meaning: 'The flags file is YAML. flagd serves it, Switchback does not edit it.',
    raisedBy: '`set`, `rollback`, `undo`, `pilot`; `openfeature-switchback/rollout`',
    remedy: 'Edit the weights by hand, or keep the flags as JSON.',
  },
  SB_FLAGS_INVALID: {
    group: 'Flags file',
    meaning: 'flagd would reject this file. The last good flags stay in force.',
    raisedBy: 'loading flags (app, sidecar), `explain`',
    remedy: 'Correct what is named; `switchback validate` shows the line.',
  },
  SB_FLAGS_TOO_LARGE: {
    group: 'Flags file',
    meaning: 'The flags file is larger than the limit. The last good flags stay in force.',
    raisedBy: 'loading flags (app, sidecar), the commands',
    remedy: 'Give each application its own flags file.',
  },
  SB_FLAG_UNKNOWN: {
    group: 'Flags file',
    meaning: 'The file has no flag of this name.',
    raisedBy: 'every command with `--flag`; `openfeature-switchback/rollout`',
    remedy: 'Use one of the names that the hint lists, or add the flag.',
  },
  SB_FLAG_BROKEN: {
    group: 'Flags file',
    meaning: 'Evaluating this flag fails, as it does in flagd.',
    raisedBy: '`preview`, `diff`, `explain`; `openfeature-switchback/rollout`',
    remedy: '`switchback validate` shows what is wrong with it.',
  },
  SB_VARIANTS_NOT_BOOLEAN: {
    group: 'Flags file',
    meaning: 'The variants `on` and `off` of the flag are not `true` and `false`.',
    raisedBy: '`set`, `pilot`, `preview`, the control page',
    remedy: 'Write `"variants": { "on": true, "off": false }`.',
  },
  SB_USERS_INVALID: {
    group: 'Flags file',
    meaning:
      'A line of the list of users is not a targeting key or a JSON context, or the list has no user.',
    raisedBy: '`preview --users`, `diff --users`',
    remedy:
      'Write one targeting key per line, or `{"targetingKey": "user_1", "plan": "beta"}`, in UTF-8.',
  },

  SB_SHARE_INVALID: {
    group: 'Changing the split',
    meaning: 'The share is not a percentage from 0 to 100 with at most three decimals.',
    raisedBy: '`set`, `preview`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Write a number such as 25 or 0.5.',
  },
  SB_SHARE_MOVED: {
    group: 'Changing the split',
    meaning: 'The share is no longer what `--from` expects. Nothing was written.',
    raisedBy: '`set --from`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Look at `switchback history`, then set the share from what it is now.',
  },
  SB_SHAPE_UNKNOWN: {
    group: 'Changing the split',
    meaning: 'The rule of the flag is not a split that Switchback can edit. Nothing was written.',
    raisedBy: '`set`, `pilot`, `preview`, the control page; `openfeature-switchback/rollout`',
    remedy:
      'Edit it by hand. `switchback rollback` brings everyone to the old side all the same: it disables the flag.',
  },
  SB_FLAGS_CHANGED: {
    group: 'Changing the split',
    meaning: 'The flags file changed between the look at it and the write. Nothing was written.',
    raisedBy: '`set`, `undo`, `pilot`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Look at `switchback status`, then try again.',
  },
  SB_FLAGS_REFUSED: {
    group: 'Changing the split',
    meaning: 'flagd would reject the file after this change. Nothing was written.',
    raisedBy: '`set`, `pilot`, `undo`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Correct the line that is named first.',
  },
  SB_EDIT_UNSAFE: {
    group: 'Changing the split',
    meaning: 'The edit would change more of the file than intended. Nothing was written.',
    raisedBy: 'every command that writes; `openfeature-switchback/rollout`',
    remedy: 'Edit the file by hand, and report this file as a defect.',
  },
  SB_LOCK_BUSY: {
    group: 'Changing the split',
    meaning: 'Another process holds the lock of the flags file. Nothing was written.',
    raisedBy: 'every command that writes; `openfeature-switchback/rollout`',
    remedy: 'Wait for that process or end it, then try again.',
  },
  SB_PILOT_INVALID: {
    group: 'Changing the split',
    meaning: 'A pilot needs one attribute and at least one value.',
    raisedBy: '`pilot`; `openfeature-switchback/rollout`',
    remedy: 'Write for instance `switchback pilot --attribute plan --in internal`.',
  },
  SB_PILOT_UNKNOWN: {
    group: 'Changing the split',
    meaning: 'The flag has no pilot on this attribute.',
    raisedBy: '`pilot --remove`; `openfeature-switchback/rollout`',
    remedy: 'Use one of the attributes that the hint lists.',
  },
  SB_UNDO_NOTHING: {
    group: 'Changing the split',
    meaning: 'The history has no change of this flag that could be undone.',
    raisedBy: '`undo`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Set the share that you want: `switchback set 10`.',
  },
  SB_UNDO_UNKNOWN: {
    group: 'Changing the split',
    meaning: 'The change cannot be undone: the text or the names before it are not recorded.',
    raisedBy: '`undo`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Set the share that you want, or add the pilot again.',
  },
  SB_UNDO_CONFLICT: {
    group: 'Changing the split',
    meaning: 'The place in the file was changed again since. Nothing was written.',
    raisedBy: '`undo`, the control page; `openfeature-switchback/rollout`',
    remedy: 'Set the share that you want: `switchback set 10`.',
  },
  SB_RESTORE_NOTHING: {
    group: 'Changing the split',
    meaning: 'There is no earlier copy of the flags file that has the flag. Nothing was written.',
    raisedBy: '`rollback --restore`; `openfeature-switchback/rollout`',
    remedy: 'Write the smallest file that the hint prints.',
  },

  SB_FLAGD_URL: {
    group: 'flagd and metrics',
    meaning: 'The address of flagd is not a valid URL.',
    raisedBy: 'every command with `--flagd`; `openfeature-switchback/rollout`',
    remedy: "Write flagd's OFREP address, such as `http://127.0.0.1:8016`.",
  },
  SB_FLAGD_UNREACHABLE: {
    group: 'flagd and metrics',
    meaning: 'flagd does not answer at its OFREP address.',
    raisedBy: 'asking flagd: `status`, `explain`, the confirmation of a change',
    remedy: 'Start flagd, restart it if it hangs, or name its OFREP address with `--flagd`.',
  },
  SB_FLAGD_ANSWER: {
    group: 'flagd and metrics',
    meaning: 'Something answers at this address, but it is not OFREP of flagd.',
    raisedBy: 'asking flagd: `status`, `explain`, the confirmation of a change',
    remedy: 'Name the OFREP port (8016); 8013 and 8015 speak gRPC.',
  },
  SB_METRICS_URL_INVALID: {
    group: 'flagd and metrics',
    meaning: 'The metrics URL of an app process is not a valid URL.',
    raisedBy: 'every command with `--metrics`, the control page, the guard',
    remedy: 'Write for instance `http://127.0.0.1:3002/metrics`.',
  },
  SB_METRICS_UNREACHABLE: {
    group: 'flagd and metrics',
    meaning: 'The metrics of a process, or Prometheus, did not answer in time.',
    raisedBy: 'reading metrics: the guard, the control page, `watch`, `status`',
    remedy: 'Check that the process runs, and its metrics address and port.',
  },
  SB_METRICS_STATUS: {
    group: 'flagd and metrics',
    meaning: 'The metrics address answered with an HTTP error.',
    raisedBy: 'reading metrics: the guard, the control page, `watch`, `status`',
    remedy: 'Check the path (`/metrics`) and any proxy before it.',
  },
  SB_METRICS_SYNTAX: {
    group: 'flagd and metrics',
    meaning: 'The answer is not Prometheus text, or not an answer of the Prometheus API.',
    raisedBy: 'reading metrics: the guard, the control page, `watch`, `status`',
    remedy: 'Check that the address is that of `/metrics`, or of a Prometheus server.',
  },
  SB_METRICS_TOO_LARGE: {
    group: 'flagd and metrics',
    meaning: 'The metrics have more bytes or series than a reader accepts.',
    raisedBy: 'reading metrics: the guard, the control page, `watch`, `status`',
    remedy: 'Name the address of one app process, not of an aggregator.',
  },
  SB_METRICS_FOREIGN: {
    group: 'flagd and metrics',
    meaning: 'The metrics are readable, but hold nothing of Switchback.',
    raisedBy: 'the control page',
    remedy: "Name the `/metrics` of the application's own metrics listener.",
  },
  SB_METRICS_UNUSABLE: {
    group: 'flagd and metrics',
    meaning: 'The metrics lack what the guard compares, or do not fit together.',
    raisedBy: 'the guard',
    remedy: 'Follow the hint; run the same version of Switchback everywhere.',
  },

  SB_PLAN_INVALID: {
    group: 'Guard',
    meaning: 'The plan has an error: a key, a value, a combination, or no source of metrics.',
    raisedBy: '`switchback guard`, `switchback control --plan`; `--plan` of the other commands',
    remedy: 'Correct what is named ([all keys](configuration.md)).',
  },
  SB_SELECTOR_INVALID: {
    group: 'Guard',
    meaning: 'A metric selector of the plan is not written as in PromQL.',
    raisedBy: 'reading a plan',
    remedy: 'Write `name{label="value", other!="x"}`.',
  },
  SB_GUARD_SHAPE: {
    group: 'Guard',
    meaning: 'The rule of the flag is not a split, so the guard cannot move it.',
    raisedBy: '`switchback guard`, `switchback control`',
    remedy: 'Run `switchback validate`, and write the rule as a plain split.',
  },
  SB_GUARD_CANNOT_ACT: {
    group: 'Guard',
    meaning:
      'The guard could not roll back if it had to (the flags cannot be written), or no process answers, so that it could not see why it had to.',
    raisedBy: '`switchback guard`, at its start; `switchback control --guard act`, `ask`',
    remedy:
      'Give it the right to replace the flags file, or the addresses of the processes. `--dry-run` only reports.',
  },
  SB_GUARD_SIDE_OUT: {
    group: 'Guard',
    meaning: 'A rollout was to be resumed while a replica cannot reach the new side.',
    raisedBy: '`switchback guard --resume`',
    remedy:
      'Repair it first: the message says where and since when. `--force` resumes nevertheless.',
  },
  SB_GUARD_STATE_BROKEN: {
    group: 'Guard',
    meaning: 'The saved state of the guard cannot be read.',
    raisedBy: '`switchback guard`, `switchback control`',
    remedy: 'Delete the file. The guard then starts with a new baseline at the current share.',
  },
  SB_GUARD_NOT_ASKING: {
    group: 'Guard',
    meaning: 'An approval was given for a step that no guard waits for.',
    raisedBy: '`guard --approve`, the control page',
    remedy: 'Look at the state again: the guard may have moved on or be holding.',
  },
  SB_GUARD_ORDER: {
    group: 'Guard',
    meaning: 'A pause or a promotion was ordered that the guard cannot take now.',
    raisedBy: 'the control page and its API',
    remedy: 'Read the reason: no guard acts, an alarm holds the rollout, or another step is next.',
  },

  SB_CONTROL_TOKEN_MISSING: {
    group: 'Control page',
    meaning: 'The page would be reachable from other machines, but no token protects changes.',
    raisedBy: '`switchback control`',
    remedy: 'Set `SWITCHBACK_CONTROL_TOKEN` or `--token-file`, or listen on 127.0.0.1.',
  },
  SB_CONTROL_TOKEN_WEAK: {
    group: 'Control page',
    meaning: 'The token is shorter than 16 characters, or not printable.',
    raisedBy: '`switchback control`',
    remedy: 'Take the output of `openssl rand -base64 24`.',
  },
  SB_CONTROL_TOKEN: {
    group: 'Control page',
    meaning: 'A change was sent without the token, or with a wrong one.',
    raisedBy: 'the API (401)',
    remedy: 'Send the header `authorization: Bearer TOKEN`.',
  },
  SB_CONTROL_HOST: {
    group: 'Control page',
    meaning: 'The request names a host that this page does not serve (DNS rebinding).',
    raisedBy: 'the API (403)',
    remedy: 'Open it under the address it listens on, or allow the name with `--allow-host`.',
  },
  SB_CONTROL_ORIGIN: {
    group: 'Control page',
    meaning: 'The request comes from a page of another site.',
    raisedBy: 'the API (403)',
    remedy: 'Send it from the page itself, or from a program without `Origin`.',
  },
  SB_CONTROL_MEDIA: {
    group: 'Control page',
    meaning: 'A change was not sent as JSON.',
    raisedBy: 'the API (415)',
    remedy: 'Send the header `content-type: application/json`.',
  },
  SB_CONTROL_METHOD: {
    group: 'Control page',
    meaning: 'The address exists, but not with this method.',
    raisedBy: 'the API (405)',
    remedy: 'Use a method that `allow` names; see `/openapi.json`.',
  },
  SB_CONTROL_NOT_FOUND: {
    group: 'Control page',
    meaning: 'The address does not exist.',
    raisedBy: 'the API (404)',
    remedy: 'See `/openapi.json`.',
  },
  SB_CONTROL_REQUEST: {
    group: 'Control page',
    meaning: 'The request is malformed: HTTP, JSON, or a field.',
    raisedBy: 'the API (4xx)',
    remedy: 'See `/openapi.json` for what the address expects.',
  },
  SB_CONTROL_BUSY: {
    group: 'Control page',
    meaning: 'Too many requests from one address, or too many open pages.',
    raisedBy: 'the API (429, 503)',
    remedy: 'Wait a few seconds. `switchback rollback` on the machine always works.',
  },
  SB_CONTROL_INTERNAL: {
    group: 'Control page',
    meaning: 'A defect of the control page.',
    raisedBy: 'the API (500)',
    remedy: 'Read its stderr, and report it. `switchback rollback` does not need the page.',
  },
  SB_CONTROL_LISTEN: {
    group: 'Control page',
    meaning: 'The page cannot listen on its address.',
    raisedBy: '`switchback control`',
    remedy: 'Stop the other process, or choose another `--port` (0 for any free one).',
  },
  SB_CONTROL_PAGE: {
    group: 'Control page',
    meaning: 'The scripts of the page are missing from the installation.',
    raisedBy: '`switchback control`',
    remedy: 'In a clone: `npm run build`. Otherwise install the package again.',
  },

  SB_USAGE: {
    group: 'Command line',
    meaning: 'The command line is wrong: command, option, value.',
    raisedBy: 'every command (exit code 2)',
    remedy: 'Follow the hint, or read `switchback COMMAND --help`.',
  },
  SB_INTERRUPTED: {
    group: 'Command line',
    meaning: 'Ctrl-C or SIGTERM ended the command before it was done.',
    raisedBy: 'every command (exit code 130 or 143)',
    remedy: 'For a change: `switchback status` shows whether it was written.',
  },
  SB_SYSTEM: {
    group: 'Command line',
    meaning: 'The operating system refused a call, for a reason that is named.',
    raisedBy: 'every command (exit code 1)',
    remedy: 'Follow the hint.',
  },
  SB_SYSTEM_INPUT: {
    group: 'Command line',
    meaning: 'The operating system refused a call on something that you named.',
    raisedBy: 'every command (exit code 2)',
    remedy: 'Correct the path or the address that is named.',
  },
  SB_PORT_TAKEN: {
    group: 'Command line',
    meaning: 'The port is in use, or may not be used.',
    raisedBy: '`switchback start`, `switchback control`',
    remedy: 'Choose another port with the option that the hint names.',
  },
  SB_SIDECAR_LISTEN: {
    group: 'Command line',
    meaning: 'The sidecar cannot listen on one of its ports.',
    raisedBy: '`switchback sidecar`, `switchback start`',
    remedy: 'Stop the flagd or sidecar that runs already, or choose other ports.',
  },
  SB_DEMO_STALLED: {
    group: 'Command line',
    meaning: 'The demo waited too long for its users to move.',
    raisedBy: '`switchback demo`',
    remedy: 'Run it again with less load on the machine.',
  },
} as const
