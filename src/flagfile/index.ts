// flagd's format: what a flags file, a sync payload and a rule mean.
export { isProbeUser, probeUsers } from './probe-users.ts'
