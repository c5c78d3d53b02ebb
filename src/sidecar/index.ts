// The sidecar: flagd's protocols for laptops and tests without a flagd. It serves flags files over
// gRPC, OFREP and plain HTTP, on the loopback interface. It is not flagd: production runs the real
// one. `test/flagd` holds both to the same expectations, and the sidecar to recorded answers of
// flagd.
export { startSidecar } from './sidecar.ts'
export type { SidecarLogEntry } from './flags/watched-flags-file.ts'
export type { Sidecar, SidecarOptions, SidecarPorts } from './sidecar.ts'
