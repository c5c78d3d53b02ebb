// The sidecar: flagd's protocols for laptops and tests where no flagd is at hand. It serves flags files
// over gRPC, OFREP and plain HTTP, on the loopback interface. It is not flagd: production runs the real
// one. `test/flagd` holds both to the same expectations, and the sidecar to what flagd was recorded to say.
export { startSidecar } from './sidecar.ts'
export type { SidecarLogEntry } from './flags-file.ts'
export type { Sidecar, SidecarOptions, SidecarPorts } from './sidecar.ts'
