/** What a Redis has done between two looks: its own figures, so that what else the machine does is not in them. */
export async function look(client) {
  const info = await client.info('everything')
  const of = (name) => Number(new RegExp(`^${name}:(\\S+)`, 'mu').exec(info)?.[1] ?? 0)
  return {
    at: performance.now(),
    cpuUs: (of('used_cpu_user') + of('used_cpu_sys')) * 1e6,
    commands: of('total_commands_processed'),
    sentBytes: of('total_net_output_bytes'),
    gotBytes: of('total_net_input_bytes'),
    clientBytes: of('mem_clients_normal'),
    usedBytes: of('used_memory'),
    trackedKeys: of('tracking_total_keys'),
    clients: of('connected_clients'),
  }
}

/** Rates and sums of what is counted, from one look to a later one. */
export function between(before, after) {
  const seconds = (after.at - before.at) / 1000
  const grown = (name) => after[name] - before[name]
  return {
    seconds,
    cpuUs: grown('cpuUs'),
    commands: grown('commands'),
    sentBytes: grown('sentBytes'),
    gotBytes: grown('gotBytes'),
  }
}
